#pragma once
// Added tokens: texts that are cut out of the input whole, before BPE sees it.
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

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
  void add(const AddedToken& token);
  bool empty() const { return tokens_.empty(); }
  /// Cut well-formed text into parts, in order; empty parts between tokens are left out.
  void split(std::string_view text, std::vector<TextPart>& parts) const;

 private:
  static constexpr int32_t kNone = -1;
  struct Found {
    int32_t token;  // kNone if none starts here
    size_t length;
  };
  Found longest_at(std::string_view text, size_t pos) const;

  std::vector<AddedToken> tokens_;
  std::vector<int32_t> token_of_node_{kNone};     // node 0 is the root
  std::unordered_map<uint64_t, uint32_t> edges_;  // node << 8 | byte -> node
  bool starts_[256] = {};
};

}  // namespace vllm::text
