#pragma once
// The `decoder` of tokenizer.json, reduced to two facts: the bytes of each token, and whether the text's first blank
// goes.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace vllm::text {

class Decoder {
 public:
  static Decoder make_byte_level();
  /// ▁ is a blank, <0xNN> a byte.
  static Decoder make_sentencepiece(bool strip_leading_space);
  /// Pieces without `prefix` start a word: a blank stands before them. With `cleanup`, not before punctuation either.
  static Decoder make_word_piece(std::string prefix, bool cleanup);
  /// kUnimplemented names a type or an order of types that is not supported; null too, because Hugging Face then puts
  /// blanks between tokens.
  static Result<Decoder> from_json(const json::value& value);

  /// What the token with this spelling (well-formed UTF-8) stands for.
  std::string token_bytes(std::string_view token) const;
  /// The same, appended.
  void append_bytes(std::string_view token, std::vector<char>& out) const;
  bool strips_leading_space() const { return strip_leading_space_; }

 private:
  bool byte_level_ = false;
  bool byte_fallback_ = false;
  bool strip_leading_space_ = false;
  bool word_piece_ = false, cleanup_ = false;
  std::string prefix_;                                             // of WordPiece's continuing pieces
  std::vector<std::pair<std::string, std::string>> replacements_;  // before byte fallback, in order
};

}  // namespace vllm::text
