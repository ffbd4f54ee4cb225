#pragma once
// What `tokenizer.ggml.pre` of a GGUF file means: the pre-tokenizer, and three facts that the file does not hold.
#include <string>
#include <string_view>

#include "base/result.h"
#include "text/tokenizer/pre_tokenizer.h"

namespace vllm::text {

struct GgufSplitRule {
  PreTokenizer pre_tokenizer;
  bool nfc = false;            // the family normalizes to NFC first
  bool ignore_merges = false;  // a word that is a token stays whole
  bool add_bos = false;        // unless tokenizer.ggml.add_bos_token says otherwise
};

/// kUnimplemented names an unknown `pre` and lists the known ones.
Result<GgufSplitRule> gguf_split_rule(std::string_view pre);

}  // namespace vllm::text
