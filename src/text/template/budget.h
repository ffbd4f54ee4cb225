#pragma once
// What one rendering may spend: steps (time) and live bytes (memory). Exceeding either is a TemplateFailure.
#include <cstddef>
#include <cstdint>
#include <utility>

#include "text/template/failure.h"

namespace vllm::text::tmpl {

class Budget {
 public:
  Budget(int64_t max_steps, size_t max_bytes) : max_steps_(max_steps), steps_left_(max_steps), max_bytes_(max_bytes) {}
  /// Count n nodes, items or comparisons.
  void step(int64_t n = 1) {
    if ((steps_left_ -= n) < 0) fail("the chat template ran more than {} steps", max_steps_);
  }
  /// Count work on n bytes of text.
  void step_bytes(size_t n) { step(static_cast<int64_t>(n / 64)); }
  /// Fail if `bytes` more would exceed the limit: to be asked before anything whose size an argument decides.
  void check(size_t bytes) const {
    if (bytes > max_bytes_ || live_ > max_bytes_ - bytes)
      fail("the chat template needs more than {} bytes of memory", max_bytes_);
  }
  void add(size_t bytes) {
    check(bytes);
    live_ += bytes;
  }
  void release(size_t bytes) { live_ -= bytes; }

 private:
  int64_t max_steps_, steps_left_;
  size_t max_bytes_, live_ = 0;
};

/// Bytes of a Budget held for as long as an object lives; an empty one (constants, input) holds none.
class Charge {
 public:
  Charge() = default;
  Charge(Budget* budget, size_t bytes) : budget_(budget), bytes_(bytes) {
    if (budget_) budget_->add(bytes_);
  }
  Charge(Charge&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
  Charge& operator=(Charge&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Charge() {
    if (budget_) budget_->release(bytes_);
  }
  /// Hold `bytes` more.
  void grow(size_t bytes) {
    if (budget_) budget_->add(bytes), bytes_ += bytes;
  }

 private:
  Budget* budget_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace vllm::text::tmpl
