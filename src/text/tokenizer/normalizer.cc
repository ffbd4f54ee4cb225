#include "text/tokenizer/normalizer.h"

#include <algorithm>
#include <array>

#include "text/tokenizer/base64.h"
#include "text/tokenizer/unicode.h"
#include "text/tokenizer/unicode_forms.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

constexpr size_t kMaxSteps = 64;
constexpr size_t kMaxContent = 1024;  // bytes of a replacement
constexpr size_t kMaxGrowth = 16;     // times the input, plus 64 KiB

constexpr std::pair<std::string_view, NormalizeForm> kForms[] = {{"NFC", NormalizeForm::kNfc},
                                                                 {"NFD", NormalizeForm::kNfd},
                                                                 {"NFKC", NormalizeForm::kNfkc},
                                                                 {"NFKD", NormalizeForm::kNfkd},
                                                                 {"Lowercase", NormalizeForm::kLowercase},
                                                                 {"StripAccents", NormalizeForm::kStripAccents}};

Result<NormalizeStep> parse_replace(const json::object& step) {
  NormalizeReplace replace;
  const json::object* pattern = get_object(step, "pattern");
  const auto content = get_string(step, "content");
  if (!pattern || !content) return invalid_argument("normalizer Replace needs `pattern` and `content`");
  if (content->size() > kMaxContent)
    return invalid_argument("normalizer Replace: `content` is longer than {} bytes", kMaxContent);
  replace.content = *content;
  if (auto literal = get_string(*pattern, "String"); literal && !literal->empty()) {
    replace.literal = *literal;
  } else if (auto regex = get_string(*pattern, "Regex")) {
    ASSIGN_OR_RETURN(Regex compiled, Regex::compile(*regex).with_context("normalizer Replace"));
    replace.regex = std::make_shared<const Regex>(std::move(compiled));
  } else {
    return invalid_argument(
        "normalizer Replace: `pattern` must be {{\"String\": ...}} or {{\"Regex\": ...}}, not empty");
  }
  return NormalizeStep(std::move(replace));
}

Status parse_into(const json::value& value, std::vector<NormalizeStep>& steps) {
  if (value.is_null()) return Status::ok();
  const json::object* step = value.if_object();
  const auto type = step ? get_string(*step, "type") : std::nullopt;
  if (!type) return invalid_argument("normalizer must be null or an object with a `type`");
  if (steps.size() >= kMaxSteps) return invalid_argument("more than {} normalizers", kMaxSteps);
  if (*type == "Sequence") {
    const json::array* members = get_array(*step, "normalizers");
    if (!members) return invalid_argument("normalizer Sequence has no list `normalizers`");
    for (const json::value& member : *members) RETURN_IF_ERROR(parse_into(member, steps));
    return Status::ok();
  }
  if (*type == "Prepend") {
    auto prefix = get_string(*step, "prepend");
    if (!prefix || prefix->size() > kMaxContent) return invalid_argument("normalizer Prepend: bad `prepend`");
    steps.emplace_back(NormalizePrepend{std::move(*prefix)});
    return Status::ok();
  }
  if (*type == "Replace") {
    ASSIGN_OR_RETURN(NormalizeStep replace, parse_replace(*step));
    steps.push_back(std::move(replace));
    return Status::ok();
  }
  if (*type == "Strip") {
    steps.emplace_back(
        NormalizeStrip{get_bool(*step, "strip_left").value_or(true), get_bool(*step, "strip_right").value_or(true)});
    return Status::ok();
  }
  if (*type == "Precompiled") {
    const auto base64 = get_string(*step, "precompiled_charsmap").value_or("");
    std::string bytes;
    if (!from_base64(base64, bytes)) return invalid_argument("normalizer Precompiled: the map is no base64");
    ASSIGN_OR_RETURN(Charsmap map, Charsmap::parse(bytes).with_context("normalizer Precompiled"));
    steps.emplace_back(NormalizeCharsmap{std::make_shared<const Charsmap>(std::move(map)), std::nullopt});
    return Status::ok();
  }
  if (*type == "BertNormalizer") {
    NormalizeBert bert;
    bert.clean_text = get_bool(*step, "clean_text").value_or(true);
    bert.handle_chinese_chars = get_bool(*step, "handle_chinese_chars").value_or(true);
    bert.lowercase = get_bool(*step, "lowercase").value_or(true);
    bert.strip_accents = get_bool(*step, "strip_accents").value_or(bert.lowercase);
    steps.emplace_back(bert);
    return Status::ok();
  }
  for (const auto& [name, form] : kForms) {
    if (*type == name) return steps.emplace_back(form), Status::ok();
  }
  return error(
      ErrorCode::kUnimplemented,
      "normalizer {} is not supported (known: Sequence, Prepend, Replace, Strip, NFC, NFD, NFKC, NFKD, Lowercase, "
      "StripAccents, Precompiled, BertNormalizer)",
      *type);
}

// A literal character by another text, as SentencePiece's blanks: no list of places first.
void replace_char(char from, std::string_view to, std::string& text, size_t max_size) {
  const auto count = static_cast<size_t>(std::count(text.begin(), text.end(), from));
  if (count == 0) return;
  std::string out;
  out.reserve(std::min(text.size() + count * to.size(), max_size + 1));
  for (size_t done = 0; done < text.size() && out.size() <= max_size;) {
    const size_t at = std::min(text.find(from, done), text.size());
    out.append(text, done, at - done);
    if (at < text.size()) out += to;
    done = at + 1;
  }
  text = std::move(out);
}

Status apply_replace(const NormalizeReplace& rule, std::string& text, size_t max_size) {
  if (!rule.regex && rule.literal.size() == 1)
    return replace_char(rule.literal[0], rule.content, text, max_size), Status::ok();
  std::vector<RegexMatch> matches;
  if (rule.regex) {
    RETURN_IF_ERROR(rule.regex->find_all(text, matches));
  } else {
    for (size_t at = 0; (at = text.find(rule.literal, at)) != std::string::npos; at += rule.literal.size()) {
      matches.push_back({static_cast<uint32_t>(at), static_cast<uint32_t>(at + rule.literal.size())});
    }
  }
  if (matches.empty()) return Status::ok();
  std::string out;
  out.reserve(text.size());
  size_t done = 0;
  for (const RegexMatch& match : matches) {
    out.append(text, done, match.begin - done).append(rule.content);
    done = match.end;
    if (out.size() > max_size) break;
  }
  if (out.size() <= max_size) out.append(text, done);
  text = std::move(out);
  return Status::ok();
}

void strip(const NormalizeStrip& rule, std::string& text) {
  const CharClasses& classes = CharClasses::get();
  size_t begin = 0, end = text.size();
  while (rule.left && begin < end) {
    size_t next = begin;
    if (!classes.is(read_char(text, next), kSpace)) break;
    begin = next;
  }
  while (rule.right && end > begin) {
    const size_t last = previous_char(text, end);
    size_t pos = last;
    if (!classes.is(read_char(text, pos), kSpace)) break;
    end = last;
  }
  text = text.substr(begin, end - begin);
}

void strip_marks(std::string& text, int marks) {
  const CharClasses& classes = CharClasses::get();
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    if (!classes.is(read_char(text, pos), marks)) out.append(text, begin, pos - begin);
  }
  text = std::move(out);
}

// The ranges that BERT's own code lists (one of them with its slip of a digit).
bool stands_alone(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

// A run without ASCII, but for characters that are dropped.
void append_bert_run(const NormalizeBert& rule, std::string_view run, std::string& out) {
  const CharClasses& classes = CharClasses::get();
  std::string clean;
  for (size_t pos = 0; pos < run.size();) {
    const size_t begin = pos;
    const char32_t code = read_char(run, pos);
    const int cls = classes[code];
    if (rule.clean_text) {
      if (code == 0xFFFD || (cls & kInvisible) != 0) continue;
      if (cls & kSpace) {
        clean += ' ';
        continue;
      }
    }
    const bool alone = rule.handle_chinese_chars && stands_alone(code);
    if (alone) clean += ' ';
    clean.append(run, begin, pos - begin);
    if (alone) clean += ' ';
  }
  if (rule.strip_accents) {
    clean = normalize_unicode(clean, false, false);
    strip_marks(clean, kNonspacing);
  }
  out += rule.lowercase ? lowercase(clean) : clean;
}

// What append_bert_run makes of each character of U+3000 to U+30FF (kana) and U+FF00 to U+FFFF (fullwidth forms) by
// itself. In a text it is the same: they have no marks that the rule keeps, and case is a matter of each character.
class BertBlocks {
 public:
  static const BertBlocks& get(const NormalizeBert& rule) {
    static const std::array<BertBlocks, 16> all = [] {
      std::array<BertBlocks, 16> out;
      for (size_t i = 0; i < out.size(); ++i) out[i].build({(i & 1) != 0, (i & 2) != 0, (i & 4) != 0, (i & 8) != 0});
      return out;
    }();
    return all[size_t{rule.clean_text} | size_t{rule.handle_chinese_chars} << 1 | size_t{rule.strip_accents} << 2 |
               size_t{rule.lowercase} << 3];
  }
  /// Appends what the character of three bytes at `p` becomes; false if it is none of those.
  bool append(const char* p, std::string& out) const {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(p[i]); };
    const size_t row = byte(0) == 0xE3 && byte(1) < 0x84 ? 0 : byte(0) == 0xEF && byte(1) >= 0xBC ? 4 : 8;
    if (row == 8) return false;
    const Text& text = texts_[(row + byte(1) % 4) << 6 | (byte(2) & 0x3F)];
    if (text.size > sizeof text.bytes) return false;
    out.append(text.bytes, text.size);
    return true;
  }

 private:
  struct Text {
    uint8_t size = 255;  // no entry
    char bytes[7];
  };
  void build(const NormalizeBert& rule) {
    for (size_t i = 0; i < texts_.size(); ++i) {
      const auto code = static_cast<char32_t>((i < 256 ? 0x3000 : 0xFE00) + i);
      if (code >= 0x302A && code <= 0x302F) continue;  // marks, some of which stay
      std::string one, out;
      append_char(one, code);
      append_bert_run(rule, one, out);
      if (out.size() > sizeof Text::bytes) continue;
      texts_[i].size = static_cast<uint8_t>(out.size());
      std::copy(out.begin(), out.end(), texts_[i].bytes);
    }
  }
  std::array<Text, 512> texts_;
};

// ASCII goes through a table. Characters of the main block of Chinese and Japanese stay as they are; like ASCII they
// neither decompose nor reorder, so that what lies between can be normalized by itself.
void apply_bert(const NormalizeBert& rule, std::string& text) {
  const CharClasses& classes = CharClasses::get();
  std::array<char, 128> ascii;  // 0: dropped, if the text is cleaned
  for (size_t i = 0; i < ascii.size(); ++i) {
    const auto code = static_cast<char32_t>(i);
    const bool blank = code == '\t' || code == '\n' || code == '\r' || code == ' ';
    ascii[i] = static_cast<char>(i);
    if (rule.clean_text) ascii[i] = blank ? ' ' : classes.is(code, kInvisible) ? '\0' : ascii[i];
    if (rule.lowercase && code >= 'A' && code <= 'Z') ascii[i] = static_cast<char>(i + 32);
  }
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  const auto byte = [&](size_t pos) { return static_cast<unsigned char>(text[pos]); };
  const auto is_ideograph = [&](size_t pos) {  // U+4E00 to U+9FFF
    return byte(pos) >= 0xE4 && byte(pos) <= 0xE9 && (byte(pos) > 0xE4 || byte(pos + 1) >= 0xB8);
  };
  const auto is_dropped = [&](size_t pos) { return rule.clean_text && byte(pos) < 0x80 && ascii[byte(pos)] == 0; };
  const BertBlocks& blocks = BertBlocks::get(rule);
  for (size_t pos = 0; pos < text.size();) {
    if (byte(pos) < 0x80 && !is_dropped(pos)) {
      out += ascii[byte(pos++)];
    } else if (is_ideograph(pos)) {
      if (rule.handle_chinese_chars) out += ' ';
      out.append(text, pos, 3);
      if (rule.handle_chinese_chars) out += ' ';
      pos += 3;
    } else if (byte(pos) >= 0xE0 && blocks.append(text.data() + pos, out)) {
      pos += 3;
    } else {
      const size_t begin = pos;
      while (pos < text.size() && (byte(pos) < 0x80 ? is_dropped(pos) : !is_ideograph(pos))) ++pos;
      append_bert_run(rule, std::string_view(text).substr(begin, pos - begin), out);
    }
  }
  text = std::move(out);
}

void apply_form(NormalizeForm form, std::string& text) {
  switch (form) {
    case NormalizeForm::kNfc:
      if (!is_surely_nfc(text)) text = normalize_unicode(text, true, false);
      break;
    case NormalizeForm::kNfd: text = normalize_unicode(text, false, false); break;
    case NormalizeForm::kNfkc: text = normalize_unicode(text, true, true); break;
    case NormalizeForm::kNfkd: text = normalize_unicode(text, false, true); break;
    case NormalizeForm::kLowercase: text = lowercase(text); break;
    case NormalizeForm::kStripAccents: strip_marks(text, kMark); break;
  }
}

}  // namespace

Result<Normalizer> Normalizer::from_json(const json::value& value) {
  std::vector<NormalizeStep> steps;
  RETURN_IF_ERROR(parse_into(value, steps));
  return Normalizer(std::move(steps));
}

bool Normalizer::keeps(std::string_view text) const {
  const bool only_nfc = std::all_of(steps_.begin(), steps_.end(), [](const NormalizeStep& step) {
    const auto* form = std::get_if<NormalizeForm>(&step);
    return form && *form == NormalizeForm::kNfc;
  });
  return only_nfc && (steps_.empty() || is_surely_nfc(text));
}

std::optional<Normalizer::Blanks> Normalizer::only_blanks() const {
  constexpr std::string_view kMetaspace = "\xE2\x96\x81";
  const bool prepend = steps_.size() == 2;
  if (steps_.empty() || steps_.size() > 2) return std::nullopt;
  if (const auto* prefix = std::get_if<NormalizePrepend>(&steps_[0]);
      prepend && (!prefix || prefix->prefix != kMetaspace))
    return std::nullopt;
  const auto* replace = std::get_if<NormalizeReplace>(&steps_.back());
  if (!replace || replace->regex || replace->literal != " " || replace->content != kMetaspace) return std::nullopt;
  return Blanks{prepend};
}

Status Normalizer::apply(std::string& text) const {
  const size_t max_size = text.size() * kMaxGrowth + 64 * 1024;
  for (const NormalizeStep& step : steps_) {
    if (const auto* prepend = std::get_if<NormalizePrepend>(&step)) {
      if (!text.empty()) text.insert(0, prepend->prefix);
    } else if (const auto* replace = std::get_if<NormalizeReplace>(&step)) {
      RETURN_IF_ERROR(apply_replace(*replace, text, max_size));
    } else if (const auto* rule = std::get_if<NormalizeStrip>(&step)) {
      strip(*rule, text);
    } else if (const auto* bert = std::get_if<NormalizeBert>(&step)) {
      apply_bert(*bert, text);
    } else if (const auto* chars = std::get_if<NormalizeCharsmap>(&step)) {
      text = chars->sentencepiece ? apply_charsmap_as_sentencepiece(*chars->map, *chars->sentencepiece, text)
                                  : apply_charsmap_by_grapheme(*chars->map, text);
    } else {
      apply_form(std::get<NormalizeForm>(step), text);
    }
    if (text.size() > max_size)
      return invalid_argument("the tokenizer's normalizer makes this text more than {} times longer", kMaxGrowth);
  }
  return Status::ok();
}

}  // namespace vllm::text
