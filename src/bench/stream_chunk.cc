#include "bench/stream_chunk.h"

#include <string>

#include "base/json.h"

namespace vllm::bench {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

size_t skip_blanks(std::string_view json, size_t at) {
  while (at < json.size() && is_blank(json[at])) ++at;
  return at;
}

// Where the value of `quoted_key` begins, at `from` or later; npos if there is none.
size_t value_of(std::string_view json, std::string_view quoted_key, size_t from = 0) {
  for (size_t at = from; (at = json.find(quoted_key, at)) != std::string_view::npos;) {
    at = skip_blanks(json, at + quoted_key.size());
    if (at < json.size() && json[at] == ':') {
      at = skip_blanks(json, at + 1);
      return at < json.size() ? at : std::string_view::npos;
    }
  }
  return std::string_view::npos;
}

// The raw inside of a string that begins at `at`; empty for null and others.
std::string_view raw_string(std::string_view json, size_t at) {
  if (at >= json.size() || json[at] != '"') return {};
  const size_t start = at + 1;
  for (size_t i = start; i < json.size(); ++i) {
    if (json[i] == '\\') {
      ++i;
    } else if (json[i] == '"') {
      return json.substr(start, i - start);
    }
  }
  return {};
}

bool has_string(std::string_view json, std::string_view quoted_key, size_t from) {
  size_t at = value_of(json, quoted_key, from);
  return at != std::string_view::npos && json[at] == '"';
}

}  // namespace

StreamChunk scan_chunk(std::string_view json, Api api) {
  StreamChunk out;
  size_t choices = value_of(json, "\"choices\"");
  if (choices == std::string_view::npos || json[choices] != '[') return out;
  size_t first = skip_blanks(json, choices + 1);
  if (first >= json.size() || json[first] == ']') return out;
  out.has_choice = true;
  const size_t usage = value_of(json, "\"usage\"");  // llama.cpp sends it with the last choice
  out.has_usage = usage != std::string_view::npos && json[usage] == '{';
  out.raw_text = raw_string(json, value_of(json, api == Api::kChat ? "\"content\"" : "\"text\"", first));
  if (api == Api::kChat && out.raw_text.empty()) {
    out.is_role_only = has_string(json, "\"role\"", first) && !has_string(json, "\"finish_reason\"", first) &&
                       !has_string(json, "\"reasoning\"", first) && !has_string(json, "\"reasoning_content\"", first) &&
                       value_of(json, "\"tool_calls\"", first) == std::string_view::npos;
  }
  return out;
}

LastChunk parse_last_chunk(std::string_view text) {
  LastChunk out;
  auto parsed = parse_json(text);
  if (!parsed || !parsed->is_object()) return out;
  const json::object& root = parsed->get_object();
  if (const json::object* usage = get_object(root, "usage")) {
    out.prompt_tokens = get_int(*usage, "prompt_tokens");
    out.completion_tokens = get_int(*usage, "completion_tokens");
  }
  if (const json::object* failure = get_object(root, "error")) {
    out.error = get_string(*failure, "message").value_or("an error without a message");
  } else {
    out.error = get_string(root, "error").value_or("");
  }
  return out;
}

std::string unescape(std::string_view raw) {
  auto parsed = parse_json("\"" + std::string(raw) + "\"");
  return parsed && parsed->is_string() ? std::string(parsed->get_string()) : std::string();
}

}  // namespace vllm::bench
