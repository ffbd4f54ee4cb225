#include "hub/gguf.h"

#include <gtest/gtest.h>

#include <limits>

#include "hub/ggml_types.h"
#include "hub/testing/gguf_writer.h"

namespace vllm {
namespace {

using testing::as_bytes;
using testing::GgufWriter;
constexpr uint32_t kF32 = 0, kQ4_1 = 3;

std::string error_of(const std::string& file) {
  auto parsed = GgufFile::parse(as_bytes(file));
  return parsed ? "(parsed)" : parsed.error().message;
}
#define EXPECT_REFUSED(file, part) EXPECT_PRED_FORMAT2(::testing::IsSubstring, part, error_of(file))

GgufWriter two_tensors() {
  return GgufWriter()
      .key("general.architecture", 8, GgufWriter::text("llama"))
      .key("llama.block_count", 4, GgufWriter::raw<uint32_t>(30))
      .tensor("a.weight", {4, 2}, kF32, 0)
      .tensor("b.weight", {32, 3}, kQ4_1, 32)
      .data(std::string(32, 'a') + std::string(60, 'b'));
}

TEST(Gguf, ReadsTensorsInRowMajorOrder) {
  for (uint32_t version : {2u, 3u}) {
    std::string file = two_tensors().build(32, version);
    auto parsed = GgufFile::parse(as_bytes(file));
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(parsed->get_string("general.architecture"), "llama");
    ASSERT_EQ(parsed->tensors().size(), 2u);
    const GgufTensor* b = parsed->find_tensor("b.weight");
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(b->dtype, DType::kQ4_1);
    EXPECT_EQ(b->shape, (std::vector<int64_t>{3, 32}));
    EXPECT_EQ(b->data.size(), 60u);
    EXPECT_EQ(b->data[0], std::byte{'b'});
    EXPECT_EQ(parsed->find_tensor("c.weight"), nullptr);
  }
}

TEST(Gguf, ReadsEveryKindOfValue) {
  using W = GgufWriter;
  std::string file = W().key("u8", 0, W::raw<uint8_t>(200))
                         .key("i8", 1, W::raw<int8_t>(-3))
                         .key("u16", 2, W::raw<uint16_t>(65535))
                         .key("i16", 3, W::raw<int16_t>(-300))
                         .key("u32", 4, W::raw<uint32_t>(4000000000u))
                         .key("i32", 5, W::raw<int32_t>(-5))
                         .key("f32", 6, W::raw(0.5f))
                         .key("bool", 7, W::raw<uint8_t>(1))
                         .key("text", 8, W::text("hello"))
                         .key("u64", 10, W::raw<uint64_t>(7))
                         .key("big", 10, W::raw(std::numeric_limits<uint64_t>::max()))
                         .key("i64", 11, W::raw<int64_t>(-7))
                         .key("f64", 12, W::raw(0.25))
                         .array("tokens", 8, 2, W::text("x") + W::text(std::string_view("\0y", 2)))
                         .array("scores", 6, 2, W::raw(1.0f) + W::raw(-1.5f))
                         .array("types", 5, 2, W::raw<int32_t>(3) + W::raw<int32_t>(-1))
                         .array("flags", 7, 2, W::raw<uint8_t>(0) + W::raw<uint8_t>(1))
                         .build();
  auto parsed = GgufFile::parse(as_bytes(file));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->get_int("u8"), 200);
  EXPECT_EQ(parsed->get_int("i8"), -3);
  EXPECT_EQ(parsed->get_int("u16"), 65535);
  EXPECT_EQ(parsed->get_int("i16"), -300);
  EXPECT_EQ(parsed->get_int("u32"), 4000000000);
  EXPECT_EQ(parsed->get_int("i32"), -5);
  EXPECT_EQ(parsed->get_double("f32"), 0.5);
  EXPECT_EQ(parsed->get_double("i32"), -5.0);
  EXPECT_EQ(parsed->get_bool("bool"), true);
  EXPECT_EQ(parsed->get_string("text"), "hello");
  EXPECT_EQ(parsed->get_int("u64"), 7);
  EXPECT_EQ(parsed->get_int("big"), std::nullopt);
  EXPECT_EQ(parsed->get_int("i64"), -7);
  EXPECT_EQ(parsed->get_double("f64"), 0.25);
  EXPECT_EQ(parsed->get_int("text"), std::nullopt);
  EXPECT_EQ(parsed->get_bool("absent"), std::nullopt);
  EXPECT_EQ(std::get<std::vector<std::string_view>>(*parsed->find("tokens")),
            (std::vector<std::string_view>{"x", std::string_view("\0y", 2)}));
  EXPECT_EQ(std::get<std::vector<double>>(*parsed->find("scores")), (std::vector<double>{1.0, -1.5}));
  EXPECT_EQ(std::get<std::vector<int64_t>>(*parsed->find("types")), (std::vector<int64_t>{3, -1}));
  EXPECT_EQ(std::get<std::vector<int64_t>>(*parsed->find("flags")), (std::vector<int64_t>{0, 1}));
}

TEST(Gguf, RefusesATruncationAtEveryByte) {
  std::string file = two_tensors().build();
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(GgufFile::parse(as_bytes(file).first(size))) << "cut at " << size;
  }
}

TEST(Gguf, RefusesForeignFiles) {
  EXPECT_REFUSED("", "does not start with \"GGUF\"");
  EXPECT_REFUSED("version https://git-lfs.github.com/spec/v1", "does not start with \"GGUF\"");
  EXPECT_REFUSED(two_tensors().build(32, 1), "version 1 is not supported");
  EXPECT_REFUSED(two_tensors().build(32, 0x03000000), "big-endian");
}

TEST(Gguf, RefusesLyingCounts) {
  using W = GgufWriter;
  const uint64_t huge = std::numeric_limits<uint64_t>::max();
  EXPECT_REFUSED("GGUF" + W::raw(3u) + W::raw(huge) + W::raw<uint64_t>(0), "tensors; at most");
  EXPECT_REFUSED("GGUF" + W::raw(3u) + W::raw<uint64_t>(0) + W::raw(huge), "keys; at most");
  EXPECT_REFUSED("GGUF" + W::raw(3u) + W::raw<uint64_t>(0) + W::raw<uint64_t>(1) + W::raw(huge), "ends inside");
  EXPECT_REFUSED(W().key("k", 8, W::raw(huge)).build(), "ends inside");
  for (uint32_t type = 0; type < 13; ++type) {
    EXPECT_FALSE(GgufFile::parse(as_bytes(W().array("k", type, huge, "").build()))) << type;
    EXPECT_FALSE(GgufFile::parse(as_bytes(W().array("k", type, 1 << 20, "").build()))) << type;
  }
  std::string many = W().array("k", 0, 1 << 24, std::string(1 << 24, 'x')).array("l", 0, 1, "x").build();
  EXPECT_REFUSED(many, "are allowed in a file");
  EXPECT_REFUSED(W().key(std::string(70000, 'k'), 0, "x").build(), "70000 bytes long");
  EXPECT_REFUSED(W().key("", 0, "x").build(), "0 bytes long");
}

TEST(Gguf, RefusesUnknownAndNestedValues) {
  using W = GgufWriter;
  EXPECT_REFUSED(W().key("k", 13, "").build(), "unknown value type 13");
  EXPECT_REFUSED(W().array("k", 13, 0, "").build(), "unknown element type 13");
  EXPECT_REFUSED(W().array("k", 9, 1, "").build(), "array of arrays");
}

TEST(Gguf, RefusesDuplicates) {
  using W = GgufWriter;
  EXPECT_REFUSED(W().key("k", 0, "x").key("k", 0, "x").build(), "key \"k\" appears twice");
  std::string file = W().tensor("t", {8}, kF32, 0).tensor("t", {8}, kF32, 32).data(std::string(64, 0)).build();
  EXPECT_REFUSED(file, "tensor \"t\" appears twice");
}

TEST(Gguf, RefusesImpossibleTensors) {
  using W = GgufWriter;
  std::string data(256, 0);
  const int64_t big = int64_t{1} << 40;
  EXPECT_REFUSED(W().tensor("t", {0}, kF32, 0).data(data).build(), "impossible dimension 0");
  EXPECT_REFUSED(W().tensor("t", {-8}, kF32, 0).data(data).build(), "impossible dimension -8");
  EXPECT_REFUSED(W().tensor("t", {big, big}, kF32, 0).data(data).build(), "impossible dimension");
  EXPECT_REFUSED(W().tensor("t", {big, int64_t{1} << 22}, kF32, 0).data(data).build(), "larger than any file");
  EXPECT_REFUSED(W().tensor("t", {1, 1, 1, 1, 1}, kF32, 0).data(data).build(), "5 dimensions");
  EXPECT_REFUSED(W().tensor("t", {31}, kQ4_1, 0).data(data).build(), "rows of 31 elements");
  EXPECT_REFUSED(W().tensor("t", {8}, kF32, 4).data(data).build(), "not aligned");
  EXPECT_REFUSED(W().tensor("t", {8}, kF32, 256).data(data).build(), "truncated or damaged");
  EXPECT_REFUSED(W().tensor("t", {8}, kF32, ~uint64_t{31}).data(data).build(), "truncated or damaged");
  EXPECT_REFUSED(W().tensor("t", {65}, kF32, 0).data(data).build(), "truncated or damaged");
  EXPECT_REFUSED(W().tensor("s", {9}, kF32, 32).tensor("t", {8}, kF32, 64).data(data).build(),
                 "\"s\" and \"t\" overlap");
  EXPECT_REFUSED(W().tensor("s", {8}, kF32, 32).tensor("t", {8}, kF32, 32).data(data).build(), "overlap");
}

TEST(Gguf, NamesUnsupportedTensorTypes) {
  using W = GgufWriter;
  EXPECT_REFUSED(W().tensor("t", {256}, 23, 0).build(), "IQ4_XS");
  EXPECT_REFUSED(W().tensor("t", {256}, 39, 0).build(), "MXFP4");
  EXPECT_REFUSED(W().tensor("t", {256}, 4, 0).build(), "unknown tensor type 4");
  EXPECT_REFUSED(W().tensor("t", {256}, 4096, 0).build(), "unknown tensor type 4096");
  EXPECT_EQ(dtype_of_ggml(10).value(), DType::kQ2_K);
  EXPECT_EQ(dtype_of_ggml(11).value(), DType::kQ3_K);
  EXPECT_EQ(dtype_of_ggml(7).value(), DType::kQ5_1);
  EXPECT_EQ(dtype_of_ggml(24).value(), DType::kInt8);
}

TEST(Gguf, HonoursAlignment) {
  using W = GgufWriter;
  std::string file = W().key("general.alignment", 4, W::raw<uint32_t>(64))
                         .tensor("t", {1}, kF32, 64)
                         .data(std::string(68, 'x'))
                         .build(64);
  EXPECT_TRUE(GgufFile::parse(as_bytes(file)));
  EXPECT_REFUSED(W().key("general.alignment", 4, W::raw<uint32_t>(48)).build(), "no power of two");
  EXPECT_REFUSED(W().key("general.alignment", 4, W::raw<uint32_t>(0)).build(), "no power of two");
  EXPECT_REFUSED(W().key("general.alignment", 8, W::text("64")).build(), "no power of two");
}

TEST(Gguf, OpenNamesTheFile) {
  auto missing = GgufFile::open("/nonexistent/model.gguf");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  auto other = GgufFile::open("/proc/self/exe");
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message.find("/proc/self/exe"), std::string::npos) << other.error().message;
}

}  // namespace
}  // namespace vllm
