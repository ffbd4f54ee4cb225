#include "engine/engine_thread.h"

#include <pthread.h>

#include <algorithm>

#include "base/log.h"
#include "profile/phases.h"

namespace vllm::engine {
namespace {

constexpr size_t kMaxOpenSequences = 65536;   // whatever --max-num-queued-reqs says
constexpr size_t kMaxIterationTokens = 4096;  // steps remembered for a snapshot that nobody takes

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

EngineThread::EngineThread(const EngineConfig& config, std::vector<int64_t> sliding_windows,
                           std::unique_ptr<Executor> executor, OutputSink sink)
    : config_(config),
      sink_(std::move(sink)),
      blocks_({.num_blocks = config.num_blocks,
               .block_size = config.block_size,
               .sliding_windows = std::move(sliding_windows),
               .enable_prefix_caching = config.enable_prefix_caching,
               .hash = siphash128}),
      scheduler_(config, blocks_, steady_seconds),
      executor_(std::move(executor)) {
  executor_->set_wakeup([this] {
    {
      std::lock_guard lock(mutex_);
      inbox_.step_done = true;
    }
    wake_.notify_one();
  });
  publish();
  thread_ = std::thread([this] { run(); });
}

EngineThread::~EngineThread() { shutdown(0); }

Status EngineThread::submit(EngineRequest request) {
  {
    std::lock_guard lock(mutex_);
    if (phase_ == Phase::kDead) return error(ErrorCode::kUnavailable, "the engine is dead: {}", death_reason_);
    if (phase_ == Phase::kStopping) return error(ErrorCode::kUnavailable, "the server is shutting down");
    RETURN_IF_ERROR(scheduler_.check(request));
    RETURN_IF_ERROR(check_queue(request));
    const size_t prompt_tokens = config_.max_num_queued_tokens > 0 ? request.prompt_token_ids.size() : 0;
    if (!open_.emplace(request.id, prompt_tokens).second)
      return invalid_argument("request id {} is in use", request.id);
    queued_tokens_ += prompt_tokens;
    inbox_.submits.push_back(std::move(request));
  }
  wake_.notify_one();
  return {};
}

// As vLLM's limits: on sequences with this one's, on tokens without it, so that a long prompt is not shut out for ever.
Status EngineThread::check_queue(const EngineRequest& request) const {
  if (request.num_admitted == 0) return {};  // came in with another choice of its prompt
  const size_t after = open_.size() + static_cast<size_t>(request.num_admitted);
  const auto most = static_cast<size_t>(config_.max_num_queued_reqs),
             most_tokens = static_cast<size_t>(config_.max_num_queued_tokens);
  if (after > kMaxOpenSequences || (most > 0 && after > most)) {
    return Error{ErrorCode::kResourceExhausted,
                 "The engine is currently busy and cannot accept new requests. Please try again later or on a "
                 "different instance.",
                 "max_num_queued_reqs"};
  }
  if (most_tokens > 0 && queued_tokens_ >= most_tokens) {
    return Error{ErrorCode::kResourceExhausted,
                 "The engine has reached its prefill token backlog limit. Please try again later or on a different "
                 "instance.",
                 "max_num_queued_tokens"};
  }
  return {};
}

void EngineThread::abort(RequestId id) {
  {
    std::lock_guard lock(mutex_);
    if (!open_.contains(id)) return;
    inbox_.aborts.push_back(id);
  }
  wake_.notify_one();
}

void EngineThread::reset_prefix_cache() {
  {
    std::lock_guard lock(mutex_);
    inbox_.reset_prefix_cache = true;
  }
  wake_.notify_one();
}

EngineStats EngineThread::stats() const {
  std::lock_guard lock(mutex_);
  std::vector<int> iteration_tokens = std::exchange(stats_.iteration_tokens, {});
  EngineStats snapshot = stats_;
  snapshot.num_waiting += static_cast<int>(inbox_.submits.size());
  snapshot.iteration_tokens = std::move(iteration_tokens);
  return snapshot;
}

bool EngineThread::healthy() const {
  std::lock_guard lock(mutex_);
  return phase_ != Phase::kDead;
}

std::string EngineThread::death_reason() const {
  std::lock_guard lock(mutex_);
  return death_reason_;
}

void EngineThread::shutdown(double deadline_s) {
  constexpr double kLongest = 1e8;  // seconds; keeps the sum inside the clock's range
  const double wait_s = deadline_s > 0 ? std::min(deadline_s, kLongest) : 0;  // NaN counts as 0
  {
    std::lock_guard lock(mutex_);
    const Time deadline =
        std::chrono::steady_clock::now() +
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(wait_s));
    deadline_ = std::min(deadline_, deadline);
    if (phase_ == Phase::kServing) phase_ = Phase::kStopping;
    inbox_.stop = true;
  }
  wake_.notify_one();
  std::lock_guard lock(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

void EngineThread::run() {
  ::pthread_setname_np(::pthread_self(), "engine");
  try {
    loop();
  } catch (const std::exception& e) {
    die(e.what());
  } catch (...) {
    die("unknown exception");
  }
}

void EngineThread::loop() {
  for (bool expired = false; !expired;) {
    admit(wait(expired));
    take_results();
    if (!expired) launch();
    publish();  // first: whoever has an answer finds it counted
    deliver();
    std::lock_guard lock(mutex_);
    if (phase_ == Phase::kDead) return;
    if (phase_ == Phase::kStopping && open_.empty() && scheduler_.num_in_flight() == 0) break;
  }
  close(FinishReason::kAbort, "");
}

// Sleep until there is a message, a result, or the deadline of a shutdown has come.
EngineThread::Inbox EngineThread::wait(bool& expired) {
  std::unique_lock lock(mutex_);
  while (inbox_.empty() && !expired) {
    if (phase_ == Phase::kServing)
      wake_.wait(lock);
    else
      expired = wake_.wait_until(lock, deadline_) == std::cv_status::timeout;
  }
  expired |= phase_ == Phase::kStopping && std::chrono::steady_clock::now() >= deadline_;
  stats_.num_waiting += static_cast<int>(inbox_.submits.size());  // until publish() counts anew
  return std::exchange(inbox_, {});
}

void EngineThread::admit(Inbox inbox) {
  if (inbox.reset_prefix_cache) blocks_.reset_prefix_cache();
  for (EngineRequest& request : inbox.submits) scheduler_.add(std::move(request));
  for (RequestId id : inbox.aborts) scheduler_.abort(id, outputs_);
}

void EngineThread::take_results() {
  for (StepResult& result : executor_->take_done()) {
    profile::PhaseScope phase("apply", static_cast<int64_t>(result.step));
    Result<int64_t> num_tokens = scheduler_.apply(std::move(result), outputs_);
    if (!num_tokens) return die(num_tokens.error().message);
    new_iteration_tokens_.push_back(static_cast<int>(*num_tokens));
  }
}

void EngineThread::launch() {
  {
    std::lock_guard lock(mutex_);
    if (phase_ == Phase::kDead) return;
  }
  while (scheduler_.num_in_flight() < static_cast<size_t>(executor_->phases())) {
    profile::PhaseScope phase("plan");
    std::optional<StepInput> input = scheduler_.schedule();
    if (!input) {
      phase.cancel();
      break;
    }
    const StepId step = input->step;
    phase.set_step(static_cast<int64_t>(step));
    executor_->forward(std::move(*input));
    executor_->sample({.step = step, .masks = {}});
  }
  // Cannot happen: what check() accepts fits when it is alone. A defect here must not hang clients.
  if (scheduler_.num_in_flight() == 0 && !scheduler_.idle()) {
    LOG_ERROR("engine: {} waiting and {} running sequences, and none can be scheduled", scheduler_.num_waiting(),
              scheduler_.num_running());
    scheduler_.end_all(FinishReason::kError, "internal error: the request could not be scheduled", outputs_);
  }
}

void EngineThread::deliver() {
  if (outputs_.empty()) return;
  profile::PhaseScope phase("deliver");
  {
    std::lock_guard lock(mutex_);
    for (const EngineOutput& output : outputs_) {
      if (!output.finish_reason && (config_.max_num_queued_tokens == 0 || output.new_token_ids.empty())) continue;
      const auto it = open_.find(output.id);
      if (it == open_.end()) continue;
      queued_tokens_ -= std::exchange(it->second, 0);
      if (output.finish_reason) open_.erase(it);
    }
  }
  sink_(std::exchange(outputs_, {}));
}

void EngineThread::publish() {
  const Scheduler::Counters& counters = scheduler_.counters();
  std::lock_guard lock(mutex_);
  stats_.num_running = static_cast<int>(scheduler_.num_running());
  stats_.num_waiting = static_cast<int>(scheduler_.num_waiting());
  stats_.num_blocks = blocks_.num_blocks();
  stats_.num_free_blocks = blocks_.num_free();
  stats_.block_size = config_.block_size;
  stats_.prefix_cache_queries = counters.prefix_cache_queries;
  stats_.prefix_cache_hits = counters.prefix_cache_hits;
  stats_.num_preemptions = counters.num_preemptions;
  stats_.num_steps = counters.num_steps;
  stats_.num_prompt_tokens = counters.num_prompt_tokens;
  stats_.num_generation_tokens = counters.num_generation_tokens;
  stats_.num_drafts = counters.num_drafts;
  stats_.num_draft_tokens = counters.num_draft_tokens;
  stats_.num_accepted_tokens = counters.num_accepted_tokens;
  stats_.accepted_per_position = counters.accepted_per_position;
  for (int num_tokens : new_iteration_tokens_)
    if (stats_.iteration_tokens.size() < kMaxIterationTokens) stats_.iteration_tokens.push_back(num_tokens);
  new_iteration_tokens_.clear();
}

// The worker cannot be used any more: answer everybody, and refuse whoever comes.
void EngineThread::die(const std::string& reason) {
  LOG_ERROR("engine: dead: {}", reason);
  {
    std::lock_guard lock(mutex_);
    phase_ = Phase::kDead;
    death_reason_ = reason;
  }
  close(FinishReason::kError, "the engine is dead: " + reason);
}

// End whatever is open, also what was submitted while the decision fell. Called last on the engine thread.
void EngineThread::close(FinishReason reason, const std::string& error) {
  try {
    Inbox inbox;
    {
      std::lock_guard lock(mutex_);  // phase_ is not kServing any more: nothing comes in after this
      inbox = std::exchange(inbox_, {});
    }
    admit(std::move(inbox));
    scheduler_.end_all(reason, error, outputs_);
    publish();
    deliver();
  } catch (const std::exception& e) {
    LOG_ERROR("engine: while closing: {}", e.what());
  } catch (...) {
    LOG_ERROR("engine: while closing: unknown exception");
  }
}

}  // namespace vllm::engine
