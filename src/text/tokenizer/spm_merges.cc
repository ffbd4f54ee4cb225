#include "text/tokenizer/spm_merges.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vllm::text {
namespace {

constexpr size_t kMaxPiece = 256;

// Rank of each id: the number of distinct higher scores. A score that is no number ranks last.
std::vector<uint32_t> rank_by_score(const std::vector<double>& scores, int count) {
  const auto score = [&](TokenId id) {
    const double value = scores[static_cast<size_t>(id)];
    return std::isnan(value) ? -std::numeric_limits<double>::infinity() : value;
  };
  std::vector<TokenId> order(static_cast<size_t>(count));
  for (TokenId id = 0; id < count; ++id) order[static_cast<size_t>(id)] = id;
  std::sort(order.begin(), order.end(), [&](TokenId a, TokenId b) { return score(a) > score(b); });
  std::vector<uint32_t> ranks(order.size());
  uint32_t rank = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && score(order[i]) != score(order[i - 1])) ++rank;
    ranks[static_cast<size_t>(order[i])] = rank;
  }
  return ranks;
}

}  // namespace

std::vector<MergeRule> spm_merges(const Vocabulary& vocabulary, const std::vector<double>& scores) {
  const std::vector<uint32_t> ranks = rank_by_score(scores, vocabulary.size());
  std::vector<MergeRule> out;
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const std::string_view text = vocabulary.text(id);
    if (std::isnan(scores[static_cast<size_t>(id)])) continue;
    if (text.size() > kMaxPiece || vocabulary.find(text) != id) continue;
    for (size_t cut = 1; cut < text.size(); ++cut) {
      if ((static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) continue;  // within a character
      const TokenId left = vocabulary.find(text.substr(0, cut));
      if (left < 0) continue;
      const TokenId right = vocabulary.find(text.substr(cut));
      if (right >= 0) out.push_back({left, right, {ranks[static_cast<size_t>(id)], id}});
    }
  }
  return out;
}

}  // namespace vllm::text
