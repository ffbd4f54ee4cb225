#pragma once
// tokenizer_config.json: what transformers adds to tokenizer.json.
#include "base/json.h"
#include "base/result.h"
#include "text/tokenizer/subword_tokenizer.h"

namespace vllm::text {

/// An entry of `added_tokens` or `added_tokens_decoder`. A string stands for itself, as a special token.
Result<AddedToken> parse_added_token(const json::value& value, int64_t id);

/// Fill in bos and eos, add tokens that tokenizer.json lacks, and let add_bos_token / add_eos_token add the two where
/// no template of the post-processor has decided. Names of tokens that the vocabulary lacks are ignored.
Status apply_tokenizer_config(const json::object& config, TokenizerParts& parts);

}  // namespace vllm::text
