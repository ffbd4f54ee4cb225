// The threads around a CudaModelRunner: a worker that launches, and one that waits for results.
#include "engine/exec/cuda/cuda_executor.h"

#include <pthread.h>
#include <sys/prctl.h>

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "profile/phases.h"
#include "tensor/cuda/cupti_tracer.h"
#include "tensor/cuda/device.h"

namespace vllm::engine {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr microseconds kSpin{50}, kNap{20};

template <typename Fn>
Status guarded(Fn&& fn) {
  try {
    return fn();
  } catch (const std::exception& e) {
    return error(ErrorCode::kInternal, "{}", e.what());
  }
}

}  // namespace

CudaExecutor::CudaExecutor(std::unique_ptr<CudaModelRunner> runner, DeviceBuffer kv, const Options& options)
    : options_(options), kv_(std::move(kv)), runner_(std::move(runner)) {
  worker_ = std::thread([this] { work(); });
  waiter_ = std::thread([this] { wait_for_results(); });
}

CudaExecutor::~CudaExecutor() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  to_worker_.notify_one();
  to_waiter_.notify_one();
  worker_.join();
  waiter_.join();
  if (Result<CudaMemory> memory = cuda_memory(); memory && log_enabled(LogLevel::kDebug)) {
    LOG_DEBUG("GPU memory in use at the end: {:.0f} MiB",
              static_cast<double>(memory->total_bytes - memory->free_bytes) / (1 << 20));
  }
}

void CudaExecutor::launch(Launch launch) {
  {
    std::lock_guard lock(mutex_);
    launches_.push_back(std::move(launch));
  }
  to_worker_.notify_one();
}

std::vector<StepResult> CudaExecutor::take_done() {
  std::lock_guard lock(mutex_);
  return std::exchange(done_, {});
}

// The next launch; nullopt when it is time to capture a graph, or to stop (then stop_ is set).
std::optional<CudaExecutor::Launch> CudaExecutor::next_launch() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (stop_) return std::nullopt;
    if (!launches_.empty()) {
      Launch launch = std::move(launches_.front());
      launches_.pop_front();
      return launch;
    }
    if (!runner_->wants_capture() || dead_) {
      to_worker_.wait(lock);
      continue;
    }
    // Idle, or the last capture was long ago, and no step is half launched.
    const Clock::time_point due = last_capture_ + options_.capture_interval;
    if (!half_launched_ && (under_way_.empty() || Clock::now() >= due)) return std::nullopt;
    to_worker_.wait_for(lock, milliseconds(2));  // for a launch, or to look again
  }
}

void CudaExecutor::work() {
  ::pthread_setname_np(::pthread_self(), "gpu-worker");
  if (Status status = use_cuda_device(options_.device); !status) LOG_ERROR("{}", status.error().message);
  while (true) {
    std::optional<Launch> next = next_launch();
    if (!next) {
      {
        std::lock_guard lock(mutex_);
        if (stop_) return;
      }
      capture();
      continue;
    }
    if (dead_) continue;
    Status status = guarded([&] { return run(*next); });
    if (!status) {
      const StepId step = std::visit([](const auto& input) { return input.step; }, *next);
      dead_ = true;
      push({.ticket = nullptr, .failure = {.step = step, .slots = {}, .error = status.error().message}});
      continue;
    }
    // Under load nobody is ever idle: then a capture goes between two steps.
    if (!half_launched_ && runner_->wants_capture() && Clock::now() >= last_capture_ + options_.capture_interval)
      capture();
  }
}

void CudaExecutor::capture() {
  profile::PhaseScope phase("capture");
  Status status = guarded([&] {
    runner_->capture_one();
    return Status();
  });
  if (!status) LOG_WARNING("capturing a CUDA graph: {}", status.error().message);
  last_capture_ = Clock::now();
}

Status CudaExecutor::run(const Launch& launch) {
  const auto step = static_cast<int64_t>(std::visit([](const auto& input) { return input.step; }, launch));
  GpuStepScope on_gpu(step);
  if (const auto* input = std::get_if<StepInput>(&launch)) {
    profile::PhaseScope phase("launch", step);
    phase.set_batch(input->work.size(), num_tokens(*input));
    half_launched_ = true;
    return runner_->forward(*input);
  }
  profile::PhaseScope phase("launch sampling", step);
  half_launched_ = false;
  ASSIGN_OR_RETURN(CudaModelRunner::Ticket * ticket, runner_->sample(std::get<SampleInput>(launch)));
  push({.ticket = ticket, .failure = {}});
  return {};
}

void CudaExecutor::push(UnderWay step) {
  {
    std::lock_guard lock(mutex_);
    under_way_.push_back(std::move(step));
  }
  to_waiter_.notify_one();
}

void CudaExecutor::wait_for_results() {
  ::pthread_setname_np(::pthread_self(), "gpu-results");
  ::prctl(PR_SET_TIMERSLACK, 1000UL);  // ns: naps are short
  if (Status status = use_cuda_device(options_.device); !status) LOG_ERROR("{}", status.error().message);
  while (true) {
    UnderWay step;
    {
      std::unique_lock lock(mutex_);
      to_waiter_.wait(lock, [&] { return stop_ || !under_way_.empty(); });
      if (stop_) return;
      step = std::move(under_way_.front());
    }
    StepResult result = step.ticket ? result_of(*step.ticket) : std::move(step.failure);
    {
      std::lock_guard lock(mutex_);
      under_way_.pop_front();
      if (stop_) return;
      done_.push_back(std::move(result));
    }
    if (wakeup_) wakeup_();
  }
}

StepResult CudaExecutor::result_of(CudaModelRunner::Ticket& ticket) {
  StepResult result;
  Status status = guarded([&]() -> Status {
    const auto step = static_cast<int64_t>(CudaModelRunner::step_of(ticket));
    const Clock::time_point start = Clock::now();
    profile::PhaseScope wait("wait", step);
    while (true) {
      ASSIGN_OR_RETURN(bool done, CudaModelRunner::is_done(ticket));
      if (done || stop_) break;
      if (Clock::now() - start > kSpin) std::this_thread::sleep_for(kNap);
    }
    if (!stop_) result = runner_->collect(ticket);
    return {};
  });
  if (!status) result = {.step = CudaModelRunner::step_of(ticket), .slots = {}, .error = status.error().message};
  return result;
}

}  // namespace vllm::engine
