// vLLM's recorded answers (tests/golden/replies): every request to our endpoints must come out with the same status and
// shape, except those listed here, which docs/compatibility.md explains.
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "base/json.h"
#include "serve/service.h"
#include "serve/testing/fakes.h"

namespace vllm::serve {
namespace {

using namespace testing;

// Not built yet: 501 naming the field, where vLLM answers 200.
const std::map<std::string, std::string> kNotBuilt = {
    {"comp-beam", "use_beam_search"},         {"comp-beam-only", "use_beam_search"},
    {"comp-regex", "structured_outputs"},     {"comp-choice", "structured_outputs"},
    {"comp-grammar", "structured_outputs"},   {"comp-guided-legacy", "guided_choice"},
    {"chat-json", "response_format"},         {"chat-schema", "response_format"},
    {"chat-schema-stream", "response_format"}};
// The same, of the server with a tool parser.
const std::map<std::string, std::string> kNotBuiltTools = {{"chat-tools-required", "tool_choice"},
                                                           {"chat-tools-named", "tool_choice"},
                                                           {"chat-tools-stream-required", "tool_choice"},
                                                           {"chat-tools-bad-schema", "tool_choice"}};
// Answered where vLLM refuses: `tools` without tool_choice are rendered.
const std::set<std::string> kMorePermissive = {"chat-tools"};

const std::set<std::string_view> kVolatile = {"id", "created", "system_fingerprint", "created_at", "completed_at"};
const std::set<std::string_view> kExact = {"object", "finish_reason", "type",          "param",      "code",
                                           "role",   "owned_by",      "max_model_len", "stop_reason"};

// As make.py's shape().
json::value shape(const json::value& value, std::string_view key = {}) {
  if (const json::object* object = value.if_object()) {
    if (key == "top_logprobs" && !object->contains("token")) return "map";
    std::map<std::string_view, const json::value*> sorted;
    for (const auto& [name, item] : *object) sorted[name] = &item;
    json::object out;
    for (const auto& [name, item] : sorted) {
      if (kVolatile.contains(name) && !item->is_object() && !item->is_array()) continue;
      out[name] = shape(*item, name);
    }
    return out;
  }
  if (const json::array* array = value.if_array()) {
    if (array->empty()) return json::array{};
    return json::array{shape((*array)[0], key)};
  }
  if (kExact.contains(key) && !value.is_double()) return value;
  return value.is_null() ? "null" : value.is_bool() ? "bool" : value.is_string() ? "string" : "number";
}

json::array chunks(std::string_view events) {
  json::array out;
  while (!events.empty()) {
    std::string_view line = events.substr(0, events.find('\n'));
    events.remove_prefix(std::min(events.size(), line.size() + 1));
    if (line.empty()) continue;
    EXPECT_TRUE(line.starts_with("data: ")) << line;
    line.remove_prefix(6);
    json::value chunk = line == "[DONE]" ? json::value("DONE") : shape(*parse_json(line));
    if (out.empty() || out.back() != chunk) out.push_back(std::move(chunk));
  }
  return out;
}

// Interleaved choices: their order is free.
std::set<std::string> as_set(const json::array& list) {
  std::set<std::string> out;
  for (const json::value& item : list) out.insert(json::serialize(item));
  return out;
}

void replay(bool tools) {
  ServiceConfig config;
  config.served_model_names = {"m"};
  config.model_root = "/models/smollm2";
  config.max_model_len = 4096;
  config.vocab_size = 49152;
  if (tools) {
    config.served_model_names.push_back("alias-of-m");
    config.enable_auto_tool_choice = config.enable_prompt_tokens_details = config.return_tokens_as_token_ids = true;
    config.tool_call_parser = "hermes";
  }
  FakeEngine engine;
  Service service(config, std::make_shared<FakeTokenizer>(),
                  std::make_shared<text::ChatTemplate>(*text::ChatTemplate::compile(kChatMl)), nullptr);
  engine.sink = service.output_sink();
  service.set_engine(&engine);

  std::ifstream file("tests/golden/replies/cases.jsonl");
  ASSERT_TRUE(file) << "run from the top of the source tree";
  const char* const recording = tools ? "tools" : "plain";
  int compared = 0;
  for (std::string line; std::getline(file, line);) {
    const json::object c = parse_json(line)->as_object();
    if (!c.contains(recording)) continue;
    ++compared;
    const std::string id(c.at("id").as_string()), path(c.at("path").as_string()), body(c.at("body").as_string());
    SCOPED_TRACE(id + " " + body.substr(0, 300));
    HttpRequest request{.method = "POST", .path = path, .body = body};
    if (!c.at("type").as_string().empty()) request.headers.emplace_back("content-type", c.at("type").as_string());
    if (!c.at("request_id").as_string().empty())
      request.headers.emplace_back("x-request-id", c.at("request_id").as_string());
    auto writer = std::make_shared<FakeWriter>();
    if (path == "/v1/completions") service.completions(request, writer);
    if (path == "/v1/chat/completions") service.chat_completions(request, writer);
    if (path == "/tokenize") service.tokenize(request, writer);
    if (path == "/detokenize") service.detokenize(request, writer);
    if (path == "/v1/models") service.list_models(request, writer);
    ASSERT_TRUE(writer->wait());
    EXPECT_EQ(writer->answers, 1);

    const json::object& expected = c.at(recording).as_object();
    const auto not_built = kNotBuilt.find(id);
    const auto not_built_tools = kNotBuiltTools.find(id);
    if (not_built != kNotBuilt.end() || (tools && not_built_tools != kNotBuiltTools.end())) {
      EXPECT_EQ(expected.at("status").as_int64(), 200) << "a 4xx of vLLM's must not become a 501";
      EXPECT_EQ(writer->head.status, 501) << writer->body;
      EXPECT_EQ(parse_json(writer->body)->at("error").at("param").as_string(),
                not_built != kNotBuilt.end() ? not_built->second : not_built_tools->second);
      continue;
    }
    if (!tools && kMorePermissive.contains(id)) {
      EXPECT_EQ(writer->head.status, 200);
      continue;
    }
    EXPECT_EQ(writer->head.status, expected.at("status").as_int64()) << writer->body;
    if (const json::value* list = expected.if_contains("chunks")) {
      EXPECT_TRUE(writer->streaming);
      const json::array got = chunks(writer->body);
      const bool several = writer->body.find("\"index\":1") != std::string::npos;
      if (several) {
        EXPECT_EQ(as_set(got), as_set(list->as_array()));
      } else {
        EXPECT_EQ(json::serialize(got), json::serialize(*list));
      }
    } else {
      EXPECT_FALSE(writer->streaming);
      auto parsed = parse_json(writer->body);
      ASSERT_TRUE(parsed) << writer->body;
      EXPECT_EQ(json::serialize(shape(*parsed)), json::serialize(expected.at("shape"))) << writer->body;
    }
  }
  EXPECT_GT(compared, 170);
  EXPECT_EQ(service.num_open_requests(), 0);
}

TEST(Replies, Plain) { replay(false); }
TEST(Replies, WithToolsAndDetails) { replay(true); }

}  // namespace
}  // namespace vllm::serve
