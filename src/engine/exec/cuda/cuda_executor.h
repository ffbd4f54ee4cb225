#pragma once
// The executor of one GPU: steps are launched by one thread and waited for by another, so that a step can be launched
// while the one before it runs. Nothing in flight: both threads sleep.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>

#include "engine/exec/cuda/cuda_model_runner.h"
#include "engine/exec/executor.h"

namespace vllm::engine {

class CudaExecutor final : public Executor {
 public:
  struct Options {
    int device = 0, phases = 2;
    std::chrono::milliseconds capture_interval{100};
  };
  /// `kv` is the pool that the runner was given.
  CudaExecutor(std::unique_ptr<CudaModelRunner> runner, DeviceBuffer kv, const Options& options);
  ~CudaExecutor() override;

  int phases() const override { return options_.phases; }
  void forward(StepInput input) override { launch(std::move(input)); }
  void sample(SampleInput input) override { launch(std::move(input)); }
  std::vector<StepResult> take_done() override;
  void set_wakeup(std::function<void()> wakeup) override { wakeup_ = std::move(wakeup); }
  /// Steps that ran from a graph so far.
  int64_t num_graph_steps() const { return runner_->num_graph_steps(); }
  int64_t num_mixed_graph_steps() const { return runner_->num_mixed_graph_steps(); }

 private:
  using Launch = std::variant<StepInput, SampleInput>;
  /// A step whose result is awaited, or what went wrong instead.
  struct UnderWay {
    CudaModelRunner::Ticket* ticket = nullptr;
    StepResult failure;
  };

  void launch(Launch launch);
  // Worker.
  void work();
  std::optional<Launch> next_launch();
  Status run(const Launch& launch);
  void capture();
  void push(UnderWay step);
  // Waiter.
  void wait_for_results();
  StepResult result_of(CudaModelRunner::Ticket& ticket);

  const Options options_;
  std::function<void()> wakeup_;  // set before the first forward
  DeviceBuffer kv_;               // goes after the runner
  std::unique_ptr<CudaModelRunner> runner_;
  bool dead_ = false, half_launched_ = false;             // worker only
  std::chrono::steady_clock::time_point last_capture_{};  // worker only

  std::mutex mutex_;  // guards what follows
  std::condition_variable to_worker_, to_waiter_;
  std::deque<Launch> launches_;
  std::deque<UnderWay> under_way_;
  std::vector<StepResult> done_;
  std::atomic<bool> stop_{false};  // written under the mutex
  std::thread worker_, waiter_;
};

}  // namespace vllm::engine
