#include <gtest/gtest.h>

#include <limits>

#include "hub/checkpoint.h"
#include "hub/testing/files.h"
#include "hub/testing/gguf_writer.h"

namespace vllm {
namespace {

using testing::as_bytes;
using testing::safetensors;

TEST(Safetensors, ReadsTensors) {
  std::string file = safetensors(R"({"__metadata__": {"format": "pt"},
      "b": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [8, 20]},
      "a\"\u00e9": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
      "scalar": {"dtype": "I64", "shape": [], "data_offsets": [20, 28]},
      "none": {"dtype": "F16", "shape": [0, 4], "data_offsets": [20, 20]}}   )",
                                 std::string(8, 'a') + std::string(12, 'b') + std::string(8, 'c'));
  auto parsed = parse_safetensors(as_bytes(file));
  ASSERT_TRUE(parsed) << parsed.error().message;
  ASSERT_EQ(parsed->size(), 4u);
  EXPECT_EQ(parsed->at(0).name, "a\"\u00e9");
  EXPECT_EQ(parsed->at(1).name, "b");
  EXPECT_EQ(parsed->at(1).dtype, DType::kBFloat16);
  EXPECT_EQ(parsed->at(1).shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(parsed->at(1).data.size(), 12u);
  EXPECT_EQ(parsed->at(1).data[0], std::byte{'b'});
  EXPECT_EQ(parsed->at(2).name, "none");
  EXPECT_EQ(parsed->at(3).shape, std::vector<int64_t>{});
}

TEST(Safetensors, RefusesATruncationAtEveryByte) {
  std::string file = safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "12345678");
  ASSERT_TRUE(parse_safetensors(as_bytes(file)));
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(parse_safetensors(as_bytes(file).first(size))) << "cut at " << size;
  }
}

struct BadCase {
  const char* header;
  size_t data_bytes;
  const char* message;
};
constexpr BadCase kBad[] = {
    {"", 0, "in the header"},
    {"[]", 0, "no JSON object"},
    {R"({"a": 1})", 0, "its entry is no object"},
    {R"({"a": {"shape":[2],"data_offsets":[0,8]}})", 8, "no \"dtype\""},
    {R"({"a": {"dtype":"F32","data_offsets":[0,8]}})", 8, "no \"shape\""},
    {R"({"a": {"dtype":"F32","shape":[2]}})", 8, "no \"data_offsets\""},
    {R"({"a": {"dtype":"F32","shape":[2],"data_offsets":[0]}})", 8, "no \"data_offsets\""},
    {R"({"a": {"dtype":"F32","shape":[2],"data_offsets":[0,8.5]}})", 8, "impossible data_offsets"},
    {R"({"a": {"dtype":"F32","shape":[2],"data_offsets":[-8,0]}})", 8, "impossible data_offsets"},
    {R"({"a": {"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8, "impossible data_offsets"},
    {R"({"a": {"dtype":"F32","shape":[3],"data_offsets":[0,12]}})", 8, "truncated"},
    {R"({"a": {"dtype":"F32","shape":[2],"data_offsets":[18446744073709551608,18446744073709551615]}})", 8,
     "truncated"},
    {R"({"a": {"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8, "do not make the 8 bytes"},
    {R"({"a": {"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8, "impossible shape"},
    {R"({"a": {"dtype":"F32","shape":["2"],"data_offsets":[0,8]}})", 8, "impossible shape"},
    {R"({"a": {"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0, "impossible shape"},
    {R"({"a": {"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}})", 0, "do not make"},
    {R"({"a": {"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]}})", 8, "9 dimensions"},
    {R"({"a": {"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", 8,
     "tensor \"a\": element type F64 is not supported"},
    {R"({"a": {"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}})", 8, "element type F8_E4M3 is not supported"},
    {R"({"a": {"dtype":"F32","shape":[2],"data_offsets":[0,8]}, "b": {"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
     12, "\"b\" overlaps"},
    {R"({"a": {"dtype":"F32","shape":[2],"data_offsets":[0,8]}, "b": {"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
     8, "\"b\" overlaps"},
    {R"({"a": {"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12, "4 bytes before tensor \"a\""},
    {R"({"a": {"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 9, "the last 1 bytes"},
    {R"({"a": {"dtype":"F32","shape":[2],"data_offsets":[0,8]}, "a": {"dtype":"F32","shape":[2],"data_offsets":[8,16]}})",
     16, "belong to no tensor"},  // a name used twice: one of the two hides the other's bytes
};

TEST(Safetensors, RefusesLyingHeaders) {
  for (const BadCase& bad : kBad) {
    std::string file = safetensors(bad.header, std::string(bad.data_bytes, 'x'));
    auto parsed = parse_safetensors(as_bytes(file));
    ASSERT_FALSE(parsed) << bad.header;
    EXPECT_PRED_FORMAT2(::testing::IsSubstring, bad.message, parsed.error().message) << bad.header;
  }
}

TEST(Safetensors, RefusesLyingLengthsAndDeepHeaders) {
  for (uint64_t length : {uint64_t{3}, uint64_t{100'000'001}, std::numeric_limits<uint64_t>::max()}) {
    std::string file = safetensors("{}", "");
    std::memcpy(file.data(), &length, 8);
    EXPECT_FALSE(parse_safetensors(as_bytes(file))) << length;
  }
  std::string deep = safetensors("{\"a\":" + std::string(100'000, '['), "");
  EXPECT_FALSE(parse_safetensors(as_bytes(deep)));
}

}  // namespace
}  // namespace vllm
