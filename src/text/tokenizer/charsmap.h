#pragma once
// SentencePiece's precompiled normalization table: a double-array trie from byte strings to replacements.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vllm::text {

class Charsmap {
 public:
  Charsmap() = default;  // replaces nothing
  /// `precompiled_charsmap` of a SentencePiece model: u32 size, trie, zero-terminated replacements. kInvalidArgument if
  /// the sizes do not fit; any trie is safe to search.
  static Result<Charsmap> parse(std::string_view bytes);

  struct Found {
    size_t length = 0;  // bytes of the text that are replaced; 0: none
    std::string_view replacement;
  };
  Found longest(std::string_view text) const { return find(text, true); }
  Found shortest(std::string_view text) const { return find(text, false); }
  bool empty() const { return trie_.empty(); }

 private:
  Found find(std::string_view text, bool longest) const;

  std::vector<uint32_t> trie_;
  std::string replacements_;
};

/// As Hugging Face's Precompiled does it: whole grapheme clusters of less than six bytes, then single characters; the
/// shortest match counts.
std::string apply_charsmap_by_grapheme(const Charsmap& map, std::string_view text);

struct SentencePieceRules {
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
};
/// As SentencePiece does it: longest match at each place; blanks become ▁.
std::string apply_charsmap_as_sentencepiece(const Charsmap& map, const SentencePieceRules& rules,
                                            std::string_view text);

}  // namespace vllm::text
