#include "text/tokenizer/unigram.h"

#include <algorithm>
#include <cmath>

#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

constexpr double kUnknownPenalty = 10;
constexpr size_t kMaxPiece = 512;  // bytes; longer pieces are never found, which bounds the time

}  // namespace

Unigram::Unigram(const Vocabulary& vocabulary, UnigramOptions options)
    : vocabulary_(&vocabulary), options_(std::move(options)) {
  options_.scores.resize(static_cast<size_t>(vocabulary.size()));
  std::vector<ByteTrie::Entry> pieces;
  double lowest = 0;
  bool any = false;
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    double& score = options_.scores[static_cast<size_t>(id)];
    if (!vocabulary.has(id) || std::isnan(score)) continue;
    score = std::clamp(score, -1e30, 1e30);
    const std::string_view text = vocabulary.text(id);
    lowest = any ? std::min(lowest, score) : score;
    any = true;
    if (text.size() <= kMaxPiece && vocabulary.find(text) == id) pieces.push_back({text, id});
  }
  pieces_.build(std::move(pieces));
  unk_score_ = lowest - kUnknownPenalty;
  for (int byte = 0; byte < 256; ++byte) {
    byte_ids_[static_cast<size_t>(byte)] =
        options_.byte_fallback ? vocabulary.find(fmt::format("<0x{:02X}>", byte)) : -1;
  }
}

void Unigram::encode(std::string_view word, std::vector<TokenId>& ids) const {
  struct Best {
    double score = 0;
    uint32_t start = UINT32_MAX;  // of the last piece; UINT32_MAX: not reached
    TokenId id = -1;
  };
  static thread_local std::vector<Best> best;
  best.assign(word.size() + 1, Best{});
  best[0].start = 0;
  const auto offer = [&](size_t start, size_t end, double so_far, double own, TokenId id) {
    Best& target = best[end];
    const double score = options_.single_precision ? double{static_cast<float>(so_far) + static_cast<float>(own)}
                                                   // one float addition
                                                   : so_far + own;
    if (target.start == UINT32_MAX || score > target.score) target = {score, static_cast<uint32_t>(start), id};
  };
  for (size_t pos = 0; pos < word.size();) {
    size_t next = pos;
    read_char(word, next);
    const double so_far = best[pos].score;
    bool single = false;
    pieces_.prefixes(word.substr(pos), [&](size_t length, int32_t id) {
      offer(pos, pos + length, so_far, options_.scores[static_cast<size_t>(id)], id);
      single = single || pos + length == next;
    });
    if (!single) offer(pos, next, so_far, unk_score_, -1);
    pos = next;
  }
  // Backwards; what is unknown side by side is one piece.
  std::vector<std::pair<uint32_t, TokenId>> pieces;  // start, id
  for (size_t end = word.size(); end > 0; end = best[end].start) {
    const Best& piece = best[end];
    const TokenId id = piece.id == options_.unk_id ? -1 : piece.id;
    if (id < 0 && !pieces.empty() && pieces.back().second < 0)
      pieces.back().first = piece.start;
    else
      pieces.emplace_back(piece.start, id);
  }
  if (best.capacity() > size_t{1} << 16) std::vector<Best>().swap(best);  // a huge prompt's memory is not kept
  for (size_t i = pieces.size(); i-- > 0;) {
    const auto& [start, id] = pieces[i];
    if (id >= 0)
      ids.push_back(id);
    else
      append_unknown(word.substr(start, (i > 0 ? pieces[i - 1].first : word.size()) - start), ids);
  }
}

void Unigram::append_unknown(std::string_view text, std::vector<TokenId>& ids) const {
  if (const TokenId id = vocabulary_->find(text); id >= 0) return ids.push_back(id);  // joined, it may be a piece
  const bool all =
      std::all_of(text.begin(), text.end(), [&](char c) { return byte_ids_[static_cast<unsigned char>(c)] >= 0; });
  if (all) {
    for (const char c : text) ids.push_back(byte_ids_[static_cast<unsigned char>(c)]);
  } else if (options_.unk_id >= 0) {
    ids.push_back(options_.unk_id);
  }
}

}  // namespace vllm::text
