#pragma once
// Compute threads for CPU kernels. The calling thread is thread 0 and works too.
#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace vllm {

class ThreadPool {
 public:
  /// `num_threads` counts the caller; 1 starts none. `spin` lets idle threads spin up to 20 us before they sleep
  /// (never under a CPU quota: see cpu_topology.h).
  explicit ThreadPool(int num_threads, bool spin = true);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;

  int num_threads() const { return static_cast<int>(threads_.size()) + 1; }

  /// Run fn(tile, thread) for every tile in [0, num_tiles), tiles handed out by an atomic ticket; returns when all are
  /// done. Which thread gets which tile must not change any result. Not re-entrant; one caller at a time. fn must not
  /// throw.
  template <typename Fn>
  void parallel_for(int64_t num_tiles, Fn&& fn) {
    if (num_tiles <= 0) return;
    if (threads_.empty() || num_tiles == 1) {
      for (int64_t i = 0; i < num_tiles; ++i) fn(i, 0);
      return;
    }
    auto call = [](void* context, int64_t tile, int thread) {
      (*static_cast<std::remove_reference_t<Fn>*>(context))(tile, thread);
    };
    run({call, const_cast<void*>(static_cast<const void*>(&fn)), num_tiles});
  }

 private:
  struct Job {
    void (*call)(void* context, int64_t tile, int thread) = nullptr;
    void* context = nullptr;
    int64_t num_tiles = 0;
  };
  void run(Job job);
  void work(int thread);
  void worker(int thread);

  // A worker joins a job by counting itself into an open gate. The caller shuts the gate when no tile is left and waits
  // for those that joined, so a worker that the kernel has not scheduled yet (a busy machine) delays nobody.
  static constexpr uint32_t kOpen = 1u << 31;
  Job job_;  // written by the caller while the gate is shut and nobody is inside
  std::atomic<int64_t> next_tile_{0};
  std::atomic<uint32_t> generation_{0};  // raised once per job, and once more to stop: what idle workers wait on
  std::atomic<uint32_t> gate_{0};        // kOpen | number of workers that joined
  std::atomic<uint32_t> left_{0};        // of those, how many are done
  std::atomic<bool> stop_{false};
  bool spin_;
  std::vector<std::thread> threads_;
};

}  // namespace vllm
