#pragma once
// Element types of a KV cache in device code: those of types.cuh and float8.
#include <cuda_fp8.h>

#include "kernels/kv_layout/kv_float8.h"
#include "tensor/cuda/types.cuh"

namespace vllm {

__device__ __forceinline__ float to_float(__nv_fp8_e4m3 x) { return static_cast<float>(x); }
template <>
__device__ __forceinline__ __nv_fp8_e4m3 from_float<__nv_fp8_e4m3>(float x) {
  return __nv_fp8_e4m3(x);  // saturates
}

/// fn(T{}) with T of dispatch_float, or __nv_fp8_e4m3.
template <typename Fn>
Status dispatch_kv(DType dtype, Fn&& fn) {
  return dtype == kKvFloat8 ? fn(__nv_fp8_e4m3{}) : dispatch_float(dtype, fn);
}

}  // namespace vllm
