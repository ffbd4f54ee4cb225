#include "cli/dtypes.h"

#include <gtest/gtest.h>

#include "kernels/kv_layout/kv_dtypes.h"

namespace vllm::cli {
namespace {

model::ModelConfig made_for(const std::string& torch_dtype, bool from_gguf = false) {
  model::ModelConfig config;
  config.torch_dtype = torch_dtype;
  config.from_gguf = from_gguf;
  return config;
}

TEST(Dtypes, AutoFollowsTheCheckpoint) {
  for (bool from_gguf : {false, true}) {
    EXPECT_EQ(pick_dtype("auto", made_for("float16", from_gguf)), DType::kFloat16);
    EXPECT_EQ(pick_dtype("auto", made_for("bfloat16", from_gguf)), DType::kBFloat16);
    EXPECT_EQ(pick_dtype("auto", made_for("float32", from_gguf)), DType::kBFloat16);
  }
  EXPECT_EQ(pick_dtype("auto", made_for("")), DType::kBFloat16);
}

TEST(Dtypes, AFlagDecides) {
  const model::ModelConfig config = made_for("bfloat16");
  EXPECT_EQ(pick_dtype("half", config), DType::kFloat16);
  EXPECT_EQ(pick_dtype("float16", config), DType::kFloat16);
  EXPECT_EQ(pick_dtype("float", config), DType::kFloat32);
  EXPECT_EQ(pick_dtype("float32", config), DType::kFloat32);
  EXPECT_EQ(pick_dtype("bfloat16", made_for("float16")), DType::kBFloat16);
}

TEST(Dtypes, OfTheKvCache) {
  EXPECT_EQ(*pick_kv_dtype("auto", DType::kFloat16, false), DType::kFloat16);
  EXPECT_EQ(*pick_kv_dtype("bfloat16", DType::kFloat16, false), DType::kBFloat16);
  EXPECT_EQ(*pick_kv_dtype("float16", DType::kFloat32, false), DType::kFloat16);
  EXPECT_EQ(*pick_kv_dtype("fp8_e4m3", DType::kBFloat16, false), kKvFloat8);
  EXPECT_EQ(*pick_kv_dtype("int8_per_token_head", DType::kBFloat16, false), kKvInt8);
  EXPECT_EQ(*pick_kv_dtype("fp8_e4m3", DType::kBFloat16, true), kKvFloat8);
  EXPECT_EQ(*pick_kv_dtype("bfloat16", DType::kBFloat16, true), DType::kBFloat16);
  EXPECT_EQ(pick_kv_dtype("int8_per_token_head", DType::kBFloat16, true).error().code, ErrorCode::kUnimplemented);
}

}  // namespace
}  // namespace vllm::cli
