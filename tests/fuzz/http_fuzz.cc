// Bytes of a client through the real connection coroutine, over a socket pair, with handlers that answer at once,
// stream, or drop the request. Whatever comes in, the connection must end. The first byte picks the piece size.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/log.h"
#include "server/connection.h"

namespace {

using namespace vllm;
using namespace std::chrono_literals;

std::shared_ptr<server::App> make_app() {
  init_log({.level = LogLevel::kError});
  server::ServerOptions options;
  options.api_keys = {"key"};
  options.enable_request_id_headers = true;
  options.disable_access_log = true;
  options.root_path = "/root";
  options.max_body_bytes = 4096;
  options.max_header_bytes = 4096;
  options.max_header_count = 32;
  options.max_pending_bytes = 65536;
  options.keep_alive_timeout = options.header_timeout = options.body_stall_timeout = 20ms;
  options.body_timeout = options.write_stall_timeout = options.linger_timeout = 20ms;
  auto app = std::make_shared<server::App>(options);
  server::Api api;
  api.completions = [](serve::HttpRequest request, server::Writer writer) {
    writer->on_disconnect([] {});
    writer->start_stream({.content_type = "text/event-stream"});
    writer->write(request.body + "\n");
    writer->write(request.query + "\n");
    writer->end();
  };
  api.chat_completions = [](serve::HttpRequest request, server::Writer writer) {
    writer->respond({.headers = {{"x-echo", request.query}}, .body = request.body});
  };
  api.tokenize = [](serve::HttpRequest, server::Writer) {};
  api.detokenize = [](serve::HttpRequest, server::Writer writer) { writer->start_stream({}); };
  app->set_ready(std::move(api));
  return app;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::shared_ptr<server::App> app = make_app();
  if (size < 2) return 0;
  const size_t piece = data[0] < 128 ? size : data[0] - 127u;
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
  auto loop = std::make_shared<server::Loop>();
  boost::asio::generic::stream_protocol protocol(AF_UNIX, 0);
  server::Connection::Socket socket(loop->context, protocol, fds[0]);
  std::make_shared<server::Connection>(loop, app, std::move(socket), "client:1")->start();
  char drain[65536];
  for (size_t at = 1; at < size;) {
    const ssize_t sent = send(fds[1], data + at, std::min(piece, size - at), MSG_NOSIGNAL);
    if (sent <= 0) break;
    at += static_cast<size_t>(sent);
    loop->context.poll();
    while (recv(fds[1], drain, sizeof drain, 0) > 0) {
    }
  }
  shutdown(fds[1], SHUT_WR);
  loop->work.reset();
  loop->context.run_for(10s);
  if (!loop->connections.empty() || app->num_open_requests() != 0 || app->num_connections != 0) std::abort();
  close(fds[1]);
  return 0;
}
