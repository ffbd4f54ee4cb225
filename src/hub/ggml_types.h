#pragma once
// ggml's tensor type numbers, as GGUF files store them.
#include <cstdint>

#include "base/result.h"
#include "tensor/dtype.h"

namespace vllm {
/// The DType of ggml type `number`. kUnimplemented names a type that is known but not built here, kInvalidArgument the
/// others.
Result<DType> dtype_of_ggml(uint32_t number);
}  // namespace vllm
