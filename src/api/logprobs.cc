// Logprobs in the two styles of the API.
#include <algorithm>
#include <unordered_map>

#include "api/json_text.h"
#include "api/responses.h"
#include "base/utf8.h"

namespace vllm::api {
namespace {

constexpr double kLeastLogprob = -9999.0;  // what -inf is written as: JSON has no infinity

void append_logprob(std::string& out, double logprob) { append_double(out, std::max(logprob, kLeastLogprob)); }

void append_bytes(std::string& out, std::string_view text) {
  out += '[';
  for (size_t i = 0; i < text.size(); ++i) {
    if (i) out += ',';
    append_int(out, static_cast<uint8_t>(text[i]));
  }
  out += ']';
}

void append_entry(std::string& out, const ShownLogprob& entry, std::string_view bytes) {
  out += R"({"token":)";
  append_string(out, entry.token);
  out += R"(,"logprob":)";
  append_logprob(out, entry.logprob);
  out += R"(,"bytes":)";
  append_bytes(out, bytes);
}

}  // namespace

void append_completion_logprobs(std::string& out, std::span<const ShownPosition> positions, int64_t& text_offset) {
  const auto each = [&](auto&& write) {
    out += '[';
    for (size_t i = 0; i < positions.size(); ++i) {
      if (i) out += ',';
      write(positions[i]);
    }
    out += ']';
  };
  out += R"({"text_offset":)";
  each([&](const ShownPosition& position) {
    append_int(out, text_offset);
    text_offset += static_cast<int64_t>(count_chars(position.chosen.token));
  });
  out += R"(,"token_logprobs":)";
  each([&](const ShownPosition& position) {
    if (position.known) {
      append_logprob(out, position.chosen.logprob);
    } else {
      out += "null";
    }
  });
  out += R"(,"tokens":)";
  each([&](const ShownPosition& position) { append_string(out, position.chosen.token); });
  out += R"(,"top_logprobs":)";
  each([&](const ShownPosition& position) {
    if (!position.known) {
      out += "null";
      return;
    }
    out += '{';
    // Different ids may have one text (halves of characters all read as U+FFFD): a key is written once, with its last
    // value, as in a dict.
    std::unordered_map<std::string_view, double> values;
    for (const ShownLogprob& entry : position.top) values[entry.token] = entry.logprob;
    bool first = true;
    for (const ShownLogprob& entry : position.top) {
      auto value = values.find(entry.token);
      if (value == values.end()) continue;
      if (!first) out += ',';
      first = false;
      append_string(out, entry.token);
      out += ':';
      append_logprob(out, value->second);
      values.erase(value);
    }
    out += '}';
  });
  out += '}';
}

void append_chat_logprobs(std::string& out, std::span<const ShownPosition> positions) {
  out += R"({"content":[)";
  for (size_t p = 0; p < positions.size(); ++p) {
    const ShownPosition& position = positions[p];
    if (p) out += ',';
    append_entry(out, position.chosen, position.chosen.decoded);
    out += R"(,"top_logprobs":[)";
    for (size_t i = 0; i < position.top.size(); ++i) {
      if (i) out += ',';
      append_entry(out, position.top[i], position.top[i].token);  // of the shown text, as vLLM has it
      out += '}';
    }
    out += "]}";
  }
  out += "]}";
}

}  // namespace vllm::api
