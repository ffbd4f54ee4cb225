#include "kernels/linear/linear_cuda.h"

#include <utility>

#include "kernels/linear/linear_runner.h"

namespace vllm {

// Neighbours: a pair lies in one thread of every kernel, and in one 4-byte word of a GEMM's output.
int64_t gated_row(int64_t i, bool up, int64_t) { return 2 * i + (up ? 1 : 0); }

struct LinearCuda::Impl {
  std::unique_ptr<LinearRunner> runner;
};

LinearCuda::LinearCuda(Impl* impl) : impl_(impl) {}
LinearCuda::LinearCuda(LinearCuda&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
LinearCuda& LinearCuda::operator=(LinearCuda&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
LinearCuda::~LinearCuda() { delete impl_; }

Result<LinearCuda> LinearCuda::create(const Options& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<LinearRunner> runner, LinearRunner::create(options));
  return LinearCuda(new Impl{std::move(runner)});
}

Status LinearCuda::prepare(int64_t n, int64_t k, LinearBack back) { return impl_->runner->prepare(n, k, back); }

Status LinearCuda::run(const LinearCudaParams& p, StreamRef stream) const { return impl_->runner->run(p, stream); }

}  // namespace vllm
