#include "cli/dtypes.h"

#include "base/log.h"
#include "kernels/kv_layout/kv_dtypes.h"

namespace vllm::cli {

DType pick_dtype(const std::string& flag, const model::ModelConfig& config) {
  if (flag == "float32" || flag == "float") return DType::kFloat32;
  if (flag == "float16" || flag == "half") return DType::kFloat16;
  if (flag == "bfloat16") return DType::kBFloat16;
  return config.torch_dtype == "float16" ? DType::kFloat16 : DType::kBFloat16;
}

Result<DType> pick_kv_dtype(const std::string& flag, DType dtype, bool cuda) {
  if (flag == "auto" || flag == info(dtype).name) return dtype;
  if (flag == "fp8_e4m3") {
    LOG_INFO("KV cache of fp8 (e4m3), scales 1.0: twice the tokens of 16 bits");
    return kKvFloat8;
  }
  if (cuda) {
    return error(ErrorCode::kUnimplemented,
                 "--kv-cache-dtype {} under --dtype {} is not built for GPUs; auto or fp8 are", flag, info(dtype).name);
  }
  if (flag == "float16") return DType::kFloat16;
  if (flag == "bfloat16") return DType::kBFloat16;
  LOG_INFO("KV cache of int8 with a scale for each token and head: nearly twice the tokens of 16 bits");
  return kKvInt8;
}

}  // namespace vllm::cli
