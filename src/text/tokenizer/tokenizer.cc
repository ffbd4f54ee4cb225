#include "text/tokenizer.h"

#include "text/tokenizer/utf8.h"

namespace vllm::text {

std::string Tokenizer::decode(const std::vector<TokenId>& ids, bool skip_special_tokens) const {
  std::string bytes;
  for (const TokenId id : ids) {
    if (!skip_special_tokens || !is_special(id)) bytes += token_bytes(id);
  }
  std::string_view text = bytes;
  if (strips_leading_space() && text.starts_with(' ')) text.remove_prefix(1);
  return is_utf8(text) ? std::string(text) : repair_utf8(text);
}

}  // namespace vllm::text
