#pragma once
// Raw sockets for the tests: what goes over the wire is exactly what the test says.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <string>
#include <string_view>

namespace vllm::server {

class TestClient {
 public:
  struct Reply {
    int status = 0;  // 0: the connection ended first
    std::string head;
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;                            // chunked framing removed
  };

  explicit TestClient(uint16_t port, bool v6 = false, int receive_buffer = 0) {
    fd_ = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (v6) {
      sockaddr_in6 address{};
      address.sin6_family = AF_INET6;
      address.sin6_port = htons(port);
      address.sin6_addr = in6addr_loopback;
      connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    } else {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(port);
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    }
  }
  TestClient(TestClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)), connected_(other.connected_) {}
  ~TestClient() { close(); }

  bool connected() const { return connected_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  /// RST instead of FIN.
  void reset() {
    linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void shutdown_send() { ::shutdown(fd_, SHUT_WR); }

  /// False if the server has closed.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  /// Read more into the buffer; false at the end or after `timeout_ms` without a byte.
  bool read_some(int timeout_ms = 5000) {
    pollfd waiting{fd_, POLLIN, 0};
    if (::poll(&waiting, 1, timeout_ms) <= 0) return false;
    char bytes[65536];
    const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
    if (got <= 0) {
      at_end_ = true;
      return false;
    }
    buffer_.append(bytes, static_cast<size_t>(got));
    return true;
  }

  /// True once the server has closed (what it sent before is kept in `buffer`).
  bool closed_within(int timeout_ms) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    while (!at_end_ && std::chrono::steady_clock::now() < end) read_some(20);
    return at_end_;
  }

  bool read_until(std::string_view text, int timeout_ms = 5000) {
    while (buffer_.find(text) == std::string::npos) {
      if (!read_some(timeout_ms)) return false;
    }
    return true;
  }

  /// The next response. `head_only`: to a HEAD request.
  Reply reply(bool head_only = false) {
    Reply out;
    if (!read_until("\r\n\r\n")) return out;
    const size_t end = buffer_.find("\r\n\r\n");
    out.head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 4);
    out.status = std::stoi(out.head.substr(9, 3));
    for (size_t line = out.head.find("\r\n") + 2; line < out.head.size();) {
      const size_t stop = out.head.find("\r\n", line);
      std::string name = out.head.substr(line, out.head.find(':', line) - line);
      for (char& c : name) c = static_cast<char>(std::tolower(c));
      out.headers[name] = out.head.substr(line + name.size() + 2, stop - line - name.size() - 2);
      line = stop + 2;
    }
    if (head_only || out.status == 100) return out;
    if (out.headers.contains("transfer-encoding")) {
      for (;;) {
        if (!read_until("\r\n")) return out;
        const size_t bytes = std::stoul(buffer_, nullptr, 16);
        const size_t start = buffer_.find("\r\n") + 2;
        while (buffer_.size() < start + bytes + 2) {
          if (!read_some()) return out;
        }
        out.body += buffer_.substr(start, bytes);
        buffer_.erase(0, start + bytes + 2);
        if (bytes == 0) return out;
      }
    }
    if (out.headers.contains("content-length")) {
      const size_t bytes = std::stoul(out.headers["content-length"]);
      while (buffer_.size() < bytes && read_some()) {
      }
      out.body = buffer_.substr(0, bytes);
      buffer_.erase(0, bytes);
      return out;
    }
    while (read_some()) {
    }
    out.body = std::exchange(buffer_, {});
    return out;
  }

  Reply ask(std::string_view request) {
    send(request);
    return reply(request.starts_with("HEAD "));
  }

  const std::string& buffer() const { return buffer_; }

 private:
  int fd_ = -1;
  bool connected_ = false, at_end_ = false;
  std::string buffer_;
};

/// A request with Host, and Content-Length where there is a body. `headers`: whole lines with \r\n.
inline std::string make_request(std::string_view method, std::string_view path, std::string_view headers = {},
                                std::string_view body = {}) {
  std::string out =
      std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: here\r\n" + std::string(headers);
  if (!body.empty()) out += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return out + "\r\n" + std::string(body);
}

}  // namespace vllm::server
