#pragma once
// An executor over any step function, run on its own thread with random delays.
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/exec/executor.h"

namespace vllm::engine::testing {

using StepFunction = std::function<StepResult(const StepInput&, const SampleInput&)>;

struct FakeExecutorOptions {
  int phases = 1;
  int max_delay_us = 0;  // before a step runs; random
  uint64_t seed = 1;
};

class FakeExecutor : public Executor {
 public:
  FakeExecutor(StepFunction function, FakeExecutorOptions options);
  ~FakeExecutor() override;
  int phases() const override { return options_.phases; }
  void forward(StepInput input) override;
  void sample(SampleInput input) override;
  std::vector<StepResult> take_done() override;
  void set_wakeup(std::function<void()> wakeup) override { wakeup_ = std::move(wakeup); }

 private:
  void work();

  const StepFunction function_;
  const FakeExecutorOptions options_;
  std::function<void()> wakeup_;  // set before the first forward
  std::mutex mutex_;              // guards what follows
  std::condition_variable changed_;
  std::deque<StepInput> forwards_;
  std::deque<SampleInput> samples_;
  std::vector<StepResult> done_;
  int in_flight_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace vllm::engine::testing
