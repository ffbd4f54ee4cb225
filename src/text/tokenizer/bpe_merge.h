#pragma once
// The merge loop of BPE.
#include <span>
#include <string_view>
#include <vector>

#include "text/tokenizer/hash_map.h"
#include "types/types.h"

namespace vllm::text {

/// Merge adjacent symbols, lowest rank first and leftmost among equals, until none merges; append the result to `ids`.
/// O(n log n); `symbols` is left in an unspecified state.
void merge_symbols(const MergeMap& merges, std::vector<TokenId>& symbols, std::vector<TokenId>& ids);

/// The same for the bytes of `word` (at most kMaxScan): `symbols` has a token for each, `byte_merges` the merge of each
/// pair of bytes.
inline constexpr size_t kMaxScan = 32;  // symbols; above it a heap pays
void merge_bytes(const MergeMap& merges, const Merge* byte_merges, std::string_view word, std::span<TokenId> symbols,
                 std::vector<TokenId>& ids);

}  // namespace vllm::text
