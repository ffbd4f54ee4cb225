#include "serve/shown_logprobs.h"

#include <fmt/core.h>

#include <algorithm>
#include <unordered_set>

#include "api/json_text.h"

namespace vllm::serve {
namespace {

constexpr double kLeastLogprob = -9999.0;

api::ShownLogprob show(TokenId token, double logprob, bool as_id, const text::Tokenizer& tokenizer) {
  api::ShownLogprob out;
  out.decoded = std::string(tokenizer.token_bytes(token));
  out.token = as_id ? fmt::format("token_id:{}", token) : out.decoded;
  out.logprob = logprob;
  return out;
}

// The position's entries without repeats: the chosen token is often among the top ones too.
std::vector<TokenLogprob> distinct(const PositionLogprobs& position) {
  std::vector<TokenLogprob> out;
  std::unordered_set<TokenId> seen;
  for (const TokenLogprob& entry : position) {
    if (seen.insert(entry.token).second) out.push_back(entry);
  }
  return out;
}

}  // namespace

api::ShownPosition show_position(const PositionLogprobs& position, const LogprobStyle& style,
                                 const text::Tokenizer& tokenizer) {
  api::ShownPosition out;
  const std::vector<TokenLogprob> entries = distinct(position);
  if (entries.empty()) {
    out.known = false;
    return out;
  }
  out.chosen = show(entries[0].token, entries[0].logprob, style.tokens_as_ids, tokenizer);
  size_t listed = entries.size();
  if (!style.list_all && style.num_top >= 0) {
    listed = std::min(listed, static_cast<size_t>(style.num_top) + (style.chat ? 0 : 1));
  }
  // vLLM's cut for completions falls after num_top + 1 entries of which the chosen token, if it is a top one, is the
  // first.
  for (size_t i = 0; i < listed; ++i)
    out.top.push_back(show(entries[i].token, entries[i].logprob, style.tokens_as_ids, tokenizer));
  return out;
}

api::ShownPosition show_unknown(TokenId token, const LogprobStyle& style, const text::Tokenizer& tokenizer) {
  api::ShownPosition out;
  out.known = false;
  out.chosen = show(token, 0, style.tokens_as_ids, tokenizer);
  return out;
}

api::WrittenJson write_prompt_logprobs(const std::vector<PositionLogprobs>& positions,
                                       const text::Tokenizer& tokenizer) {
  std::string out = "[null";
  for (const PositionLogprobs& position : positions) {
    out += ",{";
    bool first = true;
    for (const TokenLogprob& entry : distinct(position)) {
      if (!first) out += ',';
      first = false;
      out += fmt::format("\"{}\":{{\"logprob\":", entry.token);
      api::append_double(out, std::max<double>(entry.logprob, kLeastLogprob));
      out += ",\"rank\":";
      api::append_int(out, entry.rank);
      out += ",\"decoded_token\":";
      api::append_string(out, tokenizer.token_bytes(entry.token));
      out += '}';
    }
    out += '}';
  }
  return out += ']';
}

}  // namespace vllm::serve
