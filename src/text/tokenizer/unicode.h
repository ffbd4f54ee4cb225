#pragma once
// Character classes in a compact two-level table, built once from utf8proc.
#include <array>
#include <cstdint>
#include <vector>

namespace vllm::text {

enum CharClass : uint16_t {
  kLetter = 1,         // \p{L}
  kNumber = 2,         // \p{N}
  kSpace = 4,          // White_Space
  kWord = 8,           // \w: alphabetic, marks, decimal digits, connectors, joiners
  kPunctuation = 16,   // \p{P}, and all ASCII punctuation
  kMark = 32,          // \p{M}
  kNfcUnsafe = 64,     // NFC may change or reorder text that holds it
  kSymbol = 128,       // \p{S}
  kUpper = 256,        // \p{Lu} or \p{Lt}
  kLower = 512,        // \p{Ll}; letters that are neither are \p{Lm} or \p{Lo}
  kDigit = 1024,       // \p{Nd}
  kKana = 2048,        // U+4E00 to U+9FA5 and U+3040 to U+30FF, as DeepSeek's rule cuts them out
  kInvisible = 4096,   // \p{Cc}, \p{Cf}, \p{Co}
  kNonspacing = 8192,  // \p{Mn}
};

class CharClasses {
 public:
  static const CharClasses& get();  // built by the first caller; thread-safe
  uint16_t operator[](char32_t code) const { return rows_[index_[code >> 7]][code & 127]; }
  bool is(char32_t code, int classes) const { return ((*this)[code] & classes) != 0; }

 private:
  CharClasses();
  std::array<uint16_t, 0x110000 / 128> index_;
  std::vector<std::array<uint16_t, 128>> rows_;
};

}  // namespace vllm::text
