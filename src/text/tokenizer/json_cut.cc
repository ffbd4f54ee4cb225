#include "text/tokenizer/json_cut.h"

#include <bit>
#include <charconv>
#include <cstdint>

#include "text/tokenizer/utf8.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace vllm::text {
namespace {

constexpr int kMaxDepth = 64;

// Reads values from the start of a text. Every function is false (or null) for what it does not understand; the cursor
// then stands anywhere.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  const char* place() const { return at_; }
  void skip_blanks() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }
  bool take(char c) {
    skip_blanks();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  /// A string's raw inside, without its quotes; `escaped` if it holds a backslash.
  bool string(std::string_view& raw, bool& escaped) {
    if (!take('"')) return false;
    const char* const begin = at_;
    escaped = false;
    while (at_ < end_) {
      at_ = find_special(at_, end_);
      if (at_ == end_ || static_cast<unsigned char>(*at_) < 0x20) return false;
      if (*at_ == '"') {
        raw = {begin, static_cast<size_t>(at_++ - begin)};
        return true;
      }
      escaped = true;
      if (end_ - at_ < 2) return false;
      at_ += 2;
    }
    return false;
  }
  bool integer(int64_t& value) {
    skip_blanks();
    const auto [stop, code] = std::from_chars(at_, end_, value);
    if (code != std::errc() || stop == at_) return false;
    if (value < 0 || (*at_ == '0' && stop != at_ + 1)) return false;
    if (stop < end_ && (*stop == '.' || *stop == 'e' || *stop == 'E')) return false;
    at_ = stop;
    return true;
  }
  /// Any value; its inside is only looked at as far as strings and brackets go.
  bool skip_value() {
    skip_blanks();
    int depth = 0;
    std::string_view raw;
    bool escaped;
    while (at_ < end_) {
      const char c = *at_;
      if (c == '"') {
        if (!string(raw, escaped)) return false;
        if (depth == 0) return true;
        continue;
      }
      if (c == '{' || c == '[') {
        if (++depth > kMaxDepth) return false;
      } else if (c == '}' || c == ']') {
        if (depth == 0) return true;  // the end of what encloses a bare value
        if (--depth == 0) return ++at_, true;
      } else if (c == ',' && depth == 0) {
        return true;
      }
      ++at_;
    }
    return depth == 0;
  }

 private:
  // The first quote, backslash or control character.
  static const char* find_special(const char* p, const char* end) {
#if defined(__SSE2__)
    while (end - p >= 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
      const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
      const __m128i special = _mm_or_si128(
          _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))), control);
      const auto found = static_cast<uint32_t>(_mm_movemask_epi8(special));
      if (found != 0) return p + std::countr_zero(found);
      p += 16;
    }
#endif
    while (p < end && *p != '"' && *p != '\\' && static_cast<unsigned char>(*p) >= 0x20) ++p;
    return p;
  }

  const char* at_;
  const char* end_;
};

bool read_hex4(std::string_view raw, size_t at, char32_t& code) {
  if (raw.size() - at < 4) return false;
  unsigned value = 0;
  const auto [stop, error] = std::from_chars(raw.data() + at, raw.data() + at + 4, value, 16);
  code = value;
  return error == std::errc() && stop == raw.data() + at + 4;
}

bool unescape(std::string_view raw, std::string& out) {
  constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\') {
      out += raw[i];
      continue;
    }
    if (++i == raw.size()) return false;
    if (const size_t k = kFrom.find(raw[i]); k != std::string_view::npos) {
      out += kTo[k];
      continue;
    }
    char32_t code;
    if (raw[i] != 'u' || !read_hex4(raw, i + 1, code)) return false;
    i += 4;
    if (code >= 0xD800 && code < 0xE000) {  // a pair, high half first
      char32_t low;
      if (code >= 0xDC00 || raw.size() - i < 7 || raw[i + 1] != '\\' || raw[i + 2] != 'u' ||
          !read_hex4(raw, i + 3, low) || low < 0xDC00 || low >= 0xE000)
        return false;
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      i += 6;
    }
    append_char(out, code);
  }
  return true;
}

bool read_text(Cursor& cursor, CutTokenizerJson& out, std::string_view& text) {
  bool escaped;
  if (!cursor.string(text, escaped)) return false;
  if (!escaped) return true;
  auto plain = std::make_unique<std::string>();
  if (!unescape(text, *plain)) return false;
  text = *out.unescaped.emplace_back(std::move(plain));
  return true;
}

bool read_vocab(Cursor& cursor, CutTokenizerJson& out) {
  if (!cursor.take('{')) return false;
  if (cursor.take('}')) return true;
  do {
    Vocabulary::Entry entry{};
    if (!read_text(cursor, out, entry.text) || !cursor.take(':') || !cursor.integer(entry.id)) return false;
    out.vocab.push_back(entry);
  } while (cursor.take(','));
  return cursor.take('}');
}

bool read_merges(Cursor& cursor, CutTokenizerJson& out) {
  if (!cursor.take('[')) return false;
  if (cursor.take(']')) return true;
  do {
    std::string_view left, right;
    if (cursor.take('[')) {
      if (!read_text(cursor, out, left) || !cursor.take(',') || !read_text(cursor, out, right) || !cursor.take(']'))
        return false;
    } else {
      if (!read_text(cursor, out, left)) return false;
      const size_t blank = left.find(' ');
      if (blank == std::string_view::npos || left.find(' ', blank + 1) != std::string_view::npos) return false;
      right = left.substr(blank + 1);
      left = left.substr(0, blank);
    }
    out.merges.emplace_back(left, right);
  } while (cursor.take(','));
  return cursor.take(']');
}

struct Cut {
  size_t begin, end;
};

// `model`'s inside: finds and reads the two lists, and says where they stand.
bool read_model(Cursor& cursor, const char* document, CutTokenizerJson& out, std::vector<Cut>& cuts) {
  if (!cursor.take('{')) return false;
  bool vocab = false, merges = false;
  do {
    std::string_view key;
    bool escaped;
    if (!cursor.string(key, escaped) || escaped || !cursor.take(':')) return false;
    const bool is_vocab = key == "vocab", is_merges = key == "merges";
    if ((is_vocab && vocab) || (is_merges && merges)) return false;
    cursor.skip_blanks();
    const auto begin = static_cast<size_t>(cursor.place() - document);
    const bool good = is_vocab ? read_vocab(cursor, out) : is_merges ? read_merges(cursor, out) : cursor.skip_value();
    if (!good) return false;
    if (is_vocab || is_merges) cuts.push_back({begin, static_cast<size_t>(cursor.place() - document)});
    vocab = vocab || is_vocab;
    merges = merges || is_merges;
  } while (cursor.take(','));
  return vocab && merges && cursor.take('}');
}

}  // namespace

std::optional<CutTokenizerJson> cut_tokenizer_json(std::string_view document) {
  if (!is_utf8(document)) return std::nullopt;
  CutTokenizerJson out;
  out.vocab.reserve(document.size() / 64);
  out.merges.reserve(document.size() / 64);
  Cursor cursor(document);
  std::vector<Cut> cuts;
  if (!cursor.take('{')) return std::nullopt;
  bool model = false;
  do {
    std::string_view key;
    bool escaped;
    if (!cursor.string(key, escaped) || escaped || !cursor.take(':')) return std::nullopt;
    const bool is_model = key == "model";
    if (is_model && model) return std::nullopt;
    if (!(is_model ? read_model(cursor, document.data(), out, cuts) : cursor.skip_value())) return std::nullopt;
    model = model || is_model;
  } while (cursor.take(','));
  if (!model) return std::nullopt;
  size_t done = 0;
  for (const Cut& cut : cuts) {
    out.rest.append(document.substr(done, cut.begin - done)).append(document[cut.begin] == '{' ? "{}" : "[]");
    done = cut.end;
  }
  out.rest += document.substr(done);
  return out;
}

}  // namespace vllm::text
