#include "engine/spec/ngram_drafter.h"

#include <algorithm>

namespace vllm::engine {

// The longest suffix with an earlier occurrence, by Knuth, Morris and Pratt's failure function of the reversed tokens:
// its value at i is the length of the suffix of the sequence that ends i tokens before the end, too.
std::vector<TokenId> ngram_proposal(std::span<const TokenId> tokens, const NgramOptions& options, int count) {
  const auto size = static_cast<int64_t>(tokens.size());
  if (count <= 0 || size <= options.min_length) return {};
  auto reversed = [&](int64_t i) { return tokens[static_cast<size_t>(size - 1 - i)]; };
  std::vector<int32_t> prefix(static_cast<size_t>(options.max_length),
                              0);         // failure function of the first max_length tokens
  int64_t best_length = 0, best_end = 0;  // the match ends before tokens[best_end]
  int32_t length = 0;
  for (int64_t i = 1; i < size; ++i) {
    while (length > 0 && (length >= options.max_length || reversed(length) != reversed(i)))
      length = prefix[static_cast<size_t>(length - 1)];
    if (reversed(length) == reversed(i)) ++length;
    if (i < options.max_length) prefix[static_cast<size_t>(i)] = length;
    // The later in the reversed sequence, the earlier in the sequence: >= keeps the first occurrence.
    if (length >= best_length && length > 0) best_length = length, best_end = size - 1 - i + length;
  }
  if (best_length < options.min_length) return {};
  const int64_t end = std::min(size, best_end + count);
  return {tokens.begin() + best_end, tokens.begin() + end};
}

Status NgramDrafter::propose(std::span<const DraftRequest> requests, std::vector<std::vector<TokenId>>& drafts) {
  for (size_t i = 0; i < requests.size(); ++i)
    drafts[i] = ngram_proposal(requests[i].state->tokens, options_, requests[i].max_drafts);
  return {};
}

}  // namespace vllm::engine
