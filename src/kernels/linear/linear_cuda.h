#pragma once
// The linear layers on a GPU: out[t, n] (+)= sum_k x[t, k] * weight[n, k] + bias[n], with the fused ends that a decoder
// asks for. One call picks own weight-streaming kernels (few tokens) or cuBLASLt (more), from a table by shape and
// tokens; without cuBLASLt own tensor-core kernels do the same.
//
// Fused front: with `norm_weight`, x is the float32 residual stream and its RMS norm is what the weight sees.
// Fused back: kGated* multiplies act(gate) by up; the weight's rows are interleaved by gated_row().
// Sums are float32. Rounding to T happens where the split path would store T (after the norm, after the activation), so
// the fused and the split path agree within one rounding of the same values.
// From 2 to 16 tokens of float16 or bfloat16, a row of x that is given as T has the same result, bit for bit, in any
// batch; one token alone may differ by a rounding.
#include <cstdint>

#include "base/result.h"
#include "tensor/cuda/stream_ref.h"
#include "tensor/tensor_view.h"

namespace vllm {

enum class LinearBack { kNone, kGatedSilu, kGatedGelu, kGatedGeluTanh };

struct LinearCudaParams {
  TensorView<void, 2> out;       // [num_tokens, n], of a gated one [num_tokens, n / 2]: T, or float32; row stride free
  TensorView<const void, 2> x;   // [num_tokens, k]: T, or with norm_weight the float32 residual; row stride free
  const void* weight = nullptr;  // [n, k] of T, row-major, 16-byte aligned, on the device, written by nobody
  DType dtype = DType::kBFloat16;      // T: bfloat16, float16 or float32
  int64_t n = 0, k = 0;                // k a multiple of 8
  const float* bias = nullptr;         // [n] in the weight's row order, or none
  bool add_to_out = false;             // out += ...: out is float32 then
  const float* norm_weight = nullptr;  // [k] or none
  float norm_eps = 1e-6f;
  LinearBack back = LinearBack::kNone;
};

/// Row of the merged gate-up weight that holds gate row i (up = false) or up row i (up = true) of `width` each.
int64_t gated_row(int64_t i, bool up, int64_t width);

/// What linear_cuda needs of the device, made once at start: a workspace for max_tokens tokens of max_k inputs and
/// max_n outputs, the cuBLASLt handle if that library is found (a log line says which), tables for this device.
class LinearCuda {
 public:
  struct Options {
    int64_t max_tokens = 0, max_k = 0, max_n = 0;
    DType dtype = DType::kBFloat16;
    bool use_cublaslt = true;
    // One order of sums for any number of tokens: a row of x has the same result, bit for bit, in any batch. Own GEMM
    // for two-byte types and the plain kernel for float32: several times slower with few tokens.
    bool batch_invariant = false;
  };
  static Result<LinearCuda> create(const Options& options);
  LinearCuda(LinearCuda&&) noexcept;
  LinearCuda& operator=(LinearCuda&&) noexcept;
  ~LinearCuda();
  /// Choose algorithms for a weight's shape before the first capture (cuBLASLt's heuristics allocate on the host).
  Status prepare(int64_t n, int64_t k, LinearBack back);
  /// Launch. Graph-safe after prepare. Errors name the argument that is off.
  Status run(const LinearCudaParams& p, StreamRef stream) const;

 private:
  struct Impl;
  explicit LinearCuda(Impl* impl);
  Impl* impl_ = nullptr;
};

}  // namespace vllm
