// The server's answers: routes, states, keys, CORS, streams, drain. Framing corners are in server_corners_test.cc.
#include "server/server.h"

#include <atomic>
#include <future>

#include "server/test_server.h"
#include "server/ui/ui.h"

namespace vllm::server {
namespace {

using namespace std::chrono_literals;

TEST(Server, AnswersHealthAsVllm) {
  TestServer s;
  auto reply = s.ask(make_request("GET", "/health"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "");
  EXPECT_EQ(reply.headers["content-length"], "0");
  EXPECT_FALSE(reply.headers.contains("content-type"));
  EXPECT_EQ(s.ask(make_request("POST", "/ping", "", "{}")).status, 200);
}

TEST(Server, PassesTheRequestToTheHandler) {
  TestServer s;
  auto reply = s.ask(make_request("POST", "/v1/chat/completions?a=%20b", "", "hello"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "POST /v1/chat/completions?a=%20b\nhello");
  EXPECT_EQ(s.ask(make_request("POST", "/%76%31/chat/completion%73", "", "x")).body, "POST /v1/chat/completions?\nx");
}

TEST(Server, RefusesUnknownPathsAndMethodsAsFastApi) {
  TestServer s;
  auto missing = s.ask(make_request("GET", "/v1/models/m"));
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.body, R"({"detail":"Not Found"})");
  auto get = s.ask(make_request("GET", "/v1/chat/completions"));
  EXPECT_EQ(get.status, 405);
  EXPECT_EQ(get.body, R"({"detail":"Method Not Allowed"})");
  EXPECT_EQ(get.headers["allow"], "POST");
  EXPECT_EQ(s.ask(make_request("DELETE", "/v1/models")).headers["allow"], "GET");
  EXPECT_EQ(s.ask(make_request("PUT", "/v1/chat/completions", "", "{}")).status, 405);
  EXPECT_EQ(s.ask(make_request("OPTIONS", "/v1/models")).status, 405);
  EXPECT_EQ(s.ask(make_request("POST", "/v1/embeddings", "", "{}")).status, 404);
}

TEST(Server, SaysWhichEndpointsAreNotBuilt) {
  TestServer s;
  auto reply = s.ask(make_request("POST", "/v1/responses", "Content-Type: application/json\r\n", R"({"input":"x"})"));
  EXPECT_EQ(reply.status, 501);
  EXPECT_EQ(reply.body, R"({"error":{"message":"The endpoint POST /v1/responses is known but not built yet.",)"
                        R"("type":"NotImplementedError","param":null,"code":501}})");
  // What vLLM refuses there stays the client's mistake.
  EXPECT_EQ(s.ask(make_request("POST", "/v1/messages", "", "{}")).status, 400);
  reply = s.ask(make_request("GET", "/v1/responses/resp_x"));
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(reply.body, R"({"error":{"message":"Response with id 'resp_x' not found.",)"
                        R"("type":"invalid_request_error","param":"response_id","code":404}})");
}

TEST(Server, RedirectsTheOtherSpellingOfAPath) {
  TestServer s;
  auto reply = s.ask(make_request("POST", "/v1/completions/?q=1", "", "{}"));
  EXPECT_EQ(reply.status, 307);
  EXPECT_EQ(reply.headers["location"], "http://here/v1/completions?q=1");
  EXPECT_EQ(reply.body, "");
  EXPECT_EQ(s.ask("GET /health/ HTTP/1.0\r\n\r\n").headers["location"], "/health");
  EXPECT_EQ(s.ask(make_request("GET", "/nothing/")).status, 404);
}

TEST(Server, AnswersHeadWithoutABody) {
  TestServer s;
  auto client = s.client();
  auto head = client.ask(make_request("HEAD", "/v1/models"));
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers["content-length"], "17");
  EXPECT_EQ(client.ask(make_request("GET", "/v1/models")).body, R"({"object":"list"})");  // nothing is left in between
  EXPECT_EQ(s.ask(make_request("HEAD", "/v1/completions")).status, 405);
}

TEST(Server, ServesVersionDocsAndOpenapi) {
  TestServer s;
  EXPECT_TRUE(s.ask(make_request("GET", "/version")).body.starts_with(R"({"version":"0.)"));
  auto openapi = s.ask(make_request("GET", "/openapi.json"));
  EXPECT_EQ(openapi.headers["content-type"], "application/json");
  EXPECT_NE(openapi.body.find(R"("/v1/chat/completions":{"post")"), std::string::npos);
  EXPECT_EQ(openapi.body.find("/v1/responses"), std::string::npos);
  EXPECT_NE(s.ask(make_request("GET", "/docs")).body.find("/v1/models"), std::string::npos);
  TestServer bare({.disable_fastapi_docs = true, .no_ui = true});
  for (const char* path : {"/openapi.json", "/docs", "/"})
    EXPECT_EQ(bare.ask(make_request("GET", path)).status, 404) << path;
}

TEST(Server, SaysThePhaseUntilReady) {
  TestServer s({}, false);
  s.server->set_phase("downloading 43%");
  for (const char* path : {"/health", "/ping", "/v1/models"}) {
    auto reply = s.ask(make_request("GET", path));
    EXPECT_EQ(reply.status, 503) << path;
    EXPECT_NE(reply.body.find("downloading 43%"), std::string::npos) << reply.body;
    EXPECT_EQ(reply.headers["retry-after"], "2");
  }
  EXPECT_EQ(s.ask(make_request("POST", "/v1/completions", "", "{}")).status, 503);
  auto page = s.ask(make_request("GET", "/"));  // it asks /v1/models itself, and shows the phase
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.headers["content-security-policy"], kUiContentSecurityPolicy);
  EXPECT_EQ(s.ask(make_request("GET", "/ui/app.js")).body, find_ui_file("/ui/app.js")->body);
  EXPECT_EQ(s.ask(make_request("GET", "/version")).status, 200);
  EXPECT_EQ(s.ask(make_request("GET", "/metrics")).status, 200);
  EXPECT_EQ(s.ask(make_request("GET", "/load")).body, R"({"server_load":0})");
  s.server->set_ready(s.make_fake_api());
  EXPECT_EQ(s.ask(make_request("GET", "/health")).status, 200);
}

TEST(Server, SaysWhenTheEngineIsDead) {
  TestServer s;
  s.server->set_unhealthy("device lost");
  auto reply = s.ask(make_request("GET", "/health"));
  EXPECT_EQ(reply.status, 503);
  EXPECT_NE(reply.body.find("device lost"), std::string::npos);
  EXPECT_EQ(s.ask(make_request("GET", "/v1/models")).status, 200);
}

TEST(Server, AsksForTheKeyEverywhereButOnPublicPaths) {
  TestServer s({.api_keys = {"first", "second"}});
  for (const char* path : {"/health", "/ping", "/version", "/metrics", "/"}) {
    EXPECT_EQ(s.ask(make_request("GET", path)).status, 200) << path;
  }
  for (const char* path :
       {"/v1/models", "/load", "/docs", "/openapi.json", "/v1/nothing", "/nothing", "//health", "/v1/models/"}) {
    auto reply = s.ask(make_request("GET", path));
    EXPECT_EQ(reply.status, 401) << path;
    EXPECT_EQ(reply.body, R"({"error":"Unauthorized"})");
  }
  EXPECT_EQ(s.ask(make_request("POST", "/tokenize", "", "{}")).status, 401);
  auto with = [&](const char* value) {
    return s.ask(make_request("GET", "/v1/models", "Authorization: " + std::string(value) + "\r\n")).status;
  };
  EXPECT_EQ(with("Bearer first"), 200);
  EXPECT_EQ(with("bearer second"), 200);
  for (const char* bad :
       {"Bearer third", "Bearer firs", "Bearer firstx", "first", "Bearer", "Basic first", "Bearer  first"}) {
    EXPECT_EQ(with(bad), 401) << bad;
  }
}

TEST(Server, AnswersPreflightsBeforeTheKeyAndPutsCorsOnErrors) {
  TestServer s({.api_keys = {"k"}});
  auto preflight = s.ask(make_request("OPTIONS", "/v1/chat/completions",
                                      "Origin: null\r\nAccess-Control-Request-Method: POST\r\n"
                                      "Access-Control-Request-Headers: content-type,authorization\r\n"));
  EXPECT_EQ(preflight.status, 200);
  EXPECT_EQ(preflight.body, "OK");
  EXPECT_EQ(preflight.headers["access-control-allow-origin"], "null");
  EXPECT_EQ(preflight.headers["access-control-allow-headers"], "content-type,authorization");
  EXPECT_EQ(preflight.headers["access-control-allow-methods"], "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY");
  auto refused = s.ask(make_request("GET", "/v1/models", "Origin: http://localhost:3000\r\n"));
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.headers["access-control-allow-origin"], "http://localhost:3000");
  EXPECT_FALSE(s.ask(make_request("GET", "/v1/models", "Origin: http://a.example\r\n"))
                   .headers.contains("access-control-allow-origin"));
  auto foreign = s.ask(
      make_request("OPTIONS", "/v1/models", "Origin: http://a.example\r\nAccess-Control-Request-Method: GET\r\n"));
  EXPECT_EQ(foreign.status, 400);
  EXPECT_EQ(foreign.body, "Disallowed CORS origin");
  EXPECT_EQ(foreign.headers["content-type"], "text/plain; charset=utf-8");
}

TEST(Server, CarriesRequestIds) {
  TestServer s({.api_keys = {"k"}, .enable_request_id_headers = true});
  EXPECT_EQ(s.ask(make_request("GET", "/health", "X-Request-Id: abc-123\r\n")).headers["x-request-id"], "abc-123");
  const auto first = s.ask(make_request("GET", "/v1/models")).headers["x-request-id"];
  const auto second = s.ask(make_request("GET", "/v1/models")).headers["x-request-id"];
  EXPECT_EQ(first.size(), 32u);
  EXPECT_NE(first, second);
  TestServer plain;
  EXPECT_FALSE(plain.ask(make_request("GET", "/health", "X-Request-Id: a\r\n")).headers.contains("x-request-id"));
}

TEST(Server, StripsTheRootPath) {
  TestServer s({.root_path = "/api/"});
  EXPECT_EQ(s.ask(make_request("POST", "/api/v1/chat/completions", "", "x")).body, "POST /v1/chat/completions?\nx");
  EXPECT_EQ(s.ask(make_request("GET", "/health")).status, 200);
  EXPECT_EQ(s.ask(make_request("GET", "/apihealth")).status, 404);
  EXPECT_EQ(s.ask(make_request("GET", "/api/health/")).headers["location"], "http://here/api/health");
}

serve::HttpResponse sse_head() {
  serve::HttpResponse head;
  head.content_type = "text/event-stream; charset=utf-8";
  return head;
}

TEST(Server, StreamsEventsInChunks) {
  TestServer s;
  auto client = s.client();
  client.send(make_request("POST", "/v1/completions", "", "{}"));
  Writer writer = s.next_writer();
  ASSERT_TRUE(writer);
  EXPECT_EQ(s.ask(make_request("GET", "/load")).body, R"({"server_load":7})");
  writer->start_stream(sse_head());
  writer->write("data: 1\n\n");
  EXPECT_TRUE(client.read_until("data: 1\n\n"));  // at once, not when the stream ends
  EXPECT_NE(client.buffer().find("9\r\ndata: 1\n\n\r\n"), std::string::npos);
  writer->write("data: [DONE]\n\n");
  writer->end();
  auto reply = client.reply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers["content-type"], "text/event-stream; charset=utf-8");
  EXPECT_EQ(reply.headers["x-accel-buffering"], "no");
  EXPECT_EQ(reply.body, "data: 1\n\ndata: [DONE]\n\n");
  EXPECT_EQ(client.ask(make_request("GET", "/health")).status, 200);  // the connection goes on
  EXPECT_TRUE(eventually([&] { return writer->pending_bytes() == 0; }));
}

TEST(Server, ManyThreadsWriteManyStreams) {
  TestServer s;
  constexpr int kStreams = 8, kEvents = 500;
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < kStreams; ++i) {
    threads.emplace_back([&] {
      auto client = s.client();
      client.send(make_request("POST", "/v1/completions", "", "{}"));
      if (client.reply().body.size() == kEvents * 9) ++good;
    });
    threads.emplace_back([&] {
      Writer writer = s.next_writer();
      writer->start_stream(sse_head());
      for (int k = 0; k < kEvents; ++k) writer->write("data: 1\n\n");
      writer->end();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, kStreams);
}

TEST(Server, SendsKeepAliveComments) {
  TestServer s({.sse_keep_alive_interval = 1s});
  auto client = s.client();
  client.send(make_request("POST", "/v1/completions", "", "{}"));
  Writer writer = s.next_writer();
  writer->start_stream(sse_head());
  EXPECT_TRUE(client.read_until(": keep-alive\n\n"));
  writer->end();
  EXPECT_EQ(client.reply().status, 200);
}

TEST(Server, AnswersWhenAHandlerForgetsOrThrows) {
  TestServer s({}, false);
  Api api;
  api.tokenize = [](serve::HttpRequest, Writer) {};
  api.detokenize = [](serve::HttpRequest, Writer) { throw std::runtime_error("handler fault of a test"); };
  api.completions = [](serve::HttpRequest, Writer w) {
    w->start_stream(sse_head());
    w->write("data: 1\n\n");
  };
  s.server->set_ready(std::move(api));
  EXPECT_EQ(s.ask(make_request("POST", "/tokenize", "", "{}")).status, 500);
  EXPECT_EQ(s.ask(make_request("POST", "/detokenize", "", "{}")).status, 500);
  EXPECT_EQ(s.ask(make_request("GET", "/v1/models")).status, 501);
  auto client = s.client();  // a stream that is dropped has no proper end
  client.send(make_request("POST", "/v1/completions", "", "{}"));
  EXPECT_TRUE(client.closed_within(3000));
  EXPECT_EQ(client.buffer().find("0\r\n\r\n"), std::string::npos);
}

TEST(Server, DrainsOpenRequestsAndRefusesNewOnes) {
  TestServer s;
  auto busy = s.client();
  auto idle = s.client();
  EXPECT_EQ(idle.ask(make_request("GET", "/health")).status, 200);
  busy.send(make_request("POST", "/v1/completions", "", "{}"));
  Writer writer = s.next_writer();
  auto drained = std::async(std::launch::async, [&] { return s.server->drain(5s); });
  EXPECT_TRUE(idle.closed_within(2000));
  auto refused = s.ask(make_request("POST", "/v1/completions", "", "{}"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.headers["connection"], "close");
  EXPECT_EQ(s.ask(make_request("GET", "/health")).status, 503);
  EXPECT_EQ(drained.wait_for(50ms), std::future_status::timeout);
  serve::HttpResponse ok;
  ok.body = "done";
  writer->respond(ok);
  auto reply = busy.reply();
  EXPECT_EQ(reply.body, "done");
  EXPECT_EQ(reply.headers["connection"], "close");
  EXPECT_TRUE(drained.get());
}

TEST(Server, StopCutsWhatTheDrainLeft) {
  TestServer s;
  auto busy = s.client();
  busy.send(make_request("POST", "/v1/completions", "", "{}"));
  Writer writer = s.next_writer();
  std::atomic<bool> told{false};
  writer->on_disconnect([&] { told = true; });
  EXPECT_FALSE(s.server->drain(30ms));
  s.server->stop();
  EXPECT_TRUE(told);
  EXPECT_TRUE(busy.closed_within(2000));
  writer->respond({});  // nobody is there: nothing happens
  writer->on_disconnect([&] { told = false; });
  EXPECT_FALSE(told);
}

TEST(Server, ObservesRequestsByRoute) {
  TestServer s;
  s.ask(make_request("POST", "/v1/chat/completions", "", "12345"));
  s.ask(make_request("GET", "/nothing"));
  s.server->stop();
  ASSERT_EQ(s.observations.size(), 2u);
  EXPECT_EQ(s.observations[0].handler, "/v1/chat/completions");
  EXPECT_EQ(s.observations[0].request_bytes, 5u);
  EXPECT_EQ(s.observations[0].response_bytes, 32u);
  EXPECT_EQ(s.observations[1].handler, "none");
  EXPECT_EQ(s.observations[1].status, 404);
}

TEST(Server, SaysThatThePortIsTaken) {
  TestServer first;
  Server second({.hosts = {"127.0.0.1"}, .port = first.server->port()});
  Status status = second.start();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(status.error().message.find("already in use"), std::string::npos);
  Server everywhere({.port = first.server->port()});
  EXPECT_FALSE(everywhere.start());
  Server nowhere({.hosts = {"no-such-host.invalid"}});
  EXPECT_EQ(nowhere.start().error().code, ErrorCode::kInvalidArgument);
}

TEST(Server, LogsUvicornsAccessLine) {
  ServerOptions options;
  options.hosts = {"127.0.0.1"};
  options.port = 0;
  options.access_log_exclusions = {"/ping"};
  Server server(options);
  ASSERT_TRUE(server.start());
  testing::internal::CaptureStderr();
  TestClient(server.port()).ask(make_request("GET", "/ping?x"));
  TestClient(server.port()).ask(make_request("GET", "/health", "User-Agent: vllm-health\r\n"));
  TestClient(server.port()).ask(make_request("GET", "/health?by-hand"));
  TestClient(server.port()).ask(make_request("GET", "/version?q=%22a"));
  TestClient(server.port()).ask(make_request("POST", "/no%0Athing", "", "{}"));
  server.stop();
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(log.find("/ping"), std::string::npos) << log;
  EXPECT_EQ(log.find("/health HTTP"), std::string::npos) << "an image's health check: " << log;
  EXPECT_NE(log.find("/health?by-hand HTTP"), std::string::npos) << log;
  EXPECT_NE(log.find(" - \"GET /version?q=%22a HTTP/1.1\" 200 OK\n"), std::string::npos) << log;
  EXPECT_NE(log.find(" - \"POST /no%0Athing HTTP/1.1\" 404 Not Found\n"), std::string::npos) << log;
  EXPECT_TRUE(log.starts_with("INFO:     127.0.0.1:")) << log;
}

}  // namespace
}  // namespace vllm::server
