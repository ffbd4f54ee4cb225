#pragma once
// What a KV cache may hold on the CPU.
#include "kernels/kv_layout/kv_float8.h"
#include "kernels/kv_layout/kv_scales.h"

namespace vllm {

constexpr bool is_cpu_kv_dtype(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kBFloat16 || dtype == DType::kFloat16 || dtype == kKvFloat8 ||
         dtype == kKvInt8;
}

}  // namespace vllm
