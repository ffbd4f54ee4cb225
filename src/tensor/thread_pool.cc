#include "tensor/thread_pool.h"

#include <chrono>

namespace vllm {
namespace {
constexpr auto kSpin = std::chrono::microseconds(20);

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Wait until `value` differs from `old`: spin for a moment, then sleep in the kernel.
template <typename T>
void wait_change(const std::atomic<T>& value, T old, bool spin) {
  if (spin) {
    auto end = std::chrono::steady_clock::now() + kSpin;
    do {
      for (int i = 0; i < 32; ++i) {
        if (value.load(std::memory_order_acquire) != old) return;
        pause();
      }
    } while (std::chrono::steady_clock::now() < end);
  }
  value.wait(old, std::memory_order_acquire);
}
}  // namespace

ThreadPool::ThreadPool(int num_threads, bool spin) : spin_(spin) {
  for (int i = 1; i < num_threads; ++i) threads_.emplace_back([this, i] { worker(i); });
}

ThreadPool::~ThreadPool() {
  stop_ = true;
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (std::thread& t : threads_) t.join();
}

void ThreadPool::work(int thread) {
  for (int64_t tile; (tile = next_tile_.fetch_add(1, std::memory_order_relaxed)) < job_.num_tiles;) {
    job_.call(job_.context, tile, thread);
  }
}

void ThreadPool::run(Job job) {
  job_ = job;
  next_tile_.store(0, std::memory_order_relaxed);
  left_.store(0, std::memory_order_relaxed);
  gate_.store(kOpen, std::memory_order_release);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  work(0);
  const uint32_t joined = gate_.exchange(0, std::memory_order_acq_rel) & ~kOpen;
  for (uint32_t left; (left = left_.load(std::memory_order_acquire)) != joined;) wait_change(left_, left, spin_);
}

void ThreadPool::worker(int thread) {
  for (uint32_t seen = 0; !stop_.load(std::memory_order_acquire);) {
    wait_change(generation_, seen, spin_);
    seen = generation_.load(std::memory_order_acquire);
    uint32_t gate = gate_.load(std::memory_order_relaxed);
    while ((gate & kOpen) != 0 &&
           !gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acquire, std::memory_order_relaxed)) {
    }
    if ((gate & kOpen) == 0) continue;  // too late: the others have done it
    work(thread);
    left_.fetch_add(1, std::memory_order_acq_rel);
    left_.notify_all();
  }
}

}  // namespace vllm
