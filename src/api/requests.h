#pragma once
// The request bodies of the OpenAI-compatible endpoints, as read: defaults of vLLM 0.33 where a field is absent or
// null, values that depend on the model (vocabulary, context) not yet checked (see sampling.h).
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "api/error.h"
#include "api/fields.h"
#include "base/json.h"

namespace vllm::api {

/// What completions and chat completions share.
struct GenerateRequest : RequestBase {
  std::optional<std::string> model;  // absent or empty = the served one
  std::optional<double> temperature, top_p, min_p, presence_penalty, frequency_penalty, repetition_penalty;
  std::optional<int64_t> top_k, seed, max_tokens;
  int64_t n = 1;
  int64_t min_tokens = 0;
  std::vector<std::string> stop;
  std::vector<int64_t> stop_token_ids;
  bool include_stop_str_in_output = false, ignore_eos = false, skip_special_tokens = true,
       spaces_between_special_tokens = true;
  std::vector<std::pair<std::string, double>> logit_bias;
  std::optional<std::vector<int64_t>> allowed_token_ids;
  std::vector<std::string> bad_words;
  std::optional<int64_t> prompt_logprobs;
  std::vector<int64_t> logprob_token_ids;
  std::optional<int64_t> truncate_prompt_tokens;
  std::optional<std::string> truncation_side;
  std::optional<int64_t> thinking_token_budget;
  bool stream = false, stream_include_usage = false, stream_continuous_usage = false;
  int64_t stream_interval = 1;  // tokens per chunk
  std::optional<bool> return_tokens_as_token_ids;
  bool return_token_ids = false, return_token_offsets = false, return_mm_kwargs = true;
  bool use_beam_search = false, watermarking = false;
  double length_penalty = 1;
  int64_t priority = 0, routed_experts_prompt_start = 0;
  std::optional<std::string> request_id, session_id, user, cache_salt, mm_payload;
};

struct CompletionRequest : GenerateRequest {
  std::vector<std::variant<std::string, std::vector<int64_t>>> prompts;  // one or more; texts or token ids
  bool has_prompt = false;
  bool echo = false;
  bool add_special_tokens = true;
  std::optional<int64_t> logprobs;
  std::optional<std::string> suffix;
};

/// What a chat template is given; shared by /v1/chat/completions and /tokenize.
struct ChatInput : GenerateRequest {
  json::array messages;
  std::optional<json::array> tools;  // as the template sees them: unknown keys dropped, absent ones null
  bool add_generation_prompt = true, continue_final_message = false, add_special_tokens = false;
  std::optional<std::string> chat_template;
  json::object chat_template_kwargs;
};

struct ChatCompletionRequest : ChatInput {
  bool echo = false;
  bool logprobs = false;
  int64_t top_logprobs = 0;
  std::optional<int64_t> max_completion_tokens;
  std::string tool_choice = "none";  // none, auto, required or named
  std::string tool_choice_name;      // of a named one
  std::optional<std::string> reasoning_effort;
  std::optional<json::array> documents;
  bool include_reasoning = true, parallel_tool_calls = true, return_prompt_text = false;
};

struct TokenizeRequest : ChatInput {
  bool is_chat = false;
  std::string prompt;
  bool return_token_strs = false;
};

struct DetokenizeRequest : RequestBase {
  std::optional<std::string> model;
  std::vector<int64_t> tokens;
};

// From the parsed body. Everything that can be said without the model is checked, in vLLM's order and words.
ApiResult<CompletionRequest> parse_completion(json::value body);
ApiResult<ChatCompletionRequest> parse_chat_completion(json::value body);
ApiResult<TokenizeRequest> parse_tokenize(json::value body);
ApiResult<DetokenizeRequest> parse_detokenize(json::value body);

std::span<const Field> completion_fields();
std::span<const Field> chat_completion_fields();
std::span<const Field> tokenize_completion_fields();
std::span<const Field> tokenize_chat_fields();
std::span<const Field> detokenize_fields();

}  // namespace vllm::api
