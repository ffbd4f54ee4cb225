#pragma once
// What travels between the engine thread and the workers for one step: plain values with a versioned byte form and no
// pointers, so that a worker may be a thread, another process or another machine.
//
// A step is two launches: forward(StepInput) goes out at once, sample(SampleInput) when its grammar masks exist.
// The device owns num_computed_tokens, the last token and the token history of every slot; the scheduler sends slot
// ids, upper bounds and block-table deltas only, so a step can be planned before the one in front of it has come back.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "types/types.h"

namespace vllm::engine {

using StepId = uint64_t;
using SlotId = int32_t;  // a row of the device's sequence state; [0, max_num_seqs)

/// A sequence enters a slot: the worker copies its tokens and sampling parameters.
struct SlotStart {
  SlotId slot = 0;
  std::vector<TokenId> token_ids;   // prompt, and on resumption after preemption the tokens generated so far
  int64_t num_prompt_tokens = 0;    // the first of token_ids that are the client's prompt: penalties tell them apart
  int64_t num_computed_tokens = 0;  // served by the prefix cache
  SamplingParams sampling;
};

/// Pages of a slot, written into its block table of one group from first_index on. That is mostly an append; after
/// speculation it may overwrite entries whose pages were trimmed. A block id of 0 stands for a page that the group does
/// not have (positions before a sliding window) and must never be read; entries that slid out later are not sent as 0.
struct BlockDelta {
  SlotId slot = 0;
  int32_t group = 0;
  int32_t first_index = 0;  // position in the block table
  std::vector<int32_t> block_ids;
};

/// One sequence's share of a step.
struct SlotWork {
  SlotId slot = 0;
  int32_t num_tokens = 0;        // upper bound of the tokens to run; the device cuts it to what exists (speculation)
  bool samples = false;          // the last of these tokens is the newest known: a token is sampled from its logits
  bool prompt_logprobs = false;  // logits of all these rows are wanted
};

struct StepInput {
  StepId step = 0;
  std::vector<SlotId> ended;      // slots whose sequence left; applied first
  std::vector<SlotStart> starts;  // then these
  std::vector<BlockDelta> block_deltas;
  std::vector<SlotWork> work;  // decodes first; batch order
};

/// Tokens that the step runs, at most.
inline int64_t num_tokens(const StepInput& input) {
  int64_t sum = 0;
  for (const SlotWork& work : input.work) sum += work.num_tokens;
  return sum;
}

/// Masks are keyed by (slot, position), never by batch order.
struct GrammarMask {
  SlotId slot = 0;
  int64_t position = 0;        // of the token to be sampled
  std::vector<uint32_t> bits;  // ceil(vocab / 32) words; 1 = allowed
};

struct SampleInput {
  StepId step = 0;
  std::vector<GrammarMask> masks;
};

struct SlotResult {
  SlotId slot = 0;
  std::vector<TokenId> token_ids;          // sampled: one, several with speculation, none in the middle of a prefill
  std::vector<PositionLogprobs> logprobs;  // one per token, if asked for
  std::vector<PositionLogprobs>
      prompt_logprobs;     // of this chunk's rows that predict a prompt token: row p gives token p + 1
  int32_t num_drafts = 0;  // that the device proposed; token_ids holds the accepted ones and one more
};

struct StepResult {
  StepId step = 0;
  std::vector<SlotResult> slots;  // in the order of StepInput::work
  std::string error;              // not empty: the worker is dead, and why
};

/// Byte forms: little-endian, first a version number (u16) and the kind of value (u16). decode refuses other versions
/// and kinds, short and overlong input, and counts that the input is too short for; memory stays within a small
/// multiple of the input. There is one byte form of a value: whatever decodes, encodes to the same bytes. Ranges (slot
/// ids, page ids) are the reader's to check, who knows them.
inline constexpr uint16_t kStepVersion = 3;
std::string encode(const StepInput&);
std::string encode(const SampleInput&);
std::string encode(const StepResult&);
Result<StepInput> decode_step_input(std::string_view bytes);
Result<SampleInput> decode_sample_input(std::string_view bytes);
Result<StepResult> decode_step_result(std::string_view bytes);

}  // namespace vllm::engine
