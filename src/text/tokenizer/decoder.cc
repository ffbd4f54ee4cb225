#include "text/tokenizer/decoder.h"

#include <algorithm>
#include <charconv>

#include "text/tokenizer/bpe.h"

namespace vllm::text {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";
constexpr size_t kMaxContent = 64;
constexpr size_t kMaxReplacements = 8;

// What Hugging Face's WordPiece cleans up in each token.
constexpr std::pair<std::string_view, std::string_view> kCleanup[] = {
    {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
    {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  size_t done = 0;
  for (size_t at; (at = text.find(from, done)) != std::string_view::npos; done = at + from.size()) {
    out.append(text.substr(done, at - done)).append(to);
  }
  return out.append(text.substr(done));
}

// Flattens nested sequences; null members are dropped.
Status flatten(const json::value& value, std::vector<const json::object*>& steps) {
  const json::object* step = value.if_object();
  const auto type = step ? get_string(*step, "type") : std::nullopt;
  if (!type) return invalid_argument("decoder must be an object with a `type`");
  if (*type != "Sequence") return steps.push_back(step), Status::ok();
  const json::array* members = get_array(*step, "decoders");
  if (!members) return invalid_argument("decoder Sequence has no list `decoders`");
  for (const json::value& member : *members) RETURN_IF_ERROR(flatten(member, steps));
  return Status::ok();
}

}  // namespace

Decoder Decoder::make_byte_level() {
  Decoder out;
  out.byte_level_ = true;
  return out;
}

Decoder Decoder::make_sentencepiece(bool strip_leading_space) {
  Decoder out;
  out.byte_fallback_ = true;
  out.strip_leading_space_ = strip_leading_space;
  out.replacements_.emplace_back(kMetaspace, " ");
  return out;
}

Decoder Decoder::make_word_piece(std::string prefix, bool cleanup) {
  Decoder out;
  out.word_piece_ = true;
  out.cleanup_ = cleanup;
  out.prefix_ = std::move(prefix);
  out.strip_leading_space_ = true;
  return out;
}

Result<Decoder> Decoder::from_json(const json::value& value) {
  if (value.is_null()) return error(ErrorCode::kUnimplemented, "a tokenizer without a decoder is not supported");
  std::vector<const json::object*> steps;
  RETURN_IF_ERROR(flatten(value, steps));
  Decoder out;
  bool fused = false;
  for (const json::object* step : steps) {
    const std::string type = *get_string(*step, "type");
    const auto bad_order = [&] {
      return error(ErrorCode::kUnimplemented, "decoder {} at this place of the sequence is not supported", type);
    };
    if (type == "Fuse") {
      fused = true;
    } else if (type == "ByteLevel") {
      if (steps.front() != step) return bad_order();
      out.byte_level_ = true;
      fused = true;
    } else if (type == "Replace") {
      const json::object* pattern = get_object(*step, "pattern");
      auto literal = pattern ? get_string(*pattern, "String") : std::nullopt;
      auto content = get_string(*step, "content");
      if (!literal || literal->empty() || !content || content->size() > kMaxContent) {
        return error(ErrorCode::kUnimplemented, "decoder Replace: only a short literal `pattern` is supported");
      }
      if (fused || out.byte_fallback_ || out.replacements_.size() >= kMaxReplacements) return bad_order();
      out.replacements_.emplace_back(std::move(*literal), std::move(*content));
    } else if (type == "ByteFallback") {
      if (fused) return bad_order();
      out.byte_fallback_ = true;
    } else if (type == "Metaspace") {
      if (fused || out.byte_fallback_) return bad_order();
      out.replacements_.emplace_back(get_string(*step, "replacement").value_or(std::string(kMetaspace)), " ");
      if (out.replacements_.back().first.empty()) return invalid_argument("decoder Metaspace: `replacement` is empty");
      const bool prefix = get_bool(*step, "add_prefix_space").value_or(true);
      out.strip_leading_space_ = prefix && get_string(*step, "prepend_scheme").value_or("always") != "never";
    } else if (type == "WordPiece") {
      if (steps.size() != 1) return bad_order();
      return make_word_piece(get_string(*step, "prefix").value_or("##"), get_bool(*step, "cleanup").value_or(true));
    } else if (type == "Strip") {
      const int64_t start = get_int(*step, "start").value_or(0);
      if (!fused || out.byte_level_ || get_string(*step, "content") != " " || start < 0 || start > 1 ||
          get_int(*step, "stop").value_or(0) != 0) {
        return error(ErrorCode::kUnimplemented, "decoder Strip: only one leading blank of the fused text is supported");
      }
      out.strip_leading_space_ = out.strip_leading_space_ || start == 1;
    } else {
      return error(
          ErrorCode::kUnimplemented,
          "decoder {} is not supported (known: Sequence, ByteLevel, Metaspace, Replace, ByteFallback, Fuse, Strip, "
          "WordPiece)",
          type);
    }
  }
  return out;
}

std::string Decoder::token_bytes(std::string_view token) const {
  std::string out;
  if (word_piece_) {
    if (!prefix_.empty() && token.starts_with(prefix_)) return std::string(token.substr(prefix_.size()));
    out.append(" ").append(token);
    if (cleanup_) {
      for (const auto& [from, to] : kCleanup) out = replace_all(out, from, to);
    }
    return out;
  }
  if (byte_level_) {
    // A token with any character outside of the byte alphabet stands for itself (added tokens with blanks).
    return from_byte_alphabet(token, out) ? out : std::string(token);
  }
  out = token;
  for (const auto& [from, to] : replacements_) out = replace_all(out, from, to);
  if (byte_fallback_ && out.size() == 6 && out.starts_with("<0x") && out.back() == '>') {
    unsigned byte = 0;
    const auto [end, code] = std::from_chars(out.data() + 3, out.data() + 5, byte, 16);
    if (code == std::errc() && end == out.data() + 5) return std::string(1, static_cast<char>(byte));
  }
  return out;
}

// Without temporary strings for the two common kinds: a vocabulary has a quarter of a million tokens.
void Decoder::append_bytes(std::string_view token, std::vector<char>& out) const {
  if (byte_level_ && append_byte_alphabet(token, out)) return;
  const bool metaspace =
      replacements_.size() == 1 && replacements_[0].first == kMetaspace && replacements_[0].second == " ";
  const bool maybe_byte = byte_fallback_ && token.size() == 6 && token[0] == '<';
  if (!byte_level_ && !word_piece_ && metaspace && !maybe_byte) {
    for (size_t done = 0; done < token.size();) {
      const size_t at = std::min(token.find(kMetaspace, done), token.size());
      out.insert(out.end(), token.begin() + static_cast<std::ptrdiff_t>(done),
                 token.begin() + static_cast<std::ptrdiff_t>(at));
      if (at < token.size()) out.push_back(' ');
      done = at + kMetaspace.size();
    }
    return;
  }
  const std::string bytes = token_bytes(token);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace vllm::text
