#pragma once
// Prompt lookup (Saxena 2023; vLLM's method "ngram"): what followed the same last words earlier in the sequence.
#include "engine/spec/drafter.h"

namespace vllm::engine {

struct NgramOptions {
  int min_length = 5, max_length = 5;  // of the suffix that must occur before; longer ones go first
};

/// The tokens after the first earlier occurrence of the longest matching suffix, at most `count`; none if nothing
/// matches. Linear in the number of tokens.
std::vector<TokenId> ngram_proposal(std::span<const TokenId> tokens, const NgramOptions& options, int count);

class NgramDrafter : public Drafter {
 public:
  explicit NgramDrafter(const NgramOptions& options) : options_(options) {}
  void start(SlotId, int64_t) override {}
  Status propose(std::span<const DraftRequest> requests, std::vector<std::vector<TokenId>>& drafts) override;

 private:
  NgramOptions options_;
};

}  // namespace vllm::engine
