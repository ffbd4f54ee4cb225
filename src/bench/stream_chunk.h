#pragma once
// What a load generator must know of one streamed chunk, found without building a JSON tree.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vllm::bench {

enum class Api { kCompletions, kChat };

struct StreamChunk {
  bool has_choice = false;    // `choices` is there and not empty: a token, or the end
  bool has_usage = false;     // beside a choice
  bool is_role_only = false;  // chat: the first chunk, which only says "assistant"
  std::string_view raw_text;  // `text` or `delta.content` of the first choice, JSON escapes as they are
};

/// Look at one event's JSON. A key is found by its quoted name and the colon after it: inside a JSON string the quotes
/// would be escaped, so no text that a model writes can be mistaken for one.
StreamChunk scan_chunk(std::string_view json, Api api);

/// The parts of the end of a stream: usage, or an error.
struct LastChunk {
  std::optional<int64_t> prompt_tokens, completion_tokens;
  std::string error;
};
LastChunk parse_last_chunk(std::string_view json);

/// `raw` between quotes, decoded; empty if it is no JSON string.
std::string unescape(std::string_view raw);

}  // namespace vllm::bench
