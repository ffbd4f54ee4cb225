#pragma once
// Values that cross threads between serve and engine. Plain data: no pointers into either side.
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vllm {

using TokenId = int32_t;
using RequestId = uint64_t;  // unique in the process; one per sequence (n > 1 and prompt lists fan out in serve)

/// How one sequence is sampled. Limits are already resolved: serve fills the model's and the server's defaults in.
struct SamplingParams {
  float temperature = 1.0f;  // 0 = greedy; [0, 2]
  float top_p = 1.0f;        // (0, 1]
  int top_k = 0;             // 0 = off
  float min_p = 0.0f;        // [0, 1]
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  float repetition_penalty = 1.0f;  // > 0
  uint64_t seed = 0;                // serve draws one where the request names none
  int max_tokens = 16;              // >= 1, already clamped to the room left in the context
  int min_tokens = 0;               // stop ids are masked before this many output tokens
  bool ignore_eos = false;
  std::vector<TokenId> eos_token_ids;   // of the model; skipped with ignore_eos, masked until min_tokens
  std::vector<TokenId> stop_token_ids;  // of the request
  std::vector<std::pair<TokenId, float>> logit_bias;
  std::vector<TokenId> allowed_token_ids;       // empty = all
  std::vector<std::vector<TokenId>> bad_words;  // token sequences that must not be completed
  std::optional<int>
      logprobs;  // number of top alternatives per output token; 0 = the sampled one only; -1 = whole vocabulary
  std::optional<int> prompt_logprobs;      // the same per prompt token; bypasses the prefix cache
  std::vector<TokenId> logprob_token_ids;  // also report these
};

enum class FinishReason : uint8_t { kStop, kLength, kAbort, kError };

/// One token's logprob, and its 1-based rank among all tokens (by logprob, ties by id).
struct TokenLogprob {
  TokenId token = 0;
  float logprob = 0;
  int rank = 0;
};
/// Logprobs at one position: [0] is the sampled (or prompt) token, then the top alternatives in falling order.
using PositionLogprobs = std::vector<TokenLogprob>;

struct EngineRequest {
  RequestId id = 0;
  std::vector<TokenId> prompt_token_ids;  // never empty
  SamplingParams sampling;
  int priority = 0;           // lower runs first, under --scheduling-policy priority
  double arrival_time_s = 0;  // steady clock; 0 = now
  std::string cache_salt;     // isolates the prefix cache between tenants
  // Sequences that are let in, or refused, with this one: n for the first choice of a prompt, 0 for the others.
  int num_admitted = 1;
};

/// What one step (or an abort) produced for one sequence.
struct EngineOutput {
  RequestId id = 0;
  std::vector<TokenId> new_token_ids;
  std::vector<PositionLogprobs> logprobs;  // one per new token, if asked for
  std::vector<PositionLogprobs>
      prompt_logprobs;  // one per prompt token but the first; whole, once, before or with the first token
  std::optional<FinishReason> finish_reason;  // set exactly once: the last output of the sequence
  std::optional<TokenId> stop_token;          // the stop_token_ids member that ended it (not EOS)
  std::string error;                          // with kError: what went wrong, fit for the client
  int num_cached_tokens = 0;  // prompt tokens served by the prefix cache; valid from the first output on
  int num_preemptions = 0;
  double scheduled_time_s = 0;  // steady clock: when the sequence was first scheduled
};

}  // namespace vllm
