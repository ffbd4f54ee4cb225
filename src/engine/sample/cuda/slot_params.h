#pragma once
// What the device keeps of one slot's sampling parameters: a fixed record and one run of words for its lists. Both
// travel as kernel arguments, so starting a sequence needs no staging memory and no waiting.
#include <cstdint>

#include "base/result.h"
#include "types/types.h"

namespace vllm::engine {

/// Words that a slot's lists may take on the device: 16 KB, half of what a kernel's arguments may hold.
inline constexpr int kSlotListWords = 4096;

/// In the list words follow each other: allowed ids; stop ids; bias ids; bias values (float bits); num_bad_words + 1
/// offsets into the bad words' tokens; those tokens.
struct SlotParams {
  uint64_t seed = 0;
  float inverse_temperature = 0;  // 0: greedy
  float log_min_p = 0;            // minus infinity: off
  float top_p = 1;
  int32_t top_k = 0;  // 0: off
  float repetition_penalty = 1, frequency_penalty = 0, presence_penalty = 0;
  int32_t penalty_table = -1;  // -1: no penalties
  int32_t min_tokens = 0;
  int32_t num_logprobs = -1;  // top alternatives; -1: no logprobs at all
  int32_t num_allowed = 0, num_stop = 0, num_bias = 0, num_bad_words = 0;
  int32_t num_words = 0;  // of all lists

  constexpr int stop_begin() const { return num_allowed; }
  constexpr int bias_begin() const { return stop_begin() + num_stop; }
  constexpr int bias_values() const { return bias_begin() + num_bias; }
  constexpr int bad_offsets() const { return bias_values() + num_bias; }
  constexpr int bad_tokens() const { return bad_offsets() + (num_bad_words > 0 ? num_bad_words + 1 : 0); }
};

struct PackedSlot {
  SlotParams params;
  int32_t lists[kSlotListWords];
};

bool uses_penalties(const SamplingParams& params);

/// Everything but the penalty table's number. kUnimplemented, with the reason, for what the device leaves to the host:
/// logprobs of prompts, of the whole vocabulary (or of more than kMaxDeviceLogprobs) and of named tokens; a token with
/// two biases; lists of more than kSlotListWords.
Status pack_slot(const SamplingParams& params, PackedSlot& out);

}  // namespace vllm::engine
