#include "text/tokenizer/unicode.h"

#include <utf8proc.h>

#include <map>

namespace vllm::text {
namespace {

bool is_white_space(char32_t c) {
  return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

// Symbols with the property Other_Alphabetic: circled and squared Latin letters.
bool is_letter_symbol(char32_t c) {
  return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
         (c >= 0x1F170 && c <= 0x1F189);
}

uint16_t classes_of(char32_t c, const utf8proc_property_t& property) {
  uint16_t out = 0;
  switch (property.category) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT: out = kLetter | kWord | kUpper; break;
    case UTF8PROC_CATEGORY_LL: out = kLetter | kWord | kLower; break;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: out = kLetter | kWord; break;
    case UTF8PROC_CATEGORY_ND: out = kNumber | kWord | kDigit; break;
    case UTF8PROC_CATEGORY_NL: out = kNumber | kWord; break;
    case UTF8PROC_CATEGORY_NO: out = kNumber; break;
    case UTF8PROC_CATEGORY_MN: out = kMark | kWord | kNonspacing; break;
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME: out = kMark | kWord; break;
    case UTF8PROC_CATEGORY_PC: out = kPunctuation | kWord; break;
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO: out = kPunctuation; break;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO: out = kSymbol; break;
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO: out = kInvisible; break;
    default: break;
  }
  if (c < 0x80 && (property.category == UTF8PROC_CATEGORY_SM || property.category == UTF8PROC_CATEGORY_SC ||
                   property.category == UTF8PROC_CATEGORY_SK)) {
    out |= kPunctuation;
  }
  if (is_white_space(c)) out |= kSpace;
  if ((c >= 0x4E00 && c <= 0x9FA5) || (c >= 0x3040 && c <= 0x30FF)) out |= kKana;
  if (is_letter_symbol(c) || c == 0x200C || c == 0x200D) out |= kWord;
  return out;
}

// Blocks without any canonical decomposition: ideographs, Hangul syllables (NFC keeps them), private use, the rest.
bool never_decomposes(char32_t c) {
  return c < 0x300 || (c >= 0x3400 && c < 0xA000) || (c >= 0xAC00 && c < 0xF900) || (c >= 0x20000 && c < 0x2F800) ||
         c >= 0x30000;
}

// Characters from here to U+DFFFF are unassigned in every version of Unicode so far, U+F0000 and on are private use.
constexpr char32_t kAssignedEnd = 0x34000, kTagsBegin = 0xE0000, kTagsEnd = 0xE1000, kPrivateBegin = 0xF0000;

// Blocks of 128 characters that are all alike: unassigned, or letters without decomposition and case.
bool is_uniform(char32_t block) {
  const char32_t c = block * 128;
  const auto within = [&](char32_t first, char32_t last) { return c >= first && c + 127 <= last; };
  return within(0x3400, 0x4DBF) || within(0x4E80, 0x9F7F) || within(0xAC00, 0xD77F) || within(0xE000, 0xF8FF) ||
         within(0x20000, 0x2A67F) || within(kAssignedEnd, kTagsBegin - 1) || within(kTagsEnd, kPrivateBegin - 1) ||
         within(kPrivateBegin, 0xFFF7F) || within(0x100000, 0x10FF7F);
}

// Mark what NFC may touch: characters that reorder (a combining class), that do not survive decomposing and composing
// again, and that can be the second half of a composition. Below U+0300 there are none.
void find_nfc_unsafe(std::vector<bool>& unsafe) {
  for (char32_t c = 0x1161; c <= 0x11FF; ++c) unsafe[c] = true;  // Hangul vowels and finals compose by arithmetic
  for (char32_t c = 0x300; c < kAssignedEnd; ++c) {
    if (c % 128 == 0 && is_uniform(c / 128)) {
      c += 127;
      continue;
    }
    if (utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class != 0) unsafe[c] = true;
    if (never_decomposes(c)) continue;
    utf8proc_int32_t parts[32];
    auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
    const auto length = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, 32, options, nullptr);
    if (length == 1 && parts[0] == static_cast<utf8proc_int32_t>(c)) continue;
    if (length < 1 || length > 32) {
      unsafe[c] = true;
      continue;
    }
    if (length > 1) unsafe[static_cast<char32_t>(parts[length - 1])] = true;
    options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (utf8proc_normalize_utf32(parts, length, options) != 1 || parts[0] != static_cast<utf8proc_int32_t>(c))
      unsafe[c] = true;
  }
}

}  // namespace

const CharClasses& CharClasses::get() {
  static const CharClasses classes;
  return classes;
}

CharClasses::CharClasses() {
  std::vector<bool> unsafe(0x110000);
  find_nfc_unsafe(unsafe);
  std::map<std::array<uint16_t, 128>, uint16_t> seen;
  for (char32_t block = 0; block < index_.size(); ++block) {
    std::array<uint16_t, 128> row;
    if (block > 0 && is_uniform(block) && is_uniform(block - 1)) {
      index_[block] = index_[block - 1];
      continue;
    }
    for (char32_t i = 0; i < 128; ++i) {
      const char32_t c = block * 128 + i;
      row[i] = classes_of(c, *utf8proc_get_property(static_cast<utf8proc_int32_t>(c)));
      if (unsafe[c]) row[i] |= kNfcUnsafe;
    }
    const auto [it, added] = seen.try_emplace(row, static_cast<uint16_t>(rows_.size()));
    if (added) rows_.push_back(row);
    index_[block] = it->second;
  }
}

}  // namespace vllm::text
