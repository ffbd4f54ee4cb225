#include "engine/testing/fake_executor.h"

#include <chrono>
#include <random>

#include "base/check.h"

namespace vllm::engine::testing {

FakeExecutor::FakeExecutor(StepFunction function, FakeExecutorOptions options)
    : function_(std::move(function)), options_(options), thread_([this] { work(); }) {}

FakeExecutor::~FakeExecutor() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void FakeExecutor::forward(StepInput input) {
  std::lock_guard lock(mutex_);
  CHECK(++in_flight_ <= options_.phases);
  forwards_.push_back(std::move(input));
}

void FakeExecutor::sample(SampleInput input) {
  {
    std::lock_guard lock(mutex_);
    samples_.push_back(std::move(input));
    CHECK(samples_.size() <= forwards_.size());
  }
  changed_.notify_all();
}

std::vector<StepResult> FakeExecutor::take_done() {
  std::lock_guard lock(mutex_);
  in_flight_ -= static_cast<int>(done_.size());
  return std::exchange(done_, {});
}

void FakeExecutor::work() {
  std::mt19937_64 rng(options_.seed);
  for (;;) {
    StepInput input;
    SampleInput sample;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stop_ || !samples_.empty(); });
      if (stop_) return;
      input = std::move(forwards_.front()), forwards_.pop_front();
      sample = std::move(samples_.front()), samples_.pop_front();
    }
    if (options_.max_delay_us > 0)
      std::this_thread::sleep_for(std::chrono::microseconds(rng() % static_cast<uint64_t>(options_.max_delay_us)));
    StepResult result = function_(input, sample);
    {
      std::lock_guard lock(mutex_);
      done_.push_back(std::move(result));
    }
    wakeup_();
  }
}

}  // namespace vllm::engine::testing
