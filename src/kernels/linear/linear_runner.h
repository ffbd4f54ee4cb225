#pragma once
// Runs a linear by a given configuration: what LinearCuda does after its choice. Tests and the benchmark force
// configurations through it.
#include <memory>

#include "kernels/linear/linear_cublaslt.h"
#include "kernels/linear/linear_cuda_kernels.h"
#include "tensor/cuda/buffer.h"

namespace vllm {

class LinearRunner {
 public:
  static Result<std::unique_ptr<LinearRunner>> create(const LinearCuda::Options& options);
  const LinearDevice& device() const { return device_; }
  CublasLt* cublaslt() const { return cublaslt_.get(); }

  Status prepare(int64_t n, int64_t k, LinearBack back);
  /// Check the arguments and run them as pick_config says.
  Status run(const LinearCudaParams& p, StreamRef stream) const;
  /// As `config` says; the arguments are right, at most kSliceTokens tokens.
  Status run(const LinearCudaParams& p, const LinearConfig& config, StreamRef stream) const;

  static constexpr int64_t kSliceTokens = 2048;  // of many tokens, at a time: bounds the workspace

 private:
  Status check(const LinearCudaParams& p) const;
  Status run_cublaslt(const LinearKernelArgs& args, StreamRef stream) const;

  LinearCuda::Options options_;
  LinearDevice device_;
  std::unique_ptr<CublasLt> cublaslt_;
  DeviceBuffer normed_;  // [slice, max_k] of T
  DeviceBuffer wide_;    // [slice, n] of T: gate and up before the activation
};

LinearDesc describe(const LinearCudaParams& p);

}  // namespace vllm
