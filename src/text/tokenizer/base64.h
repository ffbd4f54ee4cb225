#pragma once
// Base64 with padding, as tokenizer files use it.
#include <string>
#include <string_view>

namespace vllm::text {

/// Replaces `bytes` by what `text` encodes; false if that is no base64 (RFC 4648, padding required).
bool from_base64(std::string_view text, std::string& bytes);

}  // namespace vllm::text
