#pragma once
// Which types --dtype and --kv-cache-dtype stand for.
#include <string>

#include "base/result.h"
#include "model/config.h"
#include "tensor/dtype.h"

namespace vllm::cli {

/// Of activations, and of weights that are not quantized. "auto" follows the checkpoint; float32 becomes bfloat16, as
/// in vLLM on CPUs.
DType pick_dtype(const std::string& flag, const model::ModelConfig& config);
/// Of the KV cache beside activations of `dtype`. kUnimplemented names what `cuda` lacks.
Result<DType> pick_kv_dtype(const std::string& flag, DType dtype, bool cuda);

}  // namespace vllm::cli
