// Request bodies: one table of bad ones with vLLM's answer (recorded from 0.32.0), one walk over the field tables.
#include <gtest/gtest.h>

#include <set>

#include "api/json_body.h"
#include "api/json_text.h"
#include "api/messages.h"
#include "api/openapi.h"
#include "api/requests.h"
#include "api/sampling.h"
#include "api/unbuilt.h"

namespace vllm::api {
namespace {

// The error of parsing `text` as the body of `path` and, if that passes, of resolving its sampling; nullopt if all is
// well.
MaybeError judge(std::string_view path, std::string_view text) {
  ModelLimits limits{.max_model_len = 4096, .vocab_size = 49152};
  auto body = parse_body(text, "application/json");
  if (!body) return body.error();
  const auto finish = [&](auto&& request, std::optional<int64_t> max_tokens, std::string_view name) -> MaybeError {
    if (!request) return request.error();
    if (auto error = check_lengths(max_tokens, name, request->truncate_prompt_tokens, limits)) return error;
    auto sampling = to_sampling(*request, 5, limits);
    return sampling ? MaybeError() : sampling.error();
  };
  if (path == "completion") {
    auto request = parse_completion(std::move(*body));
    return finish(request, request ? request->max_tokens : std::nullopt, "max_tokens");
  }
  if (path == "chat") {
    auto request = parse_chat_completion(std::move(*body));
    const bool newer = request && request->max_completion_tokens;
    return finish(request,
                  !request ? std::nullopt
                  : newer  ? request->max_completion_tokens
                           : request->max_tokens,
                  newer ? "max_completion_tokens" : "max_tokens");
  }
  if (path == "tokenize") {
    auto request = parse_tokenize(std::move(*body));
    return request ? MaybeError() : request.error();
  }
  auto request = parse_detokenize(std::move(*body));
  return request ? MaybeError() : request.error();
}

std::string completion(std::string_view fields) {
  return fmt::format(R"({{"prompt":"x"{}{}}})", fields.empty() ? "" : ",", fields);
}
std::string chat(std::string_view fields) {
  return fmt::format(R"({{"messages":[{{"role":"user","content":"x"}}]{}{}}})", fields.empty() ? "" : ",", fields);
}

struct Case {
  std::string_view path, body;
  int status;                                            // 0 = accepted
  std::string_view type = "", param = "", message = "";  // param "-" = null; message: a part of it
};
constexpr std::string_view kSchema = "Bad Request", kBad = "BadRequestError", kLater = "NotImplementedError";

class BadRequests : public testing::TestWithParam<Case> {};
TEST_P(BadRequests, AreAnsweredAsVllmDoes) {
  const Case& c = GetParam();
  std::string body(c.body);
  if (!body.starts_with('{') && c.path == "completion") body = completion(body);
  if (!body.starts_with('{') && c.path == "chat") body = chat(body);
  MaybeError error = judge(c.path, body);
  if (c.status == 0) {
    EXPECT_FALSE(error) << error->body();
    return;
  }
  ASSERT_TRUE(error) << body;
  EXPECT_EQ(error->status, c.status) << error->body();
  EXPECT_EQ(error->type, c.type) << error->body();
  EXPECT_EQ(error->param.value_or("-"), c.param) << error->body();
  EXPECT_NE(error->message.find(c.message), std::string::npos) << error->message;
}

INSTANTIATE_TEST_SUITE_P(
    Completion, BadRequests,
    testing::Values(
        Case{"completion", R"("max_tokens":true)", 0}, Case{"completion", R"("max_tokens":"8")", 0},
        Case{"completion", R"("max_tokens":8.0)", 0},
        Case{"completion", R"("max_tokens":"x")", 400, kSchema, "body.max_tokens", "int_parsing"},
        Case{"completion", R"("max_tokens":8.5)", 400, kSchema, "body.max_tokens",
             "'type': 'int_from_float', 'loc': 'body.max_tokens', 'msg': 'Input should be a valid integer, got a "
             "number with a fractional part', 'input': '8.5'}"},
        Case{"completion", R"("max_tokens":[1])", 400, kSchema, "body.max_tokens", "<list of 1 items>"},
        Case{"completion", R"("max_tokens":1e30)", 400, kBad, "max_tokens",
             "cannot be greater than max_model_len=4096"},
        Case{"completion", R"("max_tokens":NaN)", 400, kSchema, "body.max_tokens", "'type': 'finite_number'"},
        Case{"completion", R"("max_tokens":0)", 400, kBad, "max_tokens",
             "max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)"},
        Case{"completion", R"("max_tokens":0,"echo":true)", 0}, Case{"completion", R"("temperature":true)", 0},
        Case{"completion", R"("temperature":"hot")", 400, kSchema, "body.temperature", "float_parsing"},
        Case{"completion", R"("temperature":NaN)", 400, kBad, "temperature",
             "temperature must be a finite number, got nan. (parameter=temperature, value=nan)"},
        Case{"completion", R"("temperature":1e999)", 400, kBad, "temperature", "got inf"},
        Case{"completion", R"("temperature":-Infinity)", 400, kBad, "temperature", "got -inf"},
        Case{"completion", R"("temperature":-0.1)", 400, kBad, "temperature",
             "temperature must be non-negative, got -0.1. (parameter=temperature, value=-0.1)"},
        Case{"completion", R"("temperature":2.5)", 400, kBad, "temperature",
             "temperature must be in [0, 2], got 2.5. (parameter=temperature, value=2.5)"},
        Case{"completion", R"("top_p":0)", 400, kBad, "top_p",
             "top_p must be in (0, 1], got 0.0. (parameter=top_p, value=0.0)"},
        Case{"completion", R"("top_k":-2)", 400, kBad, "-", "top_k must be 0 (disable), or at least 1, got -2."},
        Case{"completion", R"("top_k":-1)", 0},
        Case{"completion", R"("min_p":2)", 400, kBad, "-", "min_p must be in [0, 1], got 2.0."},
        Case{"completion", R"("presence_penalty":3)", 400, kBad, "-", "presence_penalty must be in [-2, 2], got 3.0."},
        Case{"completion", R"("repetition_penalty":0)", 400, kBad, "-",
             "repetition_penalty must be greater than zero, got 0.0."},
        Case{"completion", R"("stream":"yes")", 0},
        Case{"completion", R"("stream":2)", 400, kSchema, "body.stream", "bool_parsing"},
        Case{"completion", R"("stop":5)", 400, kSchema, "body.stop", "2 validation errors"},
        Case{"completion", R"("stop":[1])", 400, kSchema, "body.stop", "body.stop.0"},
        Case{"completion", R"("stop":["a","b","c","d","e"])", 400, kSchema, "body.stop",
             "'ctx': {'field_type': 'List', 'max_length': 4, 'actual_length': 5}"},
        Case{"completion", R"("stop":[""])", 400, kBad, "-", "stop cannot contain an empty string."},
        Case{"completion", R"("logit_bias":{"x":5})", 400, kBad, "logit_bias",
             "['x'] (parameter=logit_bias, value=['x'])"},
        Case{"completion", R"("logit_bias":{"99999999":5})", 400, kBad, "logit_bias",
             "token_id(s) [99999999] in logit_bias contain out-of-vocab token ids. Vocabulary size: 49152"},
        Case{"completion", R"("logit_bias":{"30":500})", 0},
        Case{"completion", R"("logit_bias":{"3":"x"})", 400, kSchema, "body.logit_bias.3"},
        Case{"completion", R"("n":0)", 400, kBad, "-", "n must be at least 1, got 0."},
        Case{"completion", R"("n":2,"temperature":0)", 400, kBad, "-",
             "n must be 1 when using greedy sampling, got 2."},
        Case{"completion", R"("n":1000000)", 400, kBad, "-", "n must be at most 16384"},
        Case{"completion", R"("seed":9223372036854775808)", 400, kSchema, "body.seed",
             "'input': '9223372036854775808', 'ctx': {'le': 9223372036854775807}"},
        Case{"completion", R"("logprobs":25)", 400, kBad, "logprobs",
             "Requested sample logprobs of 25, which is greater than max allowed: 20 (parameter=logprobs, value=25)"},
        Case{"completion", R"("logprobs":-1)", 400, kBad, "logprobs", "49152"},
        Case{"completion", R"("logprobs":-2)", 400, kBad, "logprobs", "`logprobs` must be a positive value or -1."},
        Case{"completion", R"("prompt_logprobs":1,"stream":true)", 400, kBad, "prompt_logprobs",
             "`prompt_logprobs` are not available when `stream=True`. (parameter=prompt_logprobs)"},
        Case{"completion", R"("logprob_token_ids":[1])", 400, kBad, "logprob_token_ids"},
        Case{"completion", R"("stream_options":{"include_usage":true})", 400, kBad, "stream_options"},
        Case{"completion", R"("min_tokens":9,"max_tokens":8)", 400, kBad, "-",
             "min_tokens must be less than or equal to max_tokens=8, got 9."},
        Case{"completion", R"("stop_token_ids":[-1])", 400, kBad, "stop_token_ids",
             "token_id(s) [-1] in stop_token_ids"},
        Case{"completion", R"("allowed_token_ids":[])", 400, kBad, "allowed_token_ids",
             "allowed_token_ids is not None and empty! (parameter=allowed_token_ids, value=[])"},
        Case{"completion", R"("truncate_prompt_tokens":-5)", 400, kSchema, "body.truncate_prompt_tokens",
             "greater_than_equal"},
        Case{"completion", R"("truncate_prompt_tokens":99999)", 400, kBad, "truncate_prompt_tokens"},
        Case{"completion", R"("truncation_side":"up")", 400, kSchema, "body.truncation_side",
             "'ctx': {'expected': \"'left' or 'right'\"}"},
        Case{"completion", R"("cache_salt":"")", 400, kBad, "cache_salt"},
        Case{"completion", R"("cache_salt":"a/b")", 400, kBad, "cache_salt"},
        Case{"completion", R"("suffix":"x")", 400, kBad, "suffix"},
        Case{"completion", R"("prompt_embeds":"x")", 400, kBad, "prompt_embeds"},
        Case{"completion", R"("use_beam_search":true)", 501, kLater, "use_beam_search"},
        Case{"completion", R"("use_beam_search":"off")", 0},
        Case{"completion", R"("use_beam_search":true,"stream":true)", 400, kBad, "-"},
        Case{"completion", R"("best_of":2,"something":{},"user":null,"n":null,"echo":null,"stop":null)", 0},
        Case{"completion", R"("guided_choice":["a"])", 501, kLater, "guided_choice"},
        Case{"completion", R"("guided_choice":null)", 0},
        Case{"completion", R"("structured_outputs":{"regex":"[0-9]+"})", 501, kLater, "structured_outputs"},
        Case{"completion", R"("structured_outputs":{"regex":"(("})", 400, kBad, "-", "Grammar error"},
        Case{"completion", R"("structured_outputs":{"grammar":"root ::= ((("})", 400, kBad, "-", "Invalid grammar"},
        Case{"completion", R"("structured_outputs":{"choice":["a"],"regex":"b"})", 400, kBad, "structured_outputs",
             "You can only use one kind"},
        Case{"completion", R"("structured_outputs":{})", 400, kBad, "-"},
        Case{"completion", R"("structured_outputs":5)", 400, kSchema, "body.structured_outputs"},
        Case{"completion", R"("structured_outputs":{"json":{"type":"nonsense"}})", 400, kBad, "-",
             "Grammar error: Invalid type: nonsense"},
        Case{"completion", R"("thinking_token_budget":5)", 400, kBad, "-", "reasoning_config"},
        Case{"completion", R"({"prompt":""})", 400, kBad, "prompt"},
        Case{"completion", R"({"model":"m"})", 400, kBad, "prompt"},
        Case{"completion", R"({"prompt":[]})", 400, kBad, "-", "You must pass at least one prompt"},
        Case{"completion", R"({"prompt":[-1]})", 400, kSchema, "body.prompt.0", "4 validation errors"},
        Case{"completion", R"({"prompt":{"a":1}})", 400, kSchema, "body.prompt", "4 validation errors"},
        Case{"completion", R"({"prompt":[1,"a"]})", 400, kSchema, "body.prompt.1", "5 validation errors"},
        Case{"completion", R"({"prompt":[[1],["a"]]})", 400, kSchema, "body.prompt.0", "6 validation errors"}));

INSTANTIATE_TEST_SUITE_P(
    Chat, BadRequests,
    testing::Values(
        Case{"chat", "", 0}, Case{"chat", "{}", 400, kSchema, "body.messages", "'type': 'missing'"},
        Case{"chat", R"({"messages":null})", 400, kBad, "-", "'NoneType' object is not iterable"},
        Case{"chat", R"({"messages":5})", 400, kBad, "-", "'int' object is not iterable"},
        Case{"chat", R"({"messages":"hi"})", 400, kSchema, "body.messages", "list_type"},
        Case{"chat", R"({"messages":[{"content":"x"}]})", 400, kSchema,
             "body.messages.0.ChatCompletionDeveloperMessageParam.role", "11 validation errors"},
        Case{"chat", R"({"messages":[5]})", 400, kSchema, "body.messages.0.ChatCompletionDeveloperMessageParam",
             "8 validation errors"},
        Case{"chat", R"({"messages":[{"role":"user","content":5}]})", 400, kSchema,
             "body.messages.0.ChatCompletionDeveloperMessageParam.content"},
        Case{"chat", R"({"messages":[{"role":"assistant","tool_calls":5}]})", 400, kBad, "-",
             "'int' object is not iterable"},
        Case{"chat", R"({"messages":[{"role":"robot","content":"x"}]})", 0},
        Case{"chat", R"({"messages":[{"role":"user","content":null}]})", 400, kSchema,
             "body.messages.0.ChatCompletionDeveloperMessageParam.content"},
        Case{"chat", R"({"messages":[{"role":"assistant","content":null}]})", 0},
        Case{"chat", R"({"messages":[{"role":"user"}]})", 0},
        Case{"chat", R"("top_logprobs":2)", 400, kBad, "top_logprobs",
             "when using `top_logprobs`, `logprobs` must be set to true. (parameter=top_logprobs)"},
        Case{"chat", R"("logprobs":true,"top_logprobs":50)", 400, kBad, "logprobs"},
        Case{"chat", R"("logprobs":true,"top_logprobs":-3)", 400, kBad, "top_logprobs", "value=-3"},
        Case{"chat", R"("top_logprobs":"x")", 400, kBad, "top_logprobs",
             "`top_logprobs` must be an integer. (parameter=top_logprobs, value=x)"},
        Case{"chat", R"("logprobs":null,"top_logprobs":null)", 0},
        Case{"chat", R"("logprobs":3)", 400, kSchema, "body.logprobs"},
        Case{"chat", R"("max_completion_tokens":0)", 400, kBad, "max_tokens"},
        Case{"chat", R"("max_completion_tokens":99999)", 400, kBad, "max_completion_tokens"},
        Case{"chat", R"("reasoning_effort":"enormous")", 400, kSchema, "body.reasoning_effort",
             "'none', 'minimal', 'low', 'medium', 'high', 'xhigh' or 'max'"},
        Case{"chat", R"("stream":true,"stream_options":{"include_usage":"maybe"})", 400, kSchema,
             "body.stream_options.include_usage"},
        Case{"chat", R"("add_generation_prompt":true,"continue_final_message":true)", 400, kBad, "-",
             "Cannot set both"},
        Case{"chat", R"("tools":[])", 400, kBad, "tools"}, Case{"chat", R"("tools":5)", 400, kSchema, "body.tools"},
        Case{"chat", R"("tools":[5])", 400, kSchema, "body.tools.0"},
        Case{"chat", R"("tools":[{}])", 400, kSchema, "body.tools.0.function"},
        Case{"chat", R"("tools":[{"function":{}}])", 400, kSchema, "body.tools.0.function.name"},
        Case{"chat", R"("tools":[{"type":"x","function":{"name":"f"}}])", 400, kSchema, "body.tools.0.type"},
        Case{"chat", R"("tool_choice":"auto")", 400, kBad, "tool_choice",
             "When using `tool_choice`, `tools` must be set. (parameter=tool_choice)"},
        Case{"chat", R"("tool_choice":"none")", 0}, Case{"chat", R"("tools":null,"tool_choice":null)", 0},
        Case{"chat", R"("tools":[{"function":{"name":"f"}}],"tool_choice":"bogus")", 400, kBad, "tool_choice",
             "Invalid value for `tool_choice`: bogus!"},
        Case{"chat", R"("tools":[{"function":{"name":"f"}}],"tool_choice":{})", 400, kBad, "tool_choice.function"},
        Case{"chat", R"("tools":[{"function":{"name":"f"}}],"tool_choice":{"function":{"name":"g"}})", 400, kBad,
             "tool_choice", "does not match any"},
        Case{"chat", R"("tools":[{"function":{"name":"f"}}],"tool_choice":{"function":{"name":"f"}})", 0},
        Case{"chat", R"("response_format":{"type":"text"})", 0},
        Case{"chat", R"("response_format":{"type":"json_object"})", 501, kLater, "response_format"},
        Case{"chat", R"("response_format":{"type":"json_schema"})", 400, kBad, "response_format"},
        Case{"chat",
             R"("response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object"}}})", 501,
             kLater, "response_format"},
        Case{"chat",
             R"("response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"nonsense"}}})", 400,
             kBad, "-", "Grammar error: Invalid type: nonsense"},
        Case{"chat", R"("response_format":{"type":"yaml"})", 400, kSchema, "body.response_format.type",
             "6 validation errors"},
        Case{"chat", R"("response_format":{"type":"structural_tag"})", 400, kBad, "response_format"},
        Case{"chat", R"("response_format":5)", 400, kSchema, "body.response_format", "3 validation errors"},
        Case{"chat", R"("chat_template_kwargs":5)", 400, kSchema, "body.chat_template_kwargs"},
        Case{"chat", R"("documents":[5])", 400, kSchema, "body.documents.0"},
        Case{"chat", R"("mm_processor_kwargs":{"a":1})", 400, kBad, "mm_processor_kwargs"},
        Case{"chat", R"("mm_processor_kwargs":{})", 0}));

INSTANTIATE_TEST_SUITE_P(
    Others, BadRequests,
    testing::Values(Case{"tokenize", R"({"prompt":"x"})", 0}, Case{"tokenize", R"({"messages":[]})", 0},
                    Case{"tokenize", R"({"prompt":"x","messages":[5]})", 0},  // the text fits
                    Case{"tokenize", R"({"prompt":5,"messages":[5]})", 400, kSchema, "body.prompt",
                         "9 validation errors"},
                    Case{"tokenize", R"({"model":"m"})", 400, kSchema, "body.prompt", "2 validation errors"},
                    Case{"tokenize", R"({"prompt":5})", 400, kSchema, "body.prompt", "string_type"},
                    Case{"tokenize", "[]", 400, kSchema, "body", "2 validation errors"},
                    Case{"detokenize", R"({"tokens":[1]})", 0},
                    Case{"detokenize", "{}", 400, kSchema, "body.tokens", "missing"},
                    Case{"detokenize", R"({"tokens":null})", 400, kSchema, "body.tokens", "list_type"},
                    Case{"detokenize", R"({"tokens":[-1]})", 400, kSchema, "body.tokens.0", "greater_than_equal"},
                    Case{"detokenize", R"({"tokens":"x"})", 400, kSchema, "body.tokens", "list_type"}));

TEST(FieldTable, EveryRowIsWellFormedAndNullIsAbsent) {
  struct Table {
    std::string_view path, required;
    std::span<const Field> fields;
  };
  for (const Table& table : {Table{"completion", R"("prompt":"x")", completion_fields()},
                             {"chat", R"("messages":[{"role":"user","content":"x"}])", chat_completion_fields()},
                             {"tokenize", R"("prompt":"x")", tokenize_completion_fields()},
                             {"tokenize", R"("messages":[{"role":"user"}])", tokenize_chat_fields()},
                             {"detokenize", R"("tokens":[1])", detokenize_fields()}}) {
    std::set<std::string_view> names;
    for (const Field& field : table.fields) {
      EXPECT_TRUE(names.insert(field.name).second) << field.name;
      EXPECT_TRUE(parse_json(field.schema)) << field.name;
      EXPECT_EQ(field.fallback.empty(), field.required) << field.name;
      EXPECT_TRUE(field.required || parse_json(field.fallback)) << field.name;
      EXPECT_FALSE(field.help.empty());
      if (field.required || field.name == "prompt") continue;
      EXPECT_FALSE(judge(table.path, fmt::format(R"({{{},"{}":null}})", table.required, field.name))) << field.name;
      // A wrong type is the schema's business, whatever else the field does: [[{}]] fits no field with a schema.
      MaybeError wrong = judge(table.path, fmt::format(R"({{{},"{}":[[{{}}]]}})", table.required, field.name));
      if (field.schema != "{}") {
        ASSERT_TRUE(wrong) << field.name;
        EXPECT_EQ(wrong->status, 400) << field.name << wrong->body();
      }
      if (field.support == Support::kNotBuilt && field.schema == R"({"type":"object"})") {
        MaybeError asked = judge(table.path, fmt::format(R"({{{},"{}":{{"a":1}}}})", table.required, field.name));
        ASSERT_TRUE(asked) << field.name;
        EXPECT_EQ(asked->status, 501);
        EXPECT_EQ(asked->param, std::string(field.name));
      }
    }
  }
}

TEST(FieldTable, MakesTheOpenApiSchemas) {
  auto schemas = parse_json(openapi_schemas());
  ASSERT_TRUE(schemas) << schemas.error().message;
  EXPECT_EQ(schemas->as_object().size(), 4u);
  const json::value& completion = schemas->at("CompletionRequest").at("properties");
  EXPECT_EQ(completion.as_object().size(), completion_fields().size());
  EXPECT_EQ(completion.at("max_tokens").at("default").to_number<int>(), 16);
  EXPECT_EQ(schemas->at("ChatCompletionRequest").at("required").at(0).as_string(), "messages");
  EXPECT_EQ(schemas->at("ChatCompletionRequest").at("properties").at("truncation_side").at("enum").as_array().size(),
            2u);
}

TEST(Sampling, DefaultsOfTheServerAndSpecialValues) {
  ModelLimits limits{.max_model_len = 100,
                     .vocab_size = 1000,
                     .temperature = 0.5,
                     .top_k = 7,
                     .max_new_tokens = 50,
                     .eos_token_ids = {2}};
  const auto sample = [&](std::string_view fields, int64_t prompt) {
    return *to_sampling(*parse_completion(*parse_json(completion(fields))), prompt, limits);
  };
  SamplingParams p = sample("", 5);
  EXPECT_EQ(p.temperature, 0.5f);
  EXPECT_EQ(p.top_k, 7);
  EXPECT_EQ(p.max_tokens, 16);
  EXPECT_EQ(p.eos_token_ids, std::vector<TokenId>{2});
  EXPECT_EQ(sample(R"("max_tokens":100)", 5).max_tokens, 50);  // the server's cap
  EXPECT_EQ(sample(R"("max_tokens":100)", 97).max_tokens, 3);  // the room left
  EXPECT_EQ(sample(R"("temperature":0.0001)", 5).temperature, 0.01f);
  EXPECT_EQ(sample(R"("temperature":0,"top_p":0.5)", 5).top_p, 1.0f);  // greedy ignores it
  EXPECT_EQ(sample(R"("top_k":-1)", 5).top_k, 0);
  EXPECT_EQ(sample(R"("logit_bias":{"3":500})", 5).logit_bias.at(0).second, 100.0f);
  EXPECT_EQ(sample(R"("echo":true,"logprobs":2)", 5).prompt_logprobs, 2);
}

// vLLM 0.32.0's counts, and its line where the role is at fault beside the content.
TEST(Messages, ReportWhatEachKindOfMessageMisses) {
  const auto message = [](std::string_view text) { return judge("chat", text).value().message; };
  const std::string null_content = message(R"({"messages":[{"role":"user","content":null}]})");
  EXPECT_TRUE(null_content.starts_with("19 validation errors:")) << null_content;
  EXPECT_NE(null_content.find(
                "{'type': 'literal_error', 'loc': 'body.messages.0.ChatCompletionDeveloperMessageParam.role', "
                "'msg': \"Input should be 'developer'\", 'input': 'user', 'ctx': {'expected': \"'developer'\"}}"),
            std::string::npos)
      << null_content;
  EXPECT_TRUE(message(R"({"messages":[{"role":"user","content":5}]})").starts_with("22 validation errors:"));
}

TEST(Conversation, DeveloperTurnsBecomeOneSystemTurn) {
  const auto converted = [](std::string_view text) {
    json::array conversation = parse_json(text)->as_array();
    developer_to_system(conversation);
    return json::serialize(conversation);
  };
  EXPECT_EQ(converted(R"([{"role":"developer","content":"a","tools":null},{"role":"user","content":"b"}])"),
            R"([{"role":"system","content":"a"},{"role":"user","content":"b"}])");
  EXPECT_EQ(converted(R"([{"role":"system","content":"a"},{"role":"user","content":"b"},{"role":"developer","content":)"
                      R"([{"type":"text","text":"c"},{"type":"text","text":"d"}],"tools":null}])"),
            R"([{"role":"system","content":"a\n\nc\nd"},{"role":"user","content":"b"}])");
  // Without a developer turn nothing moves.
  const std::string plain = R"([{"role":"user","content":"b"},{"role":"system","content":"a"}])";
  EXPECT_EQ(converted(plain), plain);
}

TEST(Unbuilt, KeepsTheClientsMistakes) {
  const auto answer = [](std::string_view path, std::string_view body) {
    return unbuilt_endpoint("POST", path, "application/json", body);
  };
  const ApiError missing = answer("/v1/messages", R"({"model":"m","messages":[]})");
  EXPECT_EQ(missing.status, 400);
  EXPECT_EQ(missing.param, "body.max_tokens");
  EXPECT_EQ(missing.message,
            "1 validation error:\n  {'type': 'missing', 'loc': 'body.max_tokens', 'msg': 'Field required', 'input': "
            "'<dict of 2 items>'}");
  EXPECT_EQ(answer("/v1/messages", R"({"model":"m","messages":[],"max_tokens":1})").status, 501);
  EXPECT_EQ(answer("/v1/responses", "{").status, 400);
  EXPECT_EQ(answer("/v1/responses", "[]").status, 400);
  EXPECT_EQ(answer("/v1/responses/resp_x/cancel", "").message, "Response with id 'resp_x' not found.");
  EXPECT_EQ(answer("/scale_elastic_ep", "").status, 501);
}

}  // namespace
}  // namespace vllm::api
