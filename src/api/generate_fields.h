#pragma once
// Rows of the field tables that completions and chat completions share.
#include "api/requests.h"

namespace vllm::api::rows {

using G = GenerateRequest;
inline constexpr IntRange kInt64{.bounded = true};
inline constexpr IntRange kNotNegative{.lo = 0, .bounded = true};

// Readers of the values with a shape of their own (generate_fields.cc).
void read_stop(json::value&, RequestBase&, const Field&, std::string_view loc, Issues&);
void read_logit_bias(json::value&, RequestBase&, const Field&, std::string_view loc, Issues&);
void read_stream_options(json::value&, RequestBase&, const Field&, std::string_view loc, Issues&);
void read_response_format(json::value&, RequestBase&, const Field&, std::string_view loc, Issues&);
void read_structured_outputs(json::value&, RequestBase&, const Field&, std::string_view loc, Issues&);
void read_any_object(json::value&, RequestBase&, const Field&, std::string_view loc, Issues&);
void read_nothing(json::value&, RequestBase&, const Field&, std::string_view loc, Issues&);

inline constexpr std::string_view kObject = R"({"type":"object"})";

inline constexpr Field kModel = field<&G::model>("model", "Name of the model; absent: the one that is served.");
inline constexpr Field kFrequencyPenalty =
    field<&G::frequency_penalty>("frequency_penalty", "Penalty per occurrence in the output, in [-2, 2].");
inline constexpr Field kPresencePenalty =
    field<&G::presence_penalty>("presence_penalty", "Penalty for having occurred in the output, in [-2, 2].");
inline constexpr Field kRepetitionPenalty =
    field<&G::repetition_penalty>("repetition_penalty", "Divides the logits of tokens in prompt and output, > 0.");
inline constexpr Field kLogitBias =
    custom("logit_bias", R"({"type":"object","additionalProperties":{"type":"number"}})", read_logit_bias,
           "Added to the logits of token ids; clipped to [-100, 100].");
inline constexpr Field kMaxTokens = field<&G::max_tokens>(
    "max_tokens", "Most tokens to generate; clamped to the room left in the context.", {.fallback = "16"});
inline constexpr Field kChatMaxTokens =
    field<&G::max_tokens>("max_tokens", "Older name of max_completion_tokens; absent: the room left in the context.");
inline constexpr Field kN = field<&G::n>("n", "Choices per prompt.", {.fallback = "1"});
inline constexpr Field kSeed =
    field<&G::seed>("seed", "Seed of the sampler; absent or -1: a random one.", {.range = kInt64});
inline constexpr Field kStop =
    custom("stop", R"({"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"},"maxItems":4}]})",
           read_stop, "Strings that end the output; at most four.", {.fallback = "[]"});
inline constexpr Field kStream = field<&G::stream>("stream", "Answer with server-sent events.", {.fallback = "false"});
inline constexpr Field kStreamOptions = custom(
    "stream_options",
    R"({"type":"object","properties":{"include_usage":{"type":"boolean"},"continuous_usage_stats":{"type":"boolean"}}})",
    read_stream_options, "include_usage: a last chunk with the usage; continuous_usage_stats: usage in every chunk.");
inline constexpr Field kTemperature =
    field<&G::temperature>("temperature", "Sampling temperature in [0, 2]; 0 is greedy. Absent: the server's default.");
inline constexpr Field kTopP = field<&G::top_p>("top_p", "Keep the likeliest tokens up to this mass, in (0, 1].");
inline constexpr Field kUser =
    field<&G::user>("user", "Label of the end user; not used.", {.support = Support::kAccepted});
inline constexpr Field kUseBeamSearch =
    field<&G::use_beam_search>("use_beam_search", "Beam search instead of sampling.",
                               {.fallback = "false", .tier = 'C', .support = Support::kNotBuilt});
inline constexpr Field kTopK =
    field<&G::top_k>("top_k", "Keep the k likeliest tokens; 0 or -1: all.", {.fallback = "0"});
inline constexpr Field kMinP =
    field<&G::min_p>("min_p", "Drop tokens below this share of the likeliest one's probability, in [0, 1].");
inline constexpr Field kWatermarking = field<&G::watermarking>(
    "watermarking", "Apply the server's watermark.", {.fallback = "false", .tier = 'C', .support = Support::kNotBuilt});
inline constexpr Field kLengthPenalty =
    field<&G::length_penalty>("length_penalty", "Of beam search; without effect on sampling.",
                              {.fallback = "1.0", .tier = 'C', .support = Support::kAccepted});
inline constexpr Field kStopTokenIds =
    field<&G::stop_token_ids>("stop_token_ids", "Token ids that end the output.", {.fallback = "[]"});
inline constexpr Field kIncludeStop = field<&G::include_stop_str_in_output>(
    "include_stop_str_in_output", "Keep the stop string in the text.", {.fallback = "false"});
inline constexpr Field kIgnoreEos =
    field<&G::ignore_eos>("ignore_eos", "Go on after the end-of-sequence token.", {.fallback = "false"});
inline constexpr Field kMinTokens =
    field<&G::min_tokens>("min_tokens", "Mask the ends until this many tokens are out.", {.fallback = "0"});
inline constexpr Field kSkipSpecial = field<&G::skip_special_tokens>(
    "skip_special_tokens", "Leave special tokens out of the text.", {.fallback = "true"});
inline constexpr Field kSpaces = field<&G::spaces_between_special_tokens>(
    "spaces_between_special_tokens", "Blanks between special tokens.", {.fallback = "true"});
inline constexpr Field kTruncatePrompt = field<&G::truncate_prompt_tokens>(
    "truncate_prompt_tokens", "Cut the prompt to this many tokens; -1: to the context.",
    {.range = {.lo = -1, .bounded = true}});
inline constexpr Field kTruncationSide = field<&G::truncation_side>(
    "truncation_side", "left keeps the last tokens, right the first.", {.choices = "left|right"});
inline constexpr Field kAllowedTokenIds =
    field<&G::allowed_token_ids>("allowed_token_ids", "Sample from these token ids only.");
inline constexpr Field kPromptLogprobs =
    field<&G::prompt_logprobs>("prompt_logprobs", "Top alternatives to report per prompt token; -1: the vocabulary.");
inline constexpr Field kLogprobTokenIds =
    field<&G::logprob_token_ids>("logprob_token_ids", "Report the logprobs of these token ids; at most 128.");
inline constexpr Field kBadWords =
    field<&G::bad_words>("bad_words", "Words that must not be generated.", {.fallback = "[]"});
inline constexpr Field kResponseFormat = custom("response_format", kObject, read_response_format,
                                                "text; json_object, json_schema and structural_tag are not built yet.");
inline constexpr Field kStructuredOutputs = custom("structured_outputs", kObject, read_structured_outputs,
                                                   "Constraint on the output.", {.support = Support::kBuilt});
inline constexpr Field kPriority = field<&G::priority>(
    "priority", "Lower runs first; needs --scheduling-policy priority.", {.fallback = "0", .range = kInt64});
inline constexpr Field kRequestId =
    field<&G::request_id>("request_id", "Id of the answer; the header X-Request-Id goes first.");
inline constexpr Field kSessionId =
    field<&G::session_id>("session_id", "Identity shared by related requests; a hint for routers.",
                          {.tier = 'C', .support = Support::kAccepted});
inline constexpr Field kTokensAsIds =
    field<&G::return_tokens_as_token_ids>("return_tokens_as_token_ids", "Show tokens in logprobs as token_id:N.");
inline constexpr Field kReturnTokenIds = field<&G::return_token_ids>(
    "return_token_ids", "Return the ids of prompt and output tokens.", {.fallback = "false"});
inline constexpr Field kRoutedExperts = field<&G::routed_experts_prompt_start>(
    "routed_experts_prompt_start", "Of routed-expert data, which is not returned.",
    {.fallback = "0", .tier = 'C', .support = Support::kAccepted, .range = kNotNegative});
inline constexpr Field kTokenOffsets =
    field<&G::return_token_offsets>("return_token_offsets", "Of the render endpoints; without effect here.",
                                    {.fallback = "false", .tier = 'C', .support = Support::kAccepted});
inline constexpr Field kMmPayload = field<&G::mm_payload>(
    "mm_payload", "Of the render endpoints; without effect here.",
    {.fallback = "\"tensors\"", .tier = 'C', .support = Support::kAccepted, .choices = "tensors|none"});
inline constexpr Field kMmKwargs = field<&G::return_mm_kwargs>("return_mm_kwargs", "Older form of mm_payload.",
                                                               {.tier = 'C', .support = Support::kAccepted});
inline constexpr Field kCacheSalt =
    field<&G::cache_salt>("cache_salt", "Keeps the prefix cache apart between tenants; at most 128 characters.");
inline constexpr Field kKvTransfer = custom("kv_transfer_params", kObject, read_any_object, "Disaggregated serving.",
                                            {.tier = 'C', .support = Support::kNotBuilt});
inline constexpr Field kEcTransfer =
    custom("ec_transfer_params", kObject, read_any_object, "Disaggregated encoder cache.",
           {.tier = 'C', .support = Support::kNotBuilt});
inline constexpr Field kXargs = custom("vllm_xargs", kObject, read_any_object, "Arguments of custom extensions.",
                                       {.tier = 'C', .support = Support::kNotBuilt});
inline constexpr Field kRepetitionDetection =
    custom("repetition_detection", kObject, read_any_object, "End early on repeated patterns.",
           {.tier = 'C', .support = Support::kNotBuilt});
inline constexpr Field kThinkingBudget = field<&G::thinking_token_budget>(
    "thinking_token_budget", "Most tokens of reasoning; needs a reasoning parser.", {.tier = 'B'});
inline constexpr Field kStreamInterval = field<&G::stream_interval>(
    "stream_interval", "Tokens per streamed chunk.", {.fallback = "1", .range = {.lo = 1, .bounded = true}});
// Removed from vLLM, where they are ignored in silence; here they are to work once structured outputs do.
inline constexpr FieldOptions kLegacy{.tier = 'B', .support = Support::kNotBuilt};
inline constexpr Field kGuidedJson =
    custom("guided_json", "{}", read_nothing, "Older form of structured_outputs.json.", kLegacy);
inline constexpr Field kGuidedRegex =
    custom("guided_regex", "{}", read_nothing, "Older form of structured_outputs.regex.", kLegacy);
inline constexpr Field kGuidedChoice =
    custom("guided_choice", "{}", read_nothing, "Older form of structured_outputs.choice.", kLegacy);
inline constexpr Field kGuidedGrammar =
    custom("guided_grammar", "{}", read_nothing, "Older form of structured_outputs.grammar.", kLegacy);
inline constexpr Field kGuidedBackend =
    custom("guided_decoding_backend", "{}", read_nothing, "Backend of the older guided fields.", kLegacy);
inline constexpr Field kGuidedWhitespace =
    custom("guided_whitespace_pattern", "{}", read_nothing, "Of the older guided fields.", kLegacy);

}  // namespace vllm::api::rows

namespace vllm::api {

// Checks that vLLM makes on the raw body, before any field is read. `object` is the body.
MaybeError check_cache_salt(const json::object& object);
MaybeError check_stream_options(const json::object& object);
MaybeError check_response_format(const json::object& object);
/// `with_tools`: chat, where a constraint and a named tool exclude each other; its errors carry no parameter.
MaybeError check_structured_outputs(const json::object& object, bool chat);
/// `top_field`: "logprobs" of completions or "top_logprobs" of chat.
MaybeError check_logprobs(const json::object& object, bool chat);
/// What asks for structured outputs but can't be granted yet: 400 where the constraint is invalid, else 501. After the
/// schema checks.
MaybeError refuse_structured_outputs(const json::object& object);

}  // namespace vllm::api
