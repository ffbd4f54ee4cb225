#include "hub/testing/http_test_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <sstream>

#include "base/check.h"

namespace vllm::testing {
namespace {

void send_all(int connection, std::string_view text) {
  while (!text.empty()) {
    ssize_t n = ::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

TestRequest parse_request(const std::string& head) {
  TestRequest request;
  std::istringstream lines(head);
  std::string line;
  std::getline(lines, line);
  std::istringstream(line) >> request.method >> request.target;
  while (std::getline(lines, line) && line != "\r") {
    size_t colon = line.find(':');
    if (colon == line.npos) continue;
    std::string name = line.substr(0, colon), value = line.substr(colon + 1);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    while (!value.empty() && (value.back() == '\r' || value.back() == ' ')) value.pop_back();
    while (!value.empty() && value.front() == ' ') value.erase(0, 1);
    request.headers[name] = value;
  }
  return request;
}

}  // namespace

HttpTestServer::HttpTestServer(Handler handler) : handler_(std::move(handler)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  CHECK(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 && ::listen(listener_, 64) == 0);
  CHECK(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_loop(); });
}

HttpTestServer::~HttpTestServer() {
  stopping_ = true;
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
  ::close(listener_);
}

std::vector<TestRequest> HttpTestServer::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

void HttpTestServer::accept_loop() {
  while (!stopping_) {
    pollfd waiting{listener_, POLLIN, 0};
    if (::poll(&waiting, 1, 20) <= 0) continue;
    int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    std::lock_guard lock(mutex_);
    threads_.emplace_back([this, connection] { serve(connection); });
  }
}

void HttpTestServer::serve(int connection) {
  std::string head;
  char buffer[4096];
  while (head.find("\r\n\r\n") == head.npos) {
    ssize_t n = ::recv(connection, buffer, sizeof(buffer), 0);
    if (n <= 0) {
      ::close(connection);
      return;
    }
    head.append(buffer, static_cast<size_t>(n));
  }
  TestRequest request = parse_request(head);
  {
    std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  TestResponse response = handler_(request);
  std::string text = "HTTP/1.1 " + std::to_string(response.status) + " Status\r\nConnection: close\r\n";
  for (const auto& [name, value] : response.headers) text += name + ": " + value + "\r\n";
  if (!response.headers.contains("Content-Length"))
    text += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  send_all(connection, text + "\r\n");
  if (request.method != "HEAD")
    send_all(connection, std::string_view(response.body).substr(0, response.cut_after.value_or(response.body.size())));
  for (int waited = 0; waited < response.stall_ms && !stopping_; waited += 10)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ::shutdown(connection, SHUT_WR);
  while (::recv(connection, buffer, sizeof(buffer), MSG_DONTWAIT) > 0) {
  }
  ::close(connection);
}

}  // namespace vllm::testing
