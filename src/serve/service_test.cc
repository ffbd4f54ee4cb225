// What goes on around an answer: disconnects, stops, errors of the engine, slow readers, fan-out, draining, templates.
#include "serve/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/json.h"
#include "serve/testing/fakes.h"

namespace vllm::serve {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::Not;

class ServiceTest : public ::testing::Test {
 protected:
  ServiceTest() {
    config.served_model_names = {"m"};
    config.max_model_len = 64;
    config.vocab_size = 49152;
  }
  ~ServiceTest() override {
    if (service) {
      EXPECT_TRUE(eventually([&] { return service->num_open_requests() == 0; }));
    }
  }
  Service& start(std::string_view chat_template = kChatMl) {
    service = std::make_unique<Service>(
        config, std::make_shared<FakeTokenizer>(),
        std::make_shared<text::ChatTemplate>(*text::ChatTemplate::compile(chat_template)), metrics);
    engine.sink = service->output_sink();
    service->set_engine(&engine);
    return *service;
  }
  std::shared_ptr<FakeWriter> send(std::string path, std::string body,
                                   std::shared_ptr<FakeWriter> writer = std::make_shared<FakeWriter>()) {
    if (!service) start();
    HttpRequest request{
        .method = "POST", .path = path, .headers = {{"content-type", "application/json"}}, .body = std::move(body)};
    if (path == "/tokenize") {
      service->tokenize(request, writer);
    } else if (path == "/chat") {
      service->chat_completions(request, writer);
    } else {
      service->completions(request, writer);
    }
    return writer;
  }
  // Send and wait for the whole answer.
  std::shared_ptr<FakeWriter> ask(std::string path, std::string body) {
    auto writer = send(std::move(path), std::move(body));
    EXPECT_TRUE(writer->wait());
    EXPECT_EQ(writer->answers, 1);
    return writer;
  }
  static bool eventually(const std::function<bool()>& condition) {
    for (int i = 0; i < 2000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return condition();
  }

  ServiceConfig config;
  FakeEngine engine;
  std::shared_ptr<Metrics> metrics;
  std::unique_ptr<Service> service;
};

TEST_F(ServiceTest, FansOutPromptsAndChoices) {
  ask("", R"({"prompt":["The","Hello"],"n":2,"seed":7,"max_tokens":2,"priority":3,"cache_salt":"s"})");
  auto requests = engine.wait_requests(4);
  ASSERT_EQ(requests.size(), 4u);
  EXPECT_EQ(requests[0].prompt_token_ids, requests[1].prompt_token_ids);
  EXPECT_NE(requests[1].prompt_token_ids, requests[2].prompt_token_ids);
  EXPECT_EQ(requests[0].sampling.seed, 7u);
  EXPECT_EQ(requests[1].sampling.seed, 8u);
  EXPECT_EQ(requests[2].sampling.seed, 7u);
  EXPECT_EQ(requests[0].priority, 0) << "without --scheduling-policy priority it has no meaning";
  EXPECT_EQ(requests[0].cache_salt, "s");
  ask("", R"({"prompt":"x","n":2,"max_tokens":1})");
  requests = engine.wait_requests(6);
  EXPECT_NE(requests[4].sampling.seed, requests[5].sampling.seed);
  EXPECT_EQ(ask("", R"({"prompt":["a","b"],"n":16384,"max_tokens":1})")->head.status, 400);
}

TEST_F(ServiceTest, APriorityHeaderWinsOverTheBody) {
  config.priority_scheduling = true;
  start();
  const auto send_with = [&](std::string header) {
    auto writer = std::make_shared<FakeWriter>();
    service->completions({.method = "POST",
                          .path = "/v1/completions",
                          .headers = {{"content-type", "application/json"}, {"x-vllm-priority", std::move(header)}},
                          .body = R"({"prompt":"x","max_tokens":1,"priority":3})"},
                         writer);
    EXPECT_TRUE(writer->wait());
    return writer;
  };
  send_with("-10");
  send_with("");
  send_with("+9999999999");
  auto requests = engine.wait_requests(3);
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].priority, -10);
  EXPECT_EQ(requests[1].priority, 3);
  EXPECT_EQ(requests[2].priority, INT32_MAX);
  for (const char* wrong : {"high", "1.5", "+", "+-1", "-", "1 2", "99999999999999999999"}) {
    auto answer = send_with(wrong);
    EXPECT_EQ(answer->head.status, 400) << wrong;
    EXPECT_THAT(answer->body, HasSubstr("X-Vllm-Priority"));
  }
}

TEST_F(ServiceTest, ADisconnectAbortsEverySequence) {
  engine.manual = true;
  auto writer = send("", R"({"prompt":"x","n":2,"stream":true,"max_tokens":9})");
  auto requests = engine.wait_requests(2);
  ASSERT_EQ(requests.size(), 2u);
  engine.push(requests[0].id, {7042});
  ASSERT_TRUE(writer->wait_for_text("Paris"));
  writer->disconnect();
  EXPECT_TRUE(engine.wait_aborted(requests[0].id));
  EXPECT_TRUE(engine.wait_aborted(requests[1].id));
}

TEST_F(ServiceTest, AClientThatIsAlreadyGoneCostsNothing) {
  engine.manual = true;
  auto writer = std::make_shared<FakeWriter>();
  writer->disconnect();
  send("", R"({"prompt":"x","max_tokens":9})", writer);
  auto requests = engine.wait_requests(1);
  EXPECT_TRUE(engine.wait_aborted(requests.at(0).id));
}

TEST_F(ServiceTest, AStopStringAbortsWhatRunsOn) {
  engine.manual = true;
  auto writer = send(
      "", R"({"prompt":"x","stop":["Paris"],"stream":true,"max_tokens":9,"stream_options":{"include_usage":true}})");
  auto requests = engine.wait_requests(1);
  engine.push(requests[0].id, {7042, 30});  // the overshoot is not the client's
  ASSERT_TRUE(writer->wait());
  EXPECT_TRUE(engine.wait_aborted(requests[0].id));
  EXPECT_THAT(writer->body, HasSubstr(R"("text":" ","logprobs":null,"finish_reason":"stop","stop_reason":"Paris")"));
  EXPECT_THAT(writer->body, HasSubstr(R"("completion_tokens":1})"));
  EXPECT_THAT(writer->body, HasSubstr("data: [DONE]\n\n"));
}

TEST_F(ServiceTest, EngineErrorsAreAnsweredOnceAndEndTheOthers) {
  engine.manual = true;
  auto body = send("", R"({"prompt":"x","n":2,"max_tokens":9})");
  auto requests = engine.wait_requests(2);
  engine.push(requests[0].id, {7042});
  engine.push(requests[0].id, {}, FinishReason::kError, "CUDA fell over");
  ASSERT_TRUE(body->wait());
  EXPECT_EQ(body->head.status, 500);
  EXPECT_THAT(
      body->body,
      HasSubstr(R"({"error":{"message":"CUDA fell over","type":"InternalServerError","param":null,"code":500}})"));
  EXPECT_TRUE(engine.wait_aborted(requests[1].id));

  auto stream = send("", R"({"prompt":"x","stream":true,"max_tokens":9})");
  requests = engine.wait_requests(3);
  engine.push(requests[2].id, {7042});
  engine.push(requests[2].id, {}, FinishReason::kError);
  ASSERT_TRUE(stream->wait());
  EXPECT_EQ(stream->head.status, 200);
  EXPECT_THAT(stream->body, HasSubstr("data: {\"error\":{\"message\":\"Internal server error\""));
  EXPECT_TRUE(stream->body.ends_with("data: [DONE]\n\n"));
}

TEST_F(ServiceTest, ARefusedSequenceAnswersBeforeAnyHead) {
  engine.refuse = Error{ErrorCode::kResourceExhausted, "the queue is full", "max_num_queued_reqs"};
  engine.refuse_after = 1;
  engine.manual = true;
  auto writer = ask("", R"({"prompt":"x","n":2,"stream":true})");
  EXPECT_EQ(writer->head.status, 503);
  EXPECT_EQ(writer->body,
            R"({"error":{"message":"the queue is full","type":"Service Unavailable","param":null,"code":503}})");
  EXPECT_FALSE(writer->streaming);
  EXPECT_TRUE(engine.wait_aborted(engine.wait_requests(1)[0].id));
}

TEST_F(ServiceTest, AReaderThatNeverReadsIsCutOff) {
  config.max_pending_bytes = 300;
  engine.manual = true;
  auto writer = std::make_shared<FakeWriter>();
  writer->never_reads = true;
  send("", R"({"prompt":"x","stream":true,"max_tokens":50})", writer);
  auto requests = engine.wait_requests(1);
  for (int i = 0; i < 5; ++i) engine.push(requests[0].id, {7042});
  EXPECT_TRUE(engine.wait_aborted(requests[0].id));
  EXPECT_LT(writer->body.size(), 1000u);
}

TEST_F(ServiceTest, DrainingAndDeadEngines) {
  start();
  engine.alive = false;
  EXPECT_EQ(ask("", R"({"prompt":"x"})")->head.status, 500);
  engine.alive = true;
  EXPECT_EQ(ask("", R"({"prompt":"x"})")->head.status, 200);
  service->drain();
  auto refused = ask("", R"({"prompt":"x"})");
  EXPECT_EQ(refused->head.status, 503);
  EXPECT_THAT(refused->body, HasSubstr("ServiceUnavailableError"));
}

TEST_F(ServiceTest, BudgetsAreClampedToTheRoomLeft) {
  ask("", R"({"prompt":"The capital of France is","max_tokens":64})");
  EXPECT_EQ(engine.wait_requests(1)[0].sampling.max_tokens, 59);
  ask("/chat", R"({"messages":[{"role":"user","content":"x"}]})");
  const EngineRequest chat = engine.wait_requests(2)[1];
  EXPECT_EQ(chat.sampling.max_tokens, 64 - static_cast<int>(chat.prompt_token_ids.size()));
  auto full = ask("", "{\"prompt\":\"" + std::string(64, 'x') + "\",\"max_tokens\":4}");
  EXPECT_EQ(full->head.status, 400);
  EXPECT_THAT(full->body, HasSubstr("max_tokens must be at least 1, got 0"));
  auto longer = ask("", "{\"prompt\":\"" + std::string(65, 'x') + "\"}");
  EXPECT_THAT(longer->body, HasSubstr("contains at least 65 input tokens"));
  EXPECT_THAT(longer->body, HasSubstr(R"("param":"input_tokens")"));
  auto huge = ask("", "{\"prompt\":\"" + std::string(100000, 'x') + "\"}");
  EXPECT_THAT(huge->body, HasSubstr(R"("param":"input_text")"));
  EXPECT_EQ(ask("", "{\"prompt\":\"" + std::string(100000, 'x') + "\",\"truncate_prompt_tokens\":3,\"max_tokens\":1}")
                ->head.status,
            200);
}

TEST_F(ServiceTest, TruncationKeepsTheWantedEnd) {
  const auto prompt = [&](std::string_view extra) {
    ask("", fmt::format(R"({{"prompt":[1,2,28,30],"max_tokens":1{}}})", extra));
    std::lock_guard lock(engine.mutex);
    return engine.requests.back().prompt_token_ids;
  };
  EXPECT_EQ(prompt(R"(,"truncate_prompt_tokens":2)"), (std::vector<TokenId>{28, 30}));
  EXPECT_EQ(prompt(R"(,"truncate_prompt_tokens":2,"truncation_side":"right")"), (std::vector<TokenId>{1, 2}));
  EXPECT_EQ(prompt(R"(,"truncate_prompt_tokens":-1)"), (std::vector<TokenId>{1, 2, 28, 30}));
  EXPECT_THAT(ask("", R"({"prompt":[1],"truncate_prompt_tokens":0})")->body,
              HasSubstr("The decoder prompt cannot be empty"));
}

TEST_F(ServiceTest, EchoWithLogprobsCoversThePromptFirst) {
  auto body = *parse_json(ask("", R"({"prompt":"The capital","echo":true,"logprobs":1,"max_tokens":1})")->body);
  const json::value& choice = body.at("choices").at(0);
  EXPECT_EQ(choice.at("text").as_string(), "The capital Paris");
  EXPECT_EQ(json::serialize(choice.at("logprobs").at("tokens")), R"(["The"," capital"," Paris"])");
  EXPECT_EQ(json::serialize(choice.at("logprobs").at("text_offset")), "[0,3,11]");
  EXPECT_TRUE(choice.at("logprobs").at("token_logprobs").at(0).is_null());
  EXPECT_EQ(json::serialize(choice.at("prompt_logprobs")),
            R"([null,{"3575":{"logprob":-2.5E-1,"rank":1,"decoded_token":" capital"}}])");
}

TEST_F(ServiceTest, MinusInfinityIsWrittenAsANumber) {
  auto writer = ask("", R"({"prompt":"x","logprobs":0,"logprob_token_ids":[28],"max_tokens":1})");
  EXPECT_THAT(writer->body, HasSubstr(R"("top_logprobs":[{" Paris":-0.25,",":-9999.0}])"));
}

TEST_F(ServiceTest, StreamIntervalJoinsTokens) {
  auto writer = ask("", R"({"prompt":"x","stream":true,"stream_interval":3,"max_tokens":8})");
  EXPECT_THAT(writer->body, HasSubstr(R"("text":" Paris")"));
  EXPECT_THAT(writer->body, HasSubstr(R"("text":".\n\n")"));
  EXPECT_THAT(writer->body, HasSubstr(R"("text":"The answer is")"));
}

TEST_F(ServiceTest, IdsComeFromHeaderThenBody) {
  EXPECT_THAT(ask("", R"({"prompt":"x","request_id":"mine\"","max_tokens":1})")->body,
              HasSubstr(R"("id":"cmpl-mine\"")"));
  auto writer = std::make_shared<FakeWriter>();
  service->completions({.headers = {{"content-type", "application/json"}, {"x-request-id", "abc"}},
                        .body = R"({"prompt":"x","request_id":"mine"})"},
                       writer);
  ASSERT_TRUE(writer->wait());
  EXPECT_THAT(writer->body, HasSubstr(R"("id":"cmpl-abc")"));
}

TEST_F(ServiceTest, TemplatesSeeWhatVllmGivesThem) {
  config.max_model_len = 4096;
  config.default_chat_template_kwargs["enable_thinking"] = true;
  config.default_chat_template_kwargs["flavour"] = "default";
  start(std::string(kChatMl) +
        "[{{ enable_thinking }} {{ flavour }} {{ reasoning_effort }} {{ documents | tojson }} {{ bos_token }}{{ "
        "eos_token }}]");
  auto writer = ask(
      "/chat",
      R"({"return_prompt_text":true,"max_tokens":1,"chat_template_kwargs":{"flavour":"mine"},"documents":[{"text":"d"}],"reasoning_effort":"none",
    "tools":[{"type":"function","extra":1,"function":{"name":"f","unknown":2}}],
    "messages":[{"role":"user","content":[{"type":"text","text":"Say"},{"type":"text","text":"hi"}]},
    {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}]},
    {"role":"tool","tool_call_id":"c","content":[{"type":"text","text":"ok"}]}]})");
  auto body = parse_json(writer->body);
  ASSERT_TRUE(body) << writer->body;
  const std::string text(body->at("prompt_text").as_string());
  EXPECT_THAT(
      text, HasSubstr(R"([{"type": "function", "function": {"name": "f", "description": null, "parameters": null}}])"));
  EXPECT_THAT(text, HasSubstr("user\nSay\nhi<|im_end|>"));
  EXPECT_THAT(text, HasSubstr(R"("arguments": {"a": 1})"));
  EXPECT_THAT(text, HasSubstr("tool\nok<|im_end|>"));
  // The server's enable_thinking is set, so the effort does not decide it.
  EXPECT_THAT(text, HasSubstr(R"([True mine none [{"text": "d"}] <|im_start|><|im_end|>])"));
}

TEST_F(ServiceTest, TemplateErrorsAreTheClients) {
  EXPECT_THAT(ask("/chat", R"({"messages":[{"role":"explode","content":"x"}]})")->body,
              HasSubstr("Unknown role: explode"));
  EXPECT_THAT(ask("/chat", R"({"messages":[{"role":"user","content":"x"}],"chat_template":"y"})")->body,
              HasSubstr("--trust-request-chat-template"));
  config.trust_request_chat_template = true;
  start();
  auto broken = ask("/chat", R"({"messages":[{"role":"user","content":"x"}],"chat_template":"{% oops %}"})");
  EXPECT_EQ(broken->head.status, 400);
  EXPECT_EQ(ask("/chat", R"({"messages":[{"role":"user","content":"x"}],"chat_template":"fine","max_tokens":1})")
                ->head.status,
            200);
}

TEST_F(ServiceTest, ContinueFinalMessageLeavesItOpen) {
  auto writer =
      ask("/chat", R"({"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"Hel "}],"max_tokens":1,
    "add_generation_prompt":false,"continue_final_message":true,"return_prompt_text":true,"echo":true})");
  auto body = *parse_json(writer->body);
  EXPECT_THAT(std::string(body.at("prompt_text").as_string()), ::testing::EndsWith("assistant\nHel "));
  EXPECT_EQ(body.at("choices").at(0).at("message").at("content").as_string(), "Hel Hello");
}

TEST_F(ServiceTest, BadWordsBecomeTokens) {
  ask("", R"({"prompt":"x","bad_words":["Paris","Paris"],"max_tokens":1})");
  auto words = engine.wait_requests(1)[0].sampling.bad_words;
  ASSERT_EQ(words.size(), 1u);  // " Paris" is spelled with another number of tokens here
  EXPECT_EQ(words[0].size(), 5u);
}

TEST_F(ServiceTest, ManyRequestsAtOnceAllComeBack) {
  std::vector<std::shared_ptr<FakeWriter>> writers;
  for (int i = 0; i < 300; ++i)
    writers.push_back(send(i % 2 ? "" : "/chat", i % 2 ? R"({"prompt":"x","n":3,"stream":true})"
                                                       : R"({"messages":[{"role":"user","content":"x"}],"n":2})"));
  for (size_t i = 0; i < writers.size(); i += 7) writers[i]->disconnect();
  for (size_t i = 0; i < writers.size(); ++i) {
    if (i % 7 != 0) {
      EXPECT_TRUE(writers[i]->wait()) << i;
    }
  }
}

}  // namespace
}  // namespace vllm::serve
