#pragma once
// The merge loop of BPE.
#include <vector>

#include "text/tokenizer/hash_map.h"
#include "types/types.h"

namespace vllm::text {

/// Merge adjacent symbols, lowest rank first and leftmost among equals, until none merges; append the result to `ids`.
/// O(n log n); `symbols` is left in an unspecified state.
void merge_symbols(const MergeMap& merges, std::vector<TokenId>& symbols, std::vector<TokenId>& ids);

}  // namespace vllm::text
