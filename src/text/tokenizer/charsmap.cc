#include "text/tokenizer/charsmap.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstring>

#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";
constexpr size_t kMaxGrapheme = 6;
constexpr size_t kMaxKey = 256;  // bytes; bounds the time that a malformed trie takes

uint32_t read_u32(const char* at) {
  unsigned char b[4];
  std::memcpy(b, at, 4);
  return b[0] | static_cast<uint32_t>(b[1]) << 8 | static_cast<uint32_t>(b[2]) << 16 |
         static_cast<uint32_t>(b[3]) << 24;
}

}  // namespace

Result<Charsmap> Charsmap::parse(std::string_view bytes) {
  Charsmap out;
  if (bytes.empty()) return out;
  const size_t trie_bytes = bytes.size() >= 4 ? read_u32(bytes.data()) : bytes.size();
  if (trie_bytes % 4 != 0 || trie_bytes > bytes.size() - std::min<size_t>(bytes.size(), 4))
    return invalid_argument("the precompiled character map is malformed");
  out.trie_.resize(trie_bytes / 4);
  for (size_t i = 0; i < out.trie_.size(); ++i) out.trie_[i] = read_u32(bytes.data() + 4 + i * 4);
  out.replacements_ = bytes.substr(4 + trie_bytes);
  if (!is_utf8(out.replacements_)) return invalid_argument("the precompiled character map holds ill-formed UTF-8");
  return out;
}

// Unit: bit 31 leaf, bits 0-7 label, bit 8 "a leaf follows", bit 9 and up the offset of the children.
Charsmap::Found Charsmap::find(std::string_view text, bool longest) const {
  Found best;
  if (trie_.empty()) return best;
  const auto offset = [](uint32_t unit) { return (unit >> 10) << ((unit & 1u << 9) >> 6); };
  size_t node = offset(trie_[0]);
  for (size_t i = 0; i < std::min(text.size(), kMaxKey); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (byte == 0 || node >= trie_.size()) break;
    const uint32_t unit = trie_[node];
    if ((unit & (1u << 31 | 0xFF)) != byte) break;
    node ^= offset(unit);
    if ((unit >> 8 & 1) == 0) continue;
    if (node >= trie_.size()) break;
    const size_t at = trie_[node] & ~(1u << 31);
    if (at >= replacements_.size()) continue;
    // A replacement that starts within a character would make ill-formed text.
    if ((static_cast<unsigned char>(replacements_[at]) & 0xC0) == 0x80) continue;
    best = {i + 1, std::string_view(replacements_.c_str() + at)};
    if (!longest) break;
  }
  return best;
}

std::string apply_charsmap_by_grapheme(const Charsmap& map, std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    // A grapheme cluster; only short ones are looked up whole, so a longer one need not be walked.
    size_t end = pos;
    utf8proc_int32_t state = 0;
    auto previous = static_cast<utf8proc_int32_t>(read_char(text, end));
    while (end < text.size() && end - pos < kMaxGrapheme) {
      size_t next = end;
      const auto code = static_cast<utf8proc_int32_t>(read_char(text, next));
      if (utf8proc_grapheme_break_stateful(previous, code, &state)) break;
      previous = code;
      end = next;
    }
    if (end - pos < kMaxGrapheme) {
      if (const auto found = map.shortest(text.substr(pos, end - pos)); found.length > 0) {
        out += found.replacement;
        pos = end;
        continue;
      }
    }
    while (pos < end) {
      const size_t begin = pos;
      read_char(text, pos);
      const auto found = map.shortest(text.substr(begin, pos - begin));
      out += found.length > 0 ? found.replacement : text.substr(begin, pos - begin);
    }
  }
  return out;
}

std::string apply_charsmap_as_sentencepiece(const Charsmap& map, const SentencePieceRules& rules,
                                            std::string_view text) {
  const auto step = [&](size_t pos, size_t& next) -> std::string_view {
    if (const auto found = map.longest(text.substr(pos)); found.length > 0) {
      next = pos + found.length;
      while (next < text.size() && (static_cast<unsigned char>(text[next]) & 0xC0) == 0x80) ++next;
      return found.replacement;
    }
    next = pos;
    read_char(text, next);
    return text.substr(pos, next - pos);
  };
  size_t pos = 0, next = 0;
  while (rules.remove_extra_whitespaces && pos < text.size() && step(pos, next) == " ") pos = next;
  std::string out;
  if (pos == text.size()) return out;
  out.reserve(text.size() + text.size() / 4);
  if (rules.add_dummy_prefix) out += kMetaspace;
  bool after_blank = rules.remove_extra_whitespaces;
  for (; pos < text.size(); pos = next) {
    std::string_view piece = step(pos, next);
    while (after_blank && piece.starts_with(' ')) piece.remove_prefix(1);
    for (const char c : piece) c == ' ' ? out.append(kMetaspace) : out.append(1, c);
    if (!piece.empty()) after_blank = rules.remove_extra_whitespaces && piece.ends_with(' ');
  }
  while (rules.remove_extra_whitespaces && out.ends_with(kMetaspace)) out.resize(out.size() - kMetaspace.size());
  return out;
}

}  // namespace vllm::text
