#include <array>

#include "api/generate_fields.h"

namespace vllm::api {
namespace {

using R = CompletionRequest;
constexpr size_t kMaxPrompts = 1024;
constexpr IntRange kTokenId{.lo = 0, .bounded = true};

void list_issue(const json::value& value, std::string_view loc, Issues& issues) {
  issues.add("list_type", loc, "Input should be a valid list", value);
}

// A union of four: token ids, lists of token ids, a text, texts. If none fits, each says what it misses, in that order.
void read_prompt(json::value& value, RequestBase& base, const Field&, std::string_view loc, Issues& issues) {
  auto& request = static_cast<R&>(base);
  request.has_prompt = true;
  if (value.is_string()) {
    request.prompts.emplace_back(std::string(value.get_string()));
    return;
  }
  Issues found;
  if (!value.is_array()) {
    list_issue(value, loc, found);
    list_issue(value, loc, found);
    found.add("string_type", loc, "Input should be a valid string", value);
    list_issue(value, loc, found);
    issues.append(found);
    return;
  }
  const json::array& array = value.get_array();
  if (auto ids = coerce_ints(value, loc, found, kTokenId)) {
    if (!ids->empty()) request.prompts.emplace_back(std::move(*ids));
    return;
  }
  std::vector<std::vector<int64_t>> lists;
  bool all_lists = true;
  for (size_t i = 0; i < array.size(); ++i) {
    auto ids = coerce_ints(array[i], fmt::format("{}.{}", loc, i), found, kTokenId);
    all_lists = all_lists && ids;
    if (all_lists) lists.push_back(std::move(*ids));
  }
  if (all_lists) {
    for (auto& ids : lists) request.prompts.emplace_back(std::move(ids));
    return;
  }
  found.add("string_type", loc, "Input should be a valid string", value);
  if (auto texts = coerce_strings(value, loc, found)) {
    for (auto& text : *texts) request.prompts.emplace_back(std::move(text));
    return;
  }
  issues.append(found);
}

void read_prompt_embeds(json::value&, RequestBase&, const Field&, std::string_view, Issues&) {}

constexpr std::array kFields = {
    rows::kModel,
    custom(
        "prompt",
        R"({"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"}},{"type":"array","items":{"type":"integer","minimum":0}},{"type":"array","items":{"type":"array","items":{"type":"integer","minimum":0}}}]})",
        read_prompt, "Text, token ids, or a list of either."),
    field<&R::echo>("echo", "Put the prompt before the output.", {.fallback = "false"}),
    rows::kFrequencyPenalty,
    rows::kLogitBias,
    field<&R::logprobs>("logprobs",
                        "Top alternatives to report per output token; 0: the sampled one only; -1: the vocabulary."),
    rows::kMaxTokens,
    rows::kN,
    rows::kPresencePenalty,
    rows::kSeed,
    rows::kStop,
    rows::kStream,
    rows::kStreamOptions,
    field<&R::suffix>("suffix", "Text after the insertion; only for models with a fill-in-the-middle format."),
    rows::kTemperature,
    rows::kTopP,
    rows::kUser,
    rows::kUseBeamSearch,
    rows::kTopK,
    rows::kMinP,
    rows::kRepetitionPenalty,
    rows::kWatermarking,
    rows::kLengthPenalty,
    rows::kStopTokenIds,
    rows::kIncludeStop,
    rows::kIgnoreEos,
    rows::kMinTokens,
    rows::kSkipSpecial,
    rows::kSpaces,
    rows::kTruncatePrompt,
    rows::kTruncationSide,
    rows::kAllowedTokenIds,
    rows::kPromptLogprobs,
    rows::kLogprobTokenIds,
    rows::kBadWords,
    custom("prompt_embeds", "{}", read_prompt_embeds, "Embeddings in place of tokens; needs --enable-prompt-embeds.",
           {.tier = 'C', .support = Support::kAccepted}),
    field<&R::add_special_tokens>("add_special_tokens", "Let the tokenizer add its BOS and the like.",
                                  {.fallback = "true"}),
    rows::kResponseFormat,
    rows::kStructuredOutputs,
    rows::kPriority,
    rows::kRequestId,
    rows::kSessionId,
    rows::kTokensAsIds,
    rows::kReturnTokenIds,
    rows::kRoutedExperts,
    rows::kTokenOffsets,
    rows::kMmPayload,
    rows::kMmKwargs,
    rows::kCacheSalt,
    rows::kKvTransfer,
    rows::kEcTransfer,
    rows::kXargs,
    rows::kRepetitionDetection,
    rows::kThinkingBudget,
    rows::kStreamInterval,
    rows::kGuidedJson,
    rows::kGuidedRegex,
    rows::kGuidedChoice,
    rows::kGuidedGrammar,
    rows::kGuidedBackend,
    rows::kGuidedWhitespace,
};

MaybeError check_prompt(const json::object& object) {
  const json::value* prompt = object.if_contains("prompt");
  const json::value* embeds = object.if_contains("prompt_embeds");
  const bool no_prompt = !prompt || prompt->is_null() || (prompt->is_string() && prompt->get_string().empty());
  const bool no_embeds = !embeds || embeds->is_null() || (embeds->is_array() && embeds->get_array().empty());
  if (prompt && prompt->is_array() && prompt->get_array().size() > kMaxPrompts) {
    bool all_ints = true;
    for (const json::value& item : prompt->get_array())
      all_ints = all_ints && (item.is_int64() || item.is_uint64() || item.is_bool());
    if (!all_ints) {
      return bad_parameter(fmt::format("prompt list length {} exceeds the maximum allowed count of {}.",
                                       prompt->get_array().size(), kMaxPrompts),
                           "prompt");
    }
  }
  if (no_prompt && no_embeds)
    return bad_parameter("Either prompt or prompt_embeds must be provided and non-empty.", "prompt");
  return std::nullopt;
}

}  // namespace

std::span<const Field> completion_fields() { return kFields; }

ApiResult<CompletionRequest> parse_completion(json::value body) {
  if (const json::object* object = body.if_object()) {
    for (MaybeError error :
         {check_prompt(*object), check_stream_options(*object), check_logprobs(*object, false),
          check_structured_outputs(*object, false), check_response_format(*object), check_cache_salt(*object)}) {
      if (error) return std::move(*error);
    }
  }
  CompletionRequest request;
  request.max_tokens = 16;
  MaybeError refused = read_fields(kFields, body, request);
  if (refused && refused->status != 501) return std::move(*refused);
  const json::object& object = body.get_object();
  if (request.stream && request.use_beam_search)
    return bad_request("Streaming is not currently supported with beam search");
  if (MaybeError error = refuse_structured_outputs(object)) return std::move(*error);
  if (refused) return std::move(*refused);
  if (const json::value* embeds = object.if_contains("prompt_embeds"); embeds && truthy(*embeds)) {
    return bad_parameter("You must set `--enable-prompt-embeds` to input `prompt_embeds`.", "prompt_embeds");
  }
  if (request.suffix) {
    ApiError error = bad_request("suffix is only supported for models with FIM completion rendering");
    error.param = "suffix";
    return error;
  }
  if (request.prompts.empty()) return bad_request("You must pass at least one prompt");
  return request;
}

}  // namespace vllm::api
