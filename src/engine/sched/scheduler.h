#pragma once
// Who runs in the next step, with how many tokens and which pages; and what a finished step means for its sequences.
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"
#include "engine/kv/block_manager.h"
#include "engine/sched/sequence.h"

namespace vllm::engine {

/// Plans steps and applies their results. Steps come back in the order they were planned; any number may be in flight.
/// Knows tokens and pages, no device and no thread. Engine thread only, except check().
class Scheduler {
 public:
  using Clock = std::function<double()>;  // seconds, steady
  using Outputs = std::vector<EngineOutput>;

  struct Counters {
    uint64_t prefix_cache_queries = 0, prefix_cache_hits = 0;  // tokens
    uint64_t num_preemptions = 0;
    uint64_t num_steps = 0;                                     // applied
    uint64_t num_prompt_tokens = 0, num_generation_tokens = 0;  // prompt tokens count with the first output token
    uint64_t num_drafts = 0, num_draft_tokens = 0, num_accepted_tokens = 0;
    std::vector<uint64_t> accepted_per_position;  // [num_speculative_tokens]
  };

  Scheduler(const EngineConfig& config, BlockManager& blocks, Clock clock);

  /// Refuse a request that can never run. Reads constants only: callable from any thread.
  Status check(const EngineRequest& request) const;
  /// Queue a request that check() accepted; no open sequence may have its id.
  void add(EngineRequest request);
  /// End a sequence; unknown and finished ids are ignored.
  void abort(RequestId id, Outputs& outputs);
  /// End every sequence with `reason`.
  void end_all(FinishReason reason, const std::string& error, Outputs& outputs);
  /// Plan a step; nullopt if there is nothing that can run before a step in flight comes back or a request arrives.
  std::optional<StepInput> schedule();
  /// Take the result of the oldest step in flight. An error means that the worker is dead or not to be trusted; nothing
  /// was changed then. Returns the number of tokens that the step ran.
  Result<int64_t> apply(StepResult result, Outputs& outputs);

  size_t num_waiting() const { return waiting_.size(); }
  size_t num_running() const { return running_.size(); }
  size_t num_in_flight() const { return in_flight_.size(); }
  bool idle() const { return waiting_.empty() && running_.empty() && in_flight_.empty(); }
  const Counters& counters() const { return counters_; }

 private:
  using Queue = std::map<SequenceOrder, Sequence*>;
  struct Item {
    Sequence* sequence;
    int32_t num_tokens;  // the bound given to the device
    int32_t num_fixed;   // of these, tokens that exist for certain; the rest are drafts
    bool samples;
    int32_t num_prompt_logprobs;  // rows of this share that predict a prompt token, if those are wanted
  };
  struct Step {
    StepId id = 0;
    std::vector<Item> items;
  };
  struct Plan {
    StepInput input;
    std::vector<Item> items;
    int64_t budget = 0;    // tokens left
    bool blocked = false;  // a running sequence found no pages: nobody new may take some
  };

  // planning (scheduler.cc)
  void plan_decodes(Plan& plan);
  void plan_prefills(Plan& plan);
  void plan_waiting(Plan& plan);
  int64_t chunk_of(const Sequence& sequence, int64_t left, int64_t budget) const;
  bool admit(Plan& plan, Sequence& sequence);
  int64_t make_room(Plan& plan, Sequence& sequence, int64_t num_fixed, int64_t num_drafts);
  void emit(Plan& plan, Sequence& sequence, int64_t num_tokens, int64_t num_fixed);

  // states of a sequence (lifecycle.cc)
  void preempt(Sequence& sequence);
  void wait_again(Sequence& sequence);
  void end(Sequence& sequence);
  void retire(Sequence& sequence);
  void release(Sequence& sequence);
  EngineOutput output_of(const Sequence& sequence) const;

  // results (apply.cc)
  Status check_result(const Step& step, const StepResult& result) const;
  void count_drafts(const SlotResult& result);
  int64_t apply_item(const Item& item, SlotResult result, Outputs& outputs);
  bool append_tokens(Sequence& sequence, SlotResult& result, EngineOutput& output);

  const EngineConfig config_;
  BlockManager& blocks_;
  const Clock clock_;
  const int64_t max_len_;  // tokens of a sequence, prompt and outputs: the context, or less if the pool is smaller
  std::unordered_map<uint64_t, std::unique_ptr<Sequence>> sequences_;  // all, by serial
  std::unordered_map<RequestId, Sequence*> open_;                      // all but the finished
  Queue waiting_, running_;
  std::deque<Step> in_flight_;
  int num_draining_ = 0;  // sequences preempted or finished whose slot and pages a step in flight still names
  std::vector<SlotId> free_slots_, ended_slots_;
  uint64_t next_serial_ = 0;
  StepId next_step_ = 1;
  Counters counters_;
};

}  // namespace vllm::engine
