#pragma once
// Added tokens: texts that are cut out of the input whole, before BPE sees it.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/byte_trie.h"
#include "types/types.h"

namespace vllm::text {

struct AddedToken {
  std::string content;
  TokenId id = 0;
  bool single_word = false;  // not next to a word character
  bool lstrip = false;       // takes the blanks before it
  bool rstrip = false;       // takes the blanks after it
  bool normalized = false;   // looked for in the normalized text, in its normalized form
  bool special = false;
  bool in_text = true;  // false: never found in a text; its spelling may be another token's too
};

/// A part of a text: an added token, or what lies between two.
struct TextPart {
  std::string_view text;
  TokenId id;  // -1: no token
};

/// Finds the leftmost, then longest added token at each place. Time is the text's length times the longest token's at
/// worst.
class AddedTokenMatcher {
 public:
  /// `token`'s `content` is what is looked for. Empty contents are ignored; the first of two equal contents wins.
  void add(const AddedToken& token) { tokens_.push_back(token); }
  /// To be called when all are added.
  void finish();
  bool empty() const { return tokens_.empty(); }
  /// Walks through well-formed text.
  struct Search {
    size_t done = 0;        // what lies before is cut; a gap starts here
    size_t pos = 0;         // where to look on
    size_t blanks_end = 0;  // of the run of blanks that rstrip last walked: a run is walked once
  };
  struct Found {
    size_t begin, end;  // what is not covered from `done` to `begin` is a gap (rstrip may reach past `begin`)
    TokenId id;
  };
  /// The next token; false if there is none. What lies between two is a text of its own.
  bool find_next(std::string_view text, Search& search, Found& found) const;
  /// Cut well-formed text into parts, in order; empty parts between tokens are left out.
  void split(std::string_view text, std::vector<TextPart>& parts) const;
  /// True if some token's content holds this.
  bool any_contains(std::string_view part) const;

 private:
  /// The first place from `pos` on where a token may start.
  size_t next_start(std::string_view text, size_t pos) const;
  bool may_start(unsigned char first, unsigned char second) const {
    const size_t bit = static_cast<size_t>(first) << 8 | second;
    return (first_two_[bit / 64] >> bit % 64 & 1) != 0;
  }

  std::vector<AddedToken> tokens_;
  ByteTrie trie_;  // values are places in tokens_
  bool starts_[256] = {};
  std::vector<uint64_t> first_two_;  // a bit for each pair of bytes that a token may start with
  int only_start_ = -1;              // the byte that every token starts with, if it is one
};

}  // namespace vllm::text
