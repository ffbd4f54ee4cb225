#include "api/responses.h"

#include <algorithm>

#include "api/json_text.h"
#include "base/hash.h"

namespace vllm::api {
namespace {

constexpr std::string_view kCompletionChunk = "text_completion", kChatChunk = "chat.completion.chunk";

void append_head(std::string& out, const AnswerHead& head, std::string_view object) {
  out += R"({"id":)";
  append_string(out, head.id);
  out += R"(,"object":")";
  out += object;
  out += R"(","created":)";
  append_int(out, head.created);
  out += R"(,"model":)";
  append_string(out, head.model);
}

// Up to and with the choices' bracket.
void append_chunk_head(std::string& out, const AnswerHead& head, std::string_view object) {
  if (!head.chunk_prefix.empty()) {
    out += head.chunk_prefix;
    return;
  }
  out += "data: ";
  append_head(out, head, object);
  out += R"(,"choices":[)";
}

void append_or_null(std::string& out, std::string_view json) { out += json.empty() ? std::string_view("null") : json; }

void append_name(std::string& out, std::string_view text) {  // finish_reason: our own words, no escaping
  if (text.empty()) {
    out += "null";
  } else {
    out += '"';
    out += text;
    out += '"';
  }
}

void append_stop_reason(std::string& out, const StopReason* reason) {
  if (!reason || std::holds_alternative<std::monostate>(*reason)) {
    out += "null";
  } else if (const TokenId* token = std::get_if<TokenId>(reason)) {
    append_int(out, *token);
  } else {
    append_string(out, std::get<std::string>(*reason));
  }
}

void append_ids(std::string& out, const std::optional<std::span<const TokenId>>& ids) {
  if (ids) {
    append_ints(out, *ids);
  } else {
    out += "null";
  }
}

void append_usage_counts(std::string& out, const Usage& usage) {
  out += R"({"prompt_tokens":)";
  append_int(out, usage.prompt_tokens);
  out += R"(,"total_tokens":)";
  append_int(out, usage.prompt_tokens + usage.completion_tokens);
  out += R"(,"completion_tokens":)";
  append_int(out, usage.completion_tokens);
}

// Of a whole body: nulls are spelled out.
void append_usage(std::string& out, const Usage& usage) {
  append_usage_counts(out, usage);
  out += R"(,"prompt_tokens_details":)";
  if (usage.details.given) {
    out += R"({"cached_tokens":)";
    append_int(out, usage.details.cached_tokens);
    out += R"(,"created_cache_tokens":)";
    if (usage.details.created_cache_tokens) {
      append_int(out, *usage.details.created_cache_tokens);
    } else {
      out += "null";
    }
    out += R"(,"multimodal_tokens":null})";
  } else {
    out += "null";
  }
  out += R"(,"completion_tokens_details":null})";
}

void append_fingerprint(std::string& out, const AnswerHead& head) {
  out += R"(,"system_fingerprint":)";
  append_string(out, head.fingerprint);
}

// Of a choice: its logprobs, and how it ended.
void append_end(std::string& out, const auto& choice) {
  out += R"(,"logprobs":)";
  append_or_null(out, choice.logprobs_json);
  out += R"(,"finish_reason":)";
  append_name(out, choice.finish_reason);
  out += R"(,"stop_reason":)";
  append_stop_reason(out, choice.stop_reason);
}

// Of a whole body.
void append_after_choices(std::string& out, const AnswerHead& head, const Usage& usage) {
  out += R"(],"service_tier":null)";
  append_fingerprint(out, head);
  out += R"(,"usage":)";
  append_usage(out, usage);
}

void append_prompt(std::string& out, const ChatExtras& extras) {
  out += R"(,"prompt_token_ids":)";
  append_ids(out, extras.prompt_token_ids);
  out += R"(,"prompt_text":)";
  if (extras.prompt_text) {
    append_string(out, *extras.prompt_text);
  } else {
    out += "null";
  }
}

}  // namespace

void prepare_chunks(AnswerHead& head, bool chat) {
  head.chunk_prefix.clear();
  append_chunk_head(head.chunk_prefix, head, chat ? kChatChunk : kCompletionChunk);
}

std::string completion_body(const AnswerHead& head, std::span<const CompletionChoice> choices, const Usage& usage) {
  std::string out;
  append_head(out, head, "text_completion");
  out += R"(,"choices":[)";
  for (const CompletionChoice& choice : choices) {
    if (&choice != &choices.front()) out += ',';
    out += R"({"index":)";
    append_int(out, choice.index);
    out += R"(,"text":)";
    append_string(out, choice.text);
    append_end(out, choice);
    out += R"(,"token_ids":)";
    append_ids(out, choice.token_ids);
    out += R"(,"prompt_logprobs":)";
    append_or_null(out, choice.prompt_logprobs_json);
    out += R"(,"prompt_token_ids":)";
    append_ids(out, choice.prompt_token_ids);
    out += R"(,"routed_experts":null})";
  }
  append_after_choices(out, head, usage);
  out += R"(,"kv_transfer_params":null,"ec_transfer_params":null,"metrics":null})";
  return out;
}

std::string chat_body(const AnswerHead& head, std::span<const ChatChoice> choices, const Usage& usage,
                      const ChatExtras& extras) {
  std::string out;
  append_head(out, head, "chat.completion");
  out += R"(,"choices":[)";
  for (const ChatChoice& choice : choices) {
    if (&choice != &choices.front()) out += ',';
    out += R"({"index":)";
    append_int(out, choice.index);
    out += R"(,"message":{"role":)";
    append_string(out, choice.role);
    out += R"(,"content":)";
    append_string(out, choice.content);
    out += R"(,"refusal":null,"annotations":null,"audio":null,"function_call":null,"reasoning":null})";
    append_end(out, choice);
    out += R"(,"token_ids":)";
    append_ids(out, choice.token_ids);
    out += R"(,"routed_experts":null})";
  }
  append_after_choices(out, head, usage);
  out += R"(,"prompt_logprobs":)";
  append_or_null(out, extras.prompt_logprobs_json);
  append_prompt(out, extras);
  out += R"(,"kv_transfer_params":null,"ec_transfer_params":null,"metrics":null})";
  return out;
}

void append_completion_chunk(std::string& out, const AnswerHead& head, const CompletionChoice& choice,
                             const Usage* usage, bool last) {
  append_chunk_head(out, head, kCompletionChunk);
  out += R"({"index":)";
  append_int(out, choice.index);
  out += R"(,"text":)";
  append_string(out, choice.text);
  const bool plain = choice.logprobs_json.empty() && choice.finish_reason.empty() && !choice.token_ids &&
                     !choice.prompt_token_ids && !usage && !last &&
                     (!choice.stop_reason || std::holds_alternative<std::monostate>(*choice.stop_reason));
  if (plain) {  // most chunks
    out += R"(,"logprobs":null,"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":null}]})"
           "\n\n";
    return;
  }
  append_end(out, choice);
  out += R"(,"prompt_token_ids":)";
  append_ids(out, choice.prompt_token_ids);
  out += R"(,"token_ids":)";
  append_ids(out, choice.token_ids);
  out += "}]";
  if (usage) {
    out += R"(,"usage":)";
    append_usage_counts(out, *usage);
    out += '}';
  }
  if (last) append_fingerprint(out, head);
  out += "}\n\n";
}

namespace {
// Chat's continuous usage names completion_tokens_details, completions' does not.
void append_chat_usage(std::string& out, const Usage* usage) {
  if (!usage) return;
  out += R"(,"usage":)";
  append_usage_counts(out, *usage);
  out += R"(,"completion_tokens_details":null})";
}
}  // namespace

void append_chat_role_chunk(std::string& out, const AnswerHead& head, int index, std::string_view role,
                            const ChatExtras& extras, const Usage* usage) {
  append_chunk_head(out, head, kChatChunk);
  out += R"({"index":)";
  append_int(out, index);
  out += R"(,"delta":{"role":)";
  append_string(out, role);
  out += R"(,"content":""},"logprobs":null,"finish_reason":null}])";
  append_chat_usage(out, usage);
  append_prompt(out, extras);
  out += "}\n\n";
}

void append_chat_chunk(std::string& out, const AnswerHead& head, const ChatChoice& choice, const Usage* usage,
                       bool last, bool echo) {
  append_chunk_head(out, head, kChatChunk);
  out += R"({"index":)";
  append_int(out, choice.index);
  if (choice.omit_content) {
    out += R"(,"delta":{},"logprobs":)";
  } else {
    out += R"(,"delta":{"content":)";
    append_string(out, choice.content);
    const bool plain =
        choice.logprobs_json.empty() && choice.finish_reason.empty() && !choice.token_ids && !usage && !last && !echo;
    if (plain) {  // most chunks
      out += R"(},"logprobs":null,"finish_reason":null,"token_ids":null}]})"
             "\n\n";
      return;
    }
    out += R"(},"logprobs":)";
  }
  append_or_null(out, choice.logprobs_json);
  out += R"(,"finish_reason":)";
  append_name(out, choice.finish_reason);
  if (!choice.finish_reason.empty()) {
    out += R"(,"stop_reason":)";
    append_stop_reason(out, choice.stop_reason);
  }
  if (!echo) {
    out += R"(,"token_ids":)";
    append_ids(out, choice.token_ids);
  }
  out += "}]";
  append_chat_usage(out, usage);
  if (last) append_fingerprint(out, head);
  out += "}\n\n";
}

void append_usage_chunk(std::string& out, const AnswerHead& head, const Usage& usage, bool chat) {
  append_chunk_head(out, head, chat ? kChatChunk : kCompletionChunk);
  out += R"(],"usage":)";
  append_usage_counts(out, usage);
  if (usage.details.given) {
    out += R"(,"prompt_tokens_details":{"cached_tokens":)";
    append_int(out, usage.details.cached_tokens);
    if (usage.details.created_cache_tokens) {
      out += R"(,"created_cache_tokens":)";
      append_int(out, *usage.details.created_cache_tokens);
    }
    out += '}';
  }
  out += '}';
  append_fingerprint(out, head);
  out += "}\n\n";
}

void append_error_event(std::string& out, std::string_view error_body) {
  out += "data: ";
  out += error_body;
  out += "\n\n";
}

void append_done(std::string& out) { out += "data: [DONE]\n\n"; }

std::string models_body(std::span<const ServedModel> models) {
  std::string out = R"({"object":"list","data":[)";
  for (const ServedModel& model : models) {
    if (&model != &models.front()) out += ',';
    out += R"({"id":)";
    append_string(out, model.id);
    out += R"(,"object":"model","created":)";
    append_int(out, model.created);
    out += R"(,"owned_by":"vllm","root":)";
    append_string(out, model.root);
    out += R"(,"parent":null,"max_model_len":)";
    append_int(out, model.max_model_len);
    out += R"(,"permission":[{"id":"modelperm-)";
    out += random_id();
    out += R"(","object":"model_permission","created":)";
    append_int(out, model.created);
    out +=
        R"(,"allow_create_engine":false,"allow_sampling":true,"allow_logprobs":true,"allow_search_indices":false,"allow_view":true,)";
    out += R"("allow_fine_tuning":false,"organization":"*","group":null,"is_blocking":false}]})";
  }
  return out += "]}";
}

std::string tokenize_body(std::span<const TokenId> tokens, int64_t max_model_len,
                          const std::vector<std::string>* token_strs) {
  std::string out = R"({"count":)";
  append_int(out, static_cast<int64_t>(tokens.size()));
  out += R"(,"max_model_len":)";
  append_int(out, max_model_len);
  out += R"(,"tokens":)";
  append_ints(out, tokens);
  out += R"(,"token_strs":)";
  if (token_strs) {
    out += '[';
    for (const std::string& token : *token_strs) {
      if (&token != &token_strs->front()) out += ',';
      append_string(out, token);
    }
    out += ']';
  } else {
    out += "null";
  }
  return out += '}';
}

std::string detokenize_body(std::string_view prompt) {
  std::string out = R"({"prompt":)";
  append_string(out, prompt);
  return out += '}';
}

std::string random_id() { return fmt::format("{:016x}", random_key().lo); }

}  // namespace vllm::api
