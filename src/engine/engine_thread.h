#pragma once
// The engine: one thread that alone touches scheduler, sequences and pages. Everybody else sends it messages.
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>

#include "engine/engine.h"
#include "engine/exec/executor.h"
#include "engine/sched/scheduler.h"

namespace vllm::engine {

class EngineThread final : public Engine {
 public:
  EngineThread(const EngineConfig& config, std::vector<int64_t> sliding_windows, std::unique_ptr<Executor> executor,
               OutputSink sink);
  ~EngineThread() override;

  Status submit(EngineRequest request) override;
  void abort(RequestId id) override;
  EngineStats stats() const override;
  bool healthy() const override;
  std::string death_reason() const override;
  void reset_prefix_cache() override;
  void shutdown(double deadline_s) override;

 private:
  using Time = std::chrono::steady_clock::time_point;

  /// What the other threads asked for since the last look.
  struct Inbox {
    std::vector<EngineRequest> submits;
    std::vector<RequestId> aborts;  // of ids that were submitted before
    bool reset_prefix_cache = false;
    bool step_done = false;  // the executor has results
    bool stop = false;       // shutdown was called, or called again
    bool empty() const { return submits.empty() && aborts.empty() && !reset_prefix_cache && !step_done && !stop; }
  };
  enum class Phase { kServing, kStopping, kDead };

  Status check_queue(const EngineRequest& request) const;  // with the mutex held

  // Engine thread only.
  void run();
  void loop();
  Inbox wait(bool& expired);
  void admit(Inbox inbox);
  void take_results();
  void launch();
  void deliver();
  void publish();
  void die(const std::string& reason);
  void close(FinishReason reason, const std::string& error);

  const EngineConfig config_;
  const OutputSink sink_;
  BlockManager blocks_;
  Scheduler scheduler_;  // its check() is called by submit() too
  Scheduler::Outputs outputs_;
  std::vector<int> new_iteration_tokens_;

  mutable std::mutex mutex_;      // guards everything down to stats_
  std::condition_variable wake_;  // the engine thread's one wait
  Inbox inbox_;
  // Submitted, last output not yet handed to the sink; with the prompt's tokens until its first one is out.
  std::unordered_map<RequestId, size_t> open_;
  size_t queued_tokens_ = 0;  // the sum of open_; 0 without --max-num-queued-tokens
  Phase phase_ = Phase::kServing;
  Time deadline_ = Time::max();  // of kStopping
  std::string death_reason_;
  mutable EngineStats stats_;  // stats() takes iteration_tokens away

  std::unique_ptr<Executor> executor_;  // its wakeup uses the members above, so it goes before them
  std::mutex join_mutex_;               // guards thread_ against two shutdowns at once
  std::thread thread_;
};

}  // namespace vllm::engine
