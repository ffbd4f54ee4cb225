#include "text/tokenizer/word_piece.h"

#include <algorithm>

namespace vllm::text {

WordPiece::WordPiece(const Vocabulary& vocabulary, const WordPieceOptions& options) : options_(options) {
  std::vector<ByteTrie::Entry> starts, continuations;
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const std::string_view text = vocabulary.text(id);
    if (text.empty() || vocabulary.find(text) != id) continue;
    starts.push_back({text, id});
    if (text.starts_with(options.continuation)) continuations.push_back({text.substr(options.continuation.size()), id});
  }
  starts_.build(std::move(starts));
  continuations_.build(std::move(continuations));
}

void WordPiece::encode(std::string_view word, std::vector<TokenId>& ids) const {
  const size_t before = ids.size();
  const auto chars = std::count_if(word.begin(), word.end(), [](char c) { return (c & 0xC0) != 0x80; });
  for (size_t pos = 0; pos < word.size();) {
    const ByteTrie& pieces = pos == 0 ? starts_ : continuations_;
    const auto match =
        static_cast<size_t>(chars) <= options_.max_chars ? pieces.longest_prefix(word.substr(pos)) : ByteTrie::Match{};
    if (match.value < 0) {
      ids.resize(before);
      if (options_.unk_id >= 0) ids.push_back(options_.unk_id);
      return;
    }
    ids.push_back(match.value);
    pos += match.length;
  }
}

}  // namespace vllm::text
