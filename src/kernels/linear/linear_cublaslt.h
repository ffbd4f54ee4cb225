#pragma once
// cuBLASLt, opened at run time: out[t, n] (+)= sum_k x[t, k] * weight[n, k], without norm, bias or activation.
#include <memory>

#include "base/result.h"
#include "tensor/cuda/stream_ref.h"
#include "tensor/dtype.h"

namespace vllm {

/// What an algorithm is chosen for; num_tokens is a bucket (token_bucket).
struct CublasLtShape {
  DType dtype = DType::kBFloat16;
  int64_t n = 0, k = 0, num_tokens = 0;
  bool out_float = false;  // out is float32, not the weight's type
  bool add_to_out = false;
  static constexpr int kRecorded = -1;
  int rank = kRecorded;  // which of the library's proposals; kRecorded: as linear_cublaslt_ranks.h has it
  auto operator<=>(const CublasLtShape&) const = default;
};

struct CublasLtCall {
  const void* weight = nullptr;
  const void* x = nullptr;
  int64_t x_stride = 0;  // elements
  void* out = nullptr;
  int64_t out_stride = 0;
  int64_t num_tokens = 0;
};

class CublasLt {
 public:
  /// Open VLLM_CUBLASLT_PATH, or libcublasLt.so.13 by name, or the one of /usr/local/cuda; kNotFound says what the
  /// loader said. Needs a current device. Allocates a workspace.
  static Result<std::unique_ptr<CublasLt>> open();
  ~CublasLt();
  CublasLt(const CublasLt&) = delete;
  CublasLt& operator=(const CublasLt&) = delete;

  /// Where it was found, and its version.
  const std::string& description() const;
  /// Ask the library's heuristics once; kUnimplemented if it has no algorithm. Thread-safe.
  Status prepare(const CublasLtShape& shape);
  /// Multiply call.num_tokens <= shape.num_tokens rows; graph-safe after prepare(shape). Rows of x, out and weight must
  /// begin at multiples of 16 bytes. kUnimplemented if the library refuses; nothing was launched then.
  Status multiply(const CublasLtShape& shape, const CublasLtCall& call, StreamRef stream);

 private:
  struct Impl;
  explicit CublasLt(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vllm
