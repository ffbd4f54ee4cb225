// tokenizer.model: parts of a tokenizer from what SentencePiece's file holds.
#include <algorithm>
#include <deque>
#include <limits>

#include "text/tokenizer/raw_vocabularies.h"
#include "text/tokenizer/spm_merges.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";

std::optional<TokenId> id_of(const SpmModel& model, int64_t id) {
  return id >= 0 && id < static_cast<int64_t>(model.pieces.size()) ? std::optional(static_cast<TokenId>(id))
                                                                   : std::nullopt;
}

Normalizer make_normalizer(const SpmModel& model, Charsmap map) {
  std::vector<NormalizeStep> steps;
  if (map.empty() && !model.remove_extra_whitespaces) {
    if (model.add_dummy_prefix) steps.emplace_back(NormalizePrepend{std::string(kMetaspace)});
    steps.emplace_back(NormalizeReplace{.literal = " ", .regex = nullptr, .content = std::string(kMetaspace)});
  } else {
    const SentencePieceRules rules{.add_dummy_prefix = model.add_dummy_prefix,
                                   .remove_extra_whitespaces = model.remove_extra_whitespaces};
    steps.emplace_back(NormalizeCharsmap{std::make_shared<const Charsmap>(std::move(map)), rules});
  }
  return Normalizer(std::move(steps));
}

}  // namespace

Result<TokenizerParts> parse_sentencepiece(std::string_view bytes, bool control_in_text) {
  ASSIGN_OR_RETURN(const SpmModel model, parse_spm_proto(bytes));
  TokenizerParts parts;
  std::deque<std::string> repaired;
  std::vector<Vocabulary::Entry> entries;
  std::vector<double> scores;  // of what a merge or a path may end in; others are no numbers
  const bool unigram = model.kind == SpmModel::Kind::kUnigram;
  float highest = std::numeric_limits<float>::lowest();
  for (const SpmModel::Piece& piece : model.pieces) {
    if (piece.type == SpmModel::kNormal) highest = std::max(highest, piece.score);
  }
  for (const SpmModel::Piece& piece : model.pieces) {
    const std::string_view text = is_utf8(piece.text) ? piece.text : repaired.emplace_back(repair_utf8(piece.text));
    const auto id = static_cast<TokenId>(scores.size());
    const bool control = piece.type == SpmModel::kControl || piece.type == SpmModel::kUnknown;
    const bool plain = piece.type == SpmModel::kNormal || piece.type == SpmModel::kUserDefined;
    scores.push_back(plain ? double{piece.score} : std::numeric_limits<double>::quiet_NaN());
    // A unigram model gives such pieces a score that nothing usual reaches; BPE cuts them out before it starts.
    if (unigram && piece.type == SpmModel::kUserDefined)
      scores.back() = double{static_cast<float>(text.size()) * highest - 0.1F};
    if (control || (piece.type == SpmModel::kUserDefined && !unigram)) {
      parts.added.push_back({.content = std::string(text),
                             .id = id,
                             .normalized = piece.type == SpmModel::kUserDefined,
                             .special = control,
                             .in_text = !control || control_in_text});
    }
    if (!control || control_in_text) entries.push_back({text, id});
  }
  ASSIGN_OR_RETURN(Vocabulary vocabulary, Vocabulary::build(entries));
  parts.model = std::make_shared<const Vocabulary>(std::move(vocabulary));
  ASSIGN_OR_RETURN(Charsmap map, Charsmap::parse(model.charsmap));
  parts.normalizer = make_normalizer(model, std::move(map));
  const TokenId unk = id_of(model, model.unk_id).value_or(-1);
  if (!unigram) {
    parts.merges = spm_merges(*parts.model, scores);
    parts.bpe = {.byte_fallback = model.byte_fallback, .fuse_unk = true, .unk_id = unk};
    parts.kind = "SentencePiece BPE";
  } else {
    parts.unigram = UnigramOptions{
        .scores = std::move(scores), .unk_id = unk, .byte_fallback = model.byte_fallback, .single_precision = true};
    parts.kind = "SentencePiece Unigram";
  }
  parts.decoder = Decoder::make_sentencepiece(model.add_dummy_prefix);
  parts.bos = id_of(model, model.bos_id);
  parts.eos = id_of(model, model.eos_id);
  return parts;
}

}  // namespace vllm::text
