#include <array>

#include "api/generate_fields.h"
#include "api/json_text.h"
#include "api/messages.h"

namespace vllm::api {
namespace {

using R = ChatCompletionRequest;

void read_tool_choice(json::value& value, RequestBase& base, const Field&, std::string_view loc, Issues& issues) {
  auto& request = static_cast<R&>(base);
  if (value.is_object()) {  // named; check_tools has looked at it
    request.tool_choice = "named";
    const json::object* function = get_object(value.get_object(), "function");
    if (function) request.tool_choice_name = get_string(*function, "name").value_or("");
  } else if (auto choice = coerce_choice(value, loc, "none|auto|required", issues)) {
    request.tool_choice = *choice;
  }
}

void read_documents(json::value& value, RequestBase& base, const Field&, std::string_view loc, Issues& issues) {
  if (!value.is_array()) {
    issues.add("list_type", loc, "Input should be a valid list", value);
    return;
  }
  json::array& documents = value.get_array();
  for (size_t i = 0; i < documents.size(); ++i) {
    const json::object* document = coerce_object(documents[i], fmt::format("{}.{}", loc, i), issues);
    if (!document) continue;
    for (const auto& [key, item] : *document)
      coerce_string(item, fmt::format("{}.{}.{}", loc, i, std::string_view(key)), issues);
  }
  static_cast<R&>(base).documents = std::move(documents);
}

constexpr std::array kFields = {
    custom("messages", R"({"type":"array","items":{"type":"object"}})", read_messages, "The conversation so far.",
           {.fallback = "", .required = true}),
    rows::kModel,
    rows::kFrequencyPenalty,
    rows::kLogitBias,
    field<&R::logprobs>("logprobs", "Report the logprobs of output tokens.", {.fallback = "false"}),
    field<&R::top_logprobs>("top_logprobs", "Alternatives per token; needs logprobs. -1: the vocabulary.",
                            {.fallback = "0"}),
    rows::kChatMaxTokens,
    field<&R::max_completion_tokens>("max_completion_tokens",
                                     "Most tokens to generate; absent: the room left in the context."),
    rows::kN,
    rows::kPresencePenalty,
    rows::kResponseFormat,
    rows::kSeed,
    rows::kStop,
    rows::kStream,
    rows::kStreamOptions,
    rows::kTemperature,
    rows::kTopP,
    custom("tools", R"({"type":"array","items":{"type":"object"}})", read_tools,
           "Functions the model may call, for the chat template."),
    custom("tool_choice", R"({"anyOf":[{"type":"string","enum":["none","auto","required"]},{"type":"object"}]})",
           read_tool_choice, "none, auto, required or one function by name.", {.fallback = "\"none\""}),
    field<&R::reasoning_effort>("reasoning_effort", "How much to think, for the chat template.",
                                {.choices = "none|minimal|low|medium|high|xhigh|max"}),
    rows::kThinkingBudget,
    field<&R::include_reasoning>("include_reasoning", "Return the reasoning that a reasoning parser finds.",
                                 {.fallback = "true", .tier = 'B', .support = Support::kAccepted}),
    field<&R::parallel_tool_calls>("parallel_tool_calls",
                                   "Allow several calls in one answer; calls are not parsed yet.",
                                   {.fallback = "true", .tier = 'B', .support = Support::kAccepted}),
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
    rows::kPromptLogprobs,
    rows::kLogprobTokenIds,
    rows::kAllowedTokenIds,
    rows::kBadWords,
    field<&R::echo>("echo", "Put the last message before the output if it has the same role.", {.fallback = "false"}),
    field<&R::add_generation_prompt>("add_generation_prompt", "Let the template open the answer's turn.",
                                     {.fallback = "true"}),
    field<&R::continue_final_message>("continue_final_message",
                                      "Leave the last message open for the model to continue.", {.fallback = "false"}),
    field<&R::add_special_tokens>("add_special_tokens",
                                  "Let the tokenizer add BOS and the like to what the template wrote.",
                                  {.fallback = "false"}),
    custom("documents", R"({"type":"array","items":{"type":"object"}})", read_documents,
           "Documents for the chat template."),
    field<&R::chat_template>("chat_template", "Template of this request; needs --trust-request-chat-template."),
    field<&R::chat_template_kwargs>("chat_template_kwargs", "Further variables of the template."),
    custom("media_io_kwargs", rows::kObject, rows::read_any_object, "Of media parts; needs --trust-request-mm-kwargs.",
           {.tier = 'C', .support = Support::kAccepted}),
    custom("mm_processor_kwargs", rows::kObject, rows::read_any_object,
           "Of media parts; needs --trust-request-mm-kwargs.", {.tier = 'C', .support = Support::kAccepted}),
    rows::kStructuredOutputs,
    rows::kPriority,
    rows::kRequestId,
    rows::kSessionId,
    rows::kTokensAsIds,
    rows::kReturnTokenIds,
    rows::kRoutedExperts,
    rows::kTokenOffsets,
    field<&R::return_prompt_text>("return_prompt_text", "Return the prompt that the template wrote.",
                                  {.fallback = "false"}),
    rows::kMmPayload,
    rows::kMmKwargs,
    rows::kCacheSalt,
    rows::kKvTransfer,
    rows::kEcTransfer,
    rows::kXargs,
    rows::kRepetitionDetection,
    rows::kStreamInterval,
    rows::kGuidedJson,
    rows::kGuidedRegex,
    rows::kGuidedChoice,
    rows::kGuidedGrammar,
    rows::kGuidedBackend,
    rows::kGuidedWhitespace,
};

constexpr std::string_view kUsage = R"(Correct usage: `{"type": "function", "function": {"name": "my_function"}}`)";

MaybeError check_named_tool(const json::object& choice, const json::value& tools) {
  const json::value* function = choice.if_contains("function");
  if (!function || !function->is_object()) {
    return bad_parameter(fmt::format("Invalid value for `function`: `{}` in `tool_choice`! {}",
                                     function ? python_summary(*function) : "None", kUsage),
                         "tool_choice.function");
  }
  const json::value* name = function->get_object().if_contains("name");
  if (!name)
    return bad_parameter(fmt::format("Expected field `name` in `function` in `tool_choice`! {}", kUsage),
                         "tool_choice.function.name");
  if (!name->is_string() || name->get_string().empty()) {
    return bad_parameter(
        fmt::format("Invalid `name` in `function`: `{}` in `tool_choice`! {}", python_summary(*name), kUsage),
        "tool_choice.function.name");
  }
  const json::array* list = tools.if_array();
  for (size_t i = 0; list && i < list->size(); ++i) {
    const json::object* tool = (*list)[i].if_object();
    const json::object* inner = tool ? get_object(*tool, "function") : nullptr;
    const json::value* candidate = inner ? inner->if_contains("name") : nullptr;
    if (candidate && *candidate == *name) return std::nullopt;
  }
  return bad_parameter("The tool specified in `tool_choice` does not match any of the specified `tools`",
                       "tool_choice");
}

// `body` gains tool_choice "auto" where tools come without a choice, as in vLLM.
MaybeError check_tools(json::object& body, bool& choice_was_given) {
  const json::value* tools = body.if_contains("tools");
  if (tools && tools->is_array() && tools->get_array().empty()) {
    return bad_parameter(
        "`tools` must not be an empty array. Either provide at least one tool or omit the field entirely.", "tools");
  }
  const json::value* choice = body.if_contains("tool_choice");
  choice_was_given = choice && !choice->is_null();
  if (!choice_was_given || (choice->is_string() && choice->get_string() == "none")) return std::nullopt;
  if (!tools || tools->is_null()) return bad_parameter("When using `tool_choice`, `tools` must be set.", "tool_choice");
  if (choice->is_object()) return check_named_tool(choice->get_object(), *tools);
  if (!choice->is_string() || (choice->get_string() != "auto" && choice->get_string() != "required")) {
    return bad_parameter(
        fmt::format(
            R"(Invalid value for `tool_choice`: {}! Only named tools, "none", "auto" or "required" are supported.)",
            python_summary(*choice)),
        "tool_choice");
  }
  return std::nullopt;
}

MaybeError check_generation_prompt(const json::object& body) {
  const json::value* keep = body.if_contains("continue_final_message");
  const json::value* add = body.if_contains("add_generation_prompt");
  if (keep && add && truthy(*keep) && truthy(*add)) {
    return bad_request("Cannot set both `continue_final_message` and `add_generation_prompt` to True.");
  }
  return std::nullopt;
}

// Media options can change how much a request costs; without media they have no other meaning.
MaybeError check_media_options(const json::object& body) {
  for (std::string_view name : {"mm_processor_kwargs", "media_io_kwargs"}) {
    const json::value* value = body.if_contains(name);
    if (value && truthy(*value)) {
      return bad_parameter(fmt::format("Per-request {} are disabled by default. Start the server with "
                                       "--trust-request-mm-kwargs only when clients are trusted.",
                                       name),
                           name);
    }
  }
  return std::nullopt;
}

// TokenizeChatRequest and TokenizeCompletionRequest of vLLM: two field lists, tried in this order.
constexpr std::array kTokenizeText = {
    rows::kModel,
    field<&TokenizeRequest::prompt>("prompt", "Text to tokenize.", {.fallback = "", .required = true}),
    field<&ChatInput::add_special_tokens>("add_special_tokens", "Let the tokenizer add BOS and the like.",
                                          {.fallback = "true"}),
    field<&TokenizeRequest::return_token_strs>("return_token_strs", "Return the tokens' own spelling too.",
                                               {.fallback = "false"}),
};
constexpr std::array kTokenizeChat = {
    rows::kModel,
    custom("messages", R"({"type":"array","items":{"type":"object"}})", read_messages,
           "The conversation to render and tokenize.", {.fallback = "", .required = true}),
    field<&ChatInput::add_generation_prompt>("add_generation_prompt", "Let the template open the answer's turn.",
                                             {.fallback = "true"}),
    field<&TokenizeRequest::return_token_strs>("return_token_strs", "Return the tokens' own spelling too.",
                                               {.fallback = "false"}),
    field<&ChatInput::continue_final_message>("continue_final_message", "Leave the last message open.",
                                              {.fallback = "false"}),
    field<&ChatInput::add_special_tokens>("add_special_tokens", "Let the tokenizer add BOS and the like.",
                                          {.fallback = "false"}),
    field<&ChatInput::chat_template>("chat_template", "Template of this request; needs --trust-request-chat-template."),
    field<&ChatInput::chat_template_kwargs>("chat_template_kwargs", "Further variables of the template."),
    custom("media_io_kwargs", rows::kObject, rows::read_any_object, "Of media parts.",
           {.tier = 'C', .support = Support::kAccepted}),
    custom("mm_processor_kwargs", rows::kObject, rows::read_any_object, "Of media parts.",
           {.tier = 'C', .support = Support::kAccepted}),
    custom("tools", R"({"type":"array","items":{"type":"object"}})", read_tools, "Functions for the template."),
};
constexpr std::array kDetokenize = {
    field<&DetokenizeRequest::model>("model", "Name of the model; absent: the one that is served."),
    field<&DetokenizeRequest::tokens>("tokens", "Token ids.",
                                      {.fallback = "", .required = true, .range = {.lo = 0, .bounded = true}}),
};

}  // namespace

std::span<const Field> chat_completion_fields() { return kFields; }
std::span<const Field> tokenize_completion_fields() { return kTokenizeText; }
std::span<const Field> tokenize_chat_fields() { return kTokenizeChat; }
std::span<const Field> detokenize_fields() { return kDetokenize; }

ApiResult<ChatCompletionRequest> parse_chat_completion(json::value body) {
  bool choice_was_given = false;
  if (json::object* object = body.if_object()) {
    for (MaybeError error :
         {check_messages_iterable(*object), check_generation_prompt(*object), check_tools(*object, choice_was_given),
          check_structured_outputs(*object, true), check_logprobs(*object, true), check_stream_options(*object),
          check_response_format(*object), check_cache_salt(*object)}) {
      if (error) return std::move(*error);
    }
  }
  ChatCompletionRequest request;
  MaybeError refused = read_fields(kFields, body, request);
  if (refused && refused->status != 501) return std::move(*refused);
  const json::object& object = body.get_object();
  if (request.stream && request.use_beam_search)
    return bad_request("Streaming is not currently supported with beam search");
  if (MaybeError error = refuse_structured_outputs(object)) return std::move(*error);
  if (refused) return std::move(*refused);
  if (MaybeError error = check_media_options(object)) return std::move(*error);
  return request;
}

ApiResult<TokenizeRequest> parse_tokenize(json::value body) {
  TokenizeRequest request;
  if (const json::object* object = body.if_object()) {
    if (MaybeError error = check_generation_prompt(*object)) return std::move(*error);
    request.is_chat = object->contains("messages");
    if (request.is_chat) {
      if (const json::value* messages = object->if_contains("messages"); messages->is_array()) {
        if (MaybeError error = check_messages_iterable(*object)) return std::move(*error);
      }
    }
  }
  // A union: the branch that fits is taken; if neither does, both report. Reading moves values out of the body, so each
  // branch is read once.
  const std::span<const Field> text_fields = kTokenizeText, chat_fields = kTokenizeChat;
  request.add_special_tokens = !request.is_chat;
  Issues issues;
  (void)read_fields(request.is_chat ? chat_fields : text_fields, body, request, issues);
  if (issues.empty()) return request;
  TokenizeRequest other;
  other.is_chat = !request.is_chat;
  other.add_special_tokens = request.is_chat;
  Issues other_issues;
  (void)read_fields(other.is_chat ? chat_fields : text_fields, body, other, other_issues);
  if (other_issues.empty()) return other;
  Issues& first = request.is_chat ? other_issues : issues;  // the text's come first
  first.append(request.is_chat ? issues : other_issues);
  return first.error();
}

ApiResult<DetokenizeRequest> parse_detokenize(json::value body) {
  DetokenizeRequest request;
  if (MaybeError error = read_fields(kDetokenize, body, request)) return std::move(*error);
  return request;
}

}  // namespace vllm::api
