#pragma once
// The engine as serve sees it: requests and aborts go in, outputs come out of a callback.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "types/types.h"

namespace vllm::engine {

/// A snapshot for /metrics and /load; counters since start.
struct EngineStats {
  int num_running = 0, num_waiting = 0;
  int64_t num_blocks = 0, num_free_blocks = 0;  // null block excluded; cached but unused blocks count as free
  int block_size = 0;
  uint64_t prefix_cache_queries = 0, prefix_cache_hits = 0;  // tokens
  uint64_t num_preemptions = 0;
  uint64_t num_steps = 0;
  uint64_t num_prompt_tokens = 0, num_generation_tokens = 0;  // prompt tokens count when their prefill ends
  // Speculative decoding: proposals, their tokens, those that the model agreed with, and these by place in the
  // proposal.
  uint64_t num_drafts = 0, num_draft_tokens = 0, num_accepted_tokens = 0;
  std::vector<uint64_t> accepted_per_position;  // [num_speculative_tokens]
  std::vector<int> iteration_tokens;            // tokens of each step since the last snapshot (bounded): for one reader
};

/// Receives outputs on the engine thread: must return at once, never block and never call shutdown; submit and abort
/// are fine.
using OutputSink = std::function<void(std::vector<EngineOutput>&&)>;

class Engine {
 public:
  virtual ~Engine() = default;
  /// Queue a sequence. kInvalidArgument if it can never run (prompt longer than the context or than the whole KV pool),
  /// kResourceExhausted if it would go over a limit of the queue, whose name is the error's `param`
  /// (max_num_queued_reqs, max_num_queued_tokens), kUnavailable when the engine is dead or stopping.
  /// After ok, exactly one output with a finish_reason follows, whatever happens.
  virtual Status submit(EngineRequest request) = 0;
  /// Ask a sequence to end; unknown ids are ignored. Its last output says kAbort, unless it finished first.
  virtual void abort(RequestId id) = 0;
  virtual EngineStats stats() const = 0;
  /// False after a fatal error of a worker: every open sequence was answered with kError.
  virtual bool healthy() const = 0;
  virtual std::string death_reason() const = 0;
  /// Forget all cached blocks (tests, /reset_prefix_cache): no sequence submitted after this call is served by them.
  virtual void reset_prefix_cache() = 0;
  /// No more submits; waits until every sequence has ended or `deadline_s` passed, then aborts the rest and joins the
  /// threads.
  virtual void shutdown(double deadline_s) = 0;
};

struct EngineConfig {
  int max_num_seqs = 128;
  int max_num_batched_tokens = 2048;
  int64_t max_model_len = 4096;
  int block_size = 16;
  int64_t num_blocks = 0;  // of the pool, null block included
  bool enable_prefix_caching = true;
  bool enable_chunked_prefill = true;
  enum class Policy { kFcfs, kPriority } policy = Policy::kFcfs;
  int64_t long_prefill_token_threshold = 0;  // 0 = off: cap of one sequence's prefill chunk
  // Tokens of a step that both decodes and prefills: so many for each sequence that runs or could, within these bounds;
  // 0 as the upper one = max_num_batched_tokens. Prompt tokens beside decodes use weights that are read anyway, but
  // every decode waits for them. Few of them ride most cheaply; with many sequences, more are needed so that all get to
  // decode.
  int64_t mixed_batch_tokens_per_sequence = 8, min_mixed_batch_tokens = 512, max_mixed_batch_tokens = 0;
  int max_num_queued_reqs = 0;        // sequences that wait or run; 0 = no limit
  int64_t max_num_queued_tokens = 0;  // prompt tokens of sequences without a first token; 0 = no limit
  int num_speculative_tokens = 0;     // drafts the device may add to a decode: it then yields 1..n+1 tokens a step
};

}  // namespace vllm::engine
