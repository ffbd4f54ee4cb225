#pragma once
// The launchers behind linear_cuda.h. Arguments are checked by the caller; x is of the weight's type, or float32 where
// the kernel normalizes it.
#include "kernels/linear/linear_cuda_plan.h"

namespace vllm {

struct LinearKernelArgs {
  const void* weight = nullptr;  // [n, k]
  const void* x = nullptr;       // [num_tokens, k]
  int64_t x_stride = 0;          // elements
  void* out = nullptr;
  int64_t out_stride = 0;
  const float* bias = nullptr;
  const float* norm_weight = nullptr;  // with config.fused_norm
  float norm_eps = 0;
  int num_tokens = 0, n = 0, k = 0;
  LinearBack back = LinearBack::kNone;
  bool out_float = false;   // out is float32, not T
  bool add_to_out = false;  // float32 only
};

/// Let the kernels use the shared memory they need; once per process and device.
Status prepare_linear_stream();
Status prepare_linear_gemv();
Status prepare_linear_gemm();
/// kUnimplemented where the device is not Hopper or the driver has no tensor maps.
Status prepare_linear_wgmma();

Status launch_linear_stream(DType dtype, const LinearKernelArgs& args, const LinearConfig& config, StreamRef stream);
/// One row of x.
Status launch_linear_gemv(DType dtype, const LinearKernelArgs& args, const LinearConfig& config, StreamRef stream);
/// Any number of tokens; rows of x begin at multiples of 16 bytes.
Status launch_linear_wgmma(DType dtype, const LinearKernelArgs& args, const LinearConfig& config, StreamRef stream);
Status launch_linear_gemm(DType dtype, const LinearKernelArgs& args, StreamRef stream);
Status launch_linear_simt(DType dtype, const LinearKernelArgs& args, StreamRef stream);

/// The back alone: out[t, :] = back(x[t, :] + bias), x [num_tokens, n] of T in the weight's row order. With
/// LinearBack::kNone it adds the bias; out may be x then.
Status launch_linear_back(DType dtype, const LinearKernelArgs& args, StreamRef stream);

}  // namespace vllm
