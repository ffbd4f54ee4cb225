#pragma once
// Answers, written by hand into a buffer: bodies, stream chunks, and the logprobs in both styles.
// Key order and nulls are those of vLLM's recorded answers.
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "types/types.h"

namespace vllm::api {

/// What all parts of one answer share.
struct AnswerHead {
  std::string id;  // "cmpl-…", "chatcmpl-…"
  int64_t created = 0;
  std::string model;
  std::string fingerprint;
  std::string chunk_prefix = {};  // see prepare_chunks()
};
/// Write what all chunks of a stream begin with into `head.chunk_prefix`, once; each then begins with a copy of it.
void prepare_chunks(AnswerHead& head, bool chat);

struct UsageDetails {
  bool given = false;  // --enable-prompt-tokens-details
  int cached_tokens = 0;
  std::optional<int> created_cache_tokens;  // chat only
};
struct Usage {
  int64_t prompt_tokens = 0, completion_tokens = 0;
  UsageDetails details;
};

using StopReason = std::variant<std::monostate, TokenId, std::string>;

/// One alternative of a position, with its text as shown.
struct ShownLogprob {
  std::string token;    // text, or token_id:N
  std::string decoded;  // text, for `bytes`
  double logprob = 0;   // -inf is written as -9999.0
};
/// Logprobs of one token: itself, then what is listed under top_logprobs. `known` is false for a prompt's first token.
struct ShownPosition {
  ShownLogprob chosen;
  std::vector<ShownLogprob> top;
  bool known = true;
};
/// Prompt logprobs as the JSON value [null, {"<id>": {"logprob", "rank", "decoded_token"}}, …], already written.
using WrittenJson = std::string;

/// completions: {text_offset, token_logprobs, tokens, top_logprobs}; `text_offset` is advanced by the tokens' lengths
/// in characters.
void append_completion_logprobs(std::string& out, std::span<const ShownPosition> positions, int64_t& text_offset);
/// chat: {content: [{token, logprob, bytes, top_logprobs}]}.
void append_chat_logprobs(std::string& out, std::span<const ShownPosition> positions);

struct CompletionChoice {
  int index = 0;
  std::string_view text;
  std::string_view logprobs_json;  // empty = null
  std::string_view finish_reason;  // empty = null
  const StopReason* stop_reason = nullptr;
  std::optional<std::span<const TokenId>> token_ids = {}, prompt_token_ids = {};
  std::string_view prompt_logprobs_json = {};  // empty = null; bodies only
};
struct ChatChoice {
  int index = 0;
  std::string_view role, content;
  std::string_view logprobs_json, finish_reason;
  const StopReason* stop_reason = nullptr;
  std::optional<std::span<const TokenId>> token_ids = {};
  bool omit_content = false;  // of a chunk: "delta":{}
};

std::string completion_body(const AnswerHead& head, std::span<const CompletionChoice> choices, const Usage& usage);
struct ChatExtras {
  std::string_view prompt_logprobs_json;  // empty = null
  std::optional<std::span<const TokenId>> prompt_token_ids;
  std::optional<std::string_view> prompt_text;
};
std::string chat_body(const AnswerHead& head, std::span<const ChatChoice> choices, const Usage& usage,
                      const ChatExtras& extras);

// Stream chunks are appended with their "data: " and the blank line. prepare_chunks() makes them cheaper, not
// different.
/// `usage`: continuous_usage_stats. `last`: carries the fingerprint, as no usage chunk follows.
void append_completion_chunk(std::string& out, const AnswerHead& head, const CompletionChoice& choice,
                             const Usage* usage, bool last);
void append_chat_role_chunk(std::string& out, const AnswerHead& head, int index, std::string_view role,
                            const ChatExtras& extras, const Usage* usage);
/// `echo`: the part of the last message that goes before the output; such a chunk has no token_ids key.
void append_chat_chunk(std::string& out, const AnswerHead& head, const ChatChoice& choice, const Usage* usage,
                       bool last, bool echo = false);
void append_usage_chunk(std::string& out, const AnswerHead& head, const Usage& usage, bool chat);
void append_error_event(std::string& out, std::string_view error_body);
void append_done(std::string& out);

struct ServedModel {
  std::string id, root;
  int64_t created = 0, max_model_len = 0;
};
std::string models_body(std::span<const ServedModel> models);
std::string tokenize_body(std::span<const TokenId> tokens, int64_t max_model_len,
                          const std::vector<std::string>* token_strs);
std::string detokenize_body(std::string_view prompt);

/// 16 hex digits from the system's random source, as vLLM's ids have.
std::string random_id();

}  // namespace vllm::api
