#pragma once
// SentencePiece BPE as merge rules: any two adjacent pieces may merge if the result is a piece; the best score goes
// first.
#include <vector>

#include "text/tokenizer/bpe.h"
#include "text/tokenizer/vocabulary.h"

namespace vllm::text {

/// `scores` by id, at least vocabulary.size() of them. Pieces of equal score share a rank: the leftmost goes first, as
/// in SentencePiece. Pieces of more than 256 bytes, or whose score is no number, are never the result of a merge.
std::vector<MergeRule> spm_merges(const Vocabulary& vocabulary, const std::vector<double>& scores);

}  // namespace vllm::text
