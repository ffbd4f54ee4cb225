#pragma once
// Float types in device code: conversion, 16-byte vectors, and dispatch from a DType on the host.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "base/result.h"
#include "tensor/dtype.h"

namespace vllm {

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(__half x) { return __half2float(x); }
__device__ __forceinline__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename T>
__device__ __forceinline__ T from_float(float x) {
  if constexpr (sizeof(T) == 4) {
    return x;
  } else if constexpr (std::is_same_v<T, __half>) {
    return __float2half_rn(x);
  } else {
    return __float2bfloat16_rn(x);
  }
}

/// N values that are loaded and stored as one access; N * sizeof(T) <= 16.
template <typename T, int N>
struct alignas(N * sizeof(T)) Vec {
  T values[N];
  __device__ __forceinline__ T& operator[](int i) { return values[i]; }
  __device__ __forceinline__ const T& operator[](int i) const { return values[i]; }
};
/// Elements of 16 bytes.
template <typename T>
constexpr int kVecWidth = 16 / sizeof(T);

/// fn(T{}) with T = float, __half or __nv_bfloat16; fn returns Status.
template <typename Fn>
Status dispatch_float(DType dtype, Fn&& fn) {
  switch (dtype) {
    case DType::kFloat32: return fn(float{});
    case DType::kFloat16: return fn(__half{});
    case DType::kBFloat16: return fn(__nv_bfloat16{});
    default: return error(ErrorCode::kUnimplemented, "no CUDA kernel for {}", info(dtype).name);
  }
}

}  // namespace vllm
