#include "kernels/dequantize/dequantize.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "kernels/dequantize/unpack_block.h"

namespace vllm {
namespace {

std::vector<char> read_golden(const std::string& name) {
  std::ifstream in("tests/golden/dequantize/" + name, std::ios::binary);
  EXPECT_TRUE(in.good()) << name;
  return {std::istreambuf_iterator<char>(in), {}};
}

class GgufTypes : public testing::TestWithParam<DType> {};

// The gguf package computes in float32 with the same operations, so the values are equal, not close.
TEST_P(GgufTypes, EqualThePythonPackage) {
  const DTypeInfo& type = info(GetParam());
  std::vector<char> blocks = read_golden(std::string(type.name) + ".bin");
  std::vector<char> golden = read_golden(std::string(type.name) + ".f32");
  std::vector<float> expected(golden.size() / sizeof(float)), got(expected.size());
  std::memcpy(expected.data(), golden.data(), golden.size());
  ASSERT_FALSE(expected.empty());
  ASSERT_EQ(row_bytes(GetParam(), static_cast<int64_t>(expected.size())), blocks.size());
  dequantize_row(GetParam(), blocks.data(), got);
  for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], expected[i]) << type.name << " element " << i;
}

TEST_P(GgufTypes, QuantsStayInTheirBits) {
  std::vector<char> blocks = read_golden(std::string(info(GetParam()).name) + ".bin");
  UnpackedBlock block;
  unpack_block(GetParam(), blocks.data(), block);
  int largest = 0;
  for (int i = 0; i < info(GetParam()).block_size; ++i) largest = std::max<int>(largest, block.q[i]);
  int limit = 1 << block_form(GetParam()).bits;
  EXPECT_LT(largest, limit);
  EXPECT_GE(largest, limit / 2);  // random bits reach the top bit
}

INSTANTIATE_TEST_SUITE_P(All, GgufTypes,
                         testing::Values(DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0,
                                         DType::kQ2_K, DType::kQ3_K, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K),
                         [](const auto& param) { return std::string(vllm::info(param.param).name); });

TEST(Dequantize, PlainTypesAtOddAddresses) {
  const float values[] = {1.5f, -0.25f, 1024.0f};
  char bytes[16];
  std::vector<float> out(3);
  std::memcpy(bytes + 1, values, sizeof values);
  dequantize_row(DType::kFloat32, bytes + 1, out);
  EXPECT_EQ(out, std::vector<float>({1.5f, -0.25f, 1024.0f}));
  for (DType dtype : {DType::kFloat16, DType::kBFloat16}) {
    for (size_t i = 0; i < 3; ++i) {
      uint16_t bits = dtype == DType::kFloat16 ? to_float16(values[i]).bits : to_bfloat16(values[i]).bits;
      std::memcpy(bytes + 1 + 2 * i, &bits, 2);
    }
    dequantize_row(dtype, bytes + 1, out);
    EXPECT_EQ(out, std::vector<float>({1.5f, -0.25f, 1024.0f}));
  }
}

}  // namespace
}  // namespace vllm
