#include "bench/child_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>

#include "base/env.h"
#include "bench/outcome.h"
#include "bench/request.h"

namespace vllm::bench {
namespace {

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

uint16_t free_port() {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
               ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(fd);
  return bound ? ntohs(address.sin_port) : 0;
}

// A blocking connection that reads until some text has come. -1 where nothing listens yet.
class Socket {
 public:
  explicit Socket(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(port);
    int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    open_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Socket() { ::close(fd_); }
  Socket(const Socket&) = delete;

  bool send(std::string_view bytes) {
    while (open_ && !bytes.empty()) {
      ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return open_;
  }
  /// True once `text` has been read; false at the end, or after `timeout_s`.
  bool read_until(std::string_view text, double timeout_s) {
    const double deadline = seconds_now() + timeout_s;
    while (read_.find(text) == std::string::npos) {
      pollfd waiting{fd_, POLLIN, 0};
      int left_ms = static_cast<int>(std::clamp((deadline - seconds_now()) * 1000, 0.0, 1e6));
      if (::poll(&waiting, 1, left_ms) <= 0) return false;
      char bytes[4096];
      ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
      if (got <= 0) return false;
      read_.append(bytes, static_cast<size_t>(got));
    }
    return true;
  }
  const std::string& text() const { return read_; }

 private:
  int fd_;
  bool open_ = false;
  std::string read_;
};

}  // namespace

Result<StartTimes> ChildServer::measure(const std::vector<std::string>& flags, double timeout_s) {
  ChildServer child;
  RETURN_IF_ERROR(child.spawn(flags));
  const double deadline = child.begin_ + timeout_s;
  StartTimes out;
  RETURN_IF_ERROR(child.wait_healthy(deadline));
  out.healthy_s = seconds_now() - child.begin_;
  RETURN_IF_ERROR(child.wait_first_token(deadline));
  out.first_token_s = seconds_now() - child.begin_;
  return out;
}

Status ChildServer::spawn(const std::vector<std::string>& flags) {
  port_ = free_port();
  log_fd_ = memfd_create("vllm-bench-startup", MFD_CLOEXEC);
  if (port_ == 0 || log_fd_ < 0) return error(ErrorCode::kInternal, "no port or no memory for a child process");
  std::vector<std::string> args{"vllm", "serve"};
  args.insert(args.end(), flags.begin(), flags.end());
  for (const char* flag : {"--host=127.0.0.1", "--served-model-name=bench", "--uds="}) args.emplace_back(flag);
  args.push_back("--port=" + std::to_string(port_));
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);

  const pid_t parent = getpid();
  begin_ = seconds_now();
  pid_ = fork();
  if (pid_ < 0) return error(ErrorCode::kInternal, "fork: {}", std::strerror(errno));
  if (pid_ == 0) {  // async-signal-safe calls only
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(126);
    dup2(log_fd_, STDOUT_FILENO);
    dup2(log_fd_, STDERR_FILENO);
    execv("/proc/self/exe", argv.data());
    _exit(127);
  }
  return {};
}

bool ChildServer::has_ended() {
  int status = 0;
  if (pid_ > 0 && waitpid(pid_, &status, WNOHANG) == pid_) pid_ = 0;
  return pid_ == 0;
}

Error ChildServer::failure(const std::string& what) {
  std::string tail(4096, '\0');
  const off_t size = lseek(log_fd_, 0, SEEK_END);
  const ssize_t got = pread(log_fd_, tail.data(), tail.size(), std::max<off_t>(0, size - 4096));
  tail.resize(static_cast<size_t>(std::max<ssize_t>(0, got)));
  return error(ErrorCode::kUnavailable, "{}; the end of the server's log:\n{}", what, tail);
}

Status ChildServer::wait_healthy(double deadline) {
  while (seconds_now() < deadline) {
    if (has_ended()) return failure("the server ended before it was healthy");
    Socket socket(port_);
    if (socket.send("GET /health HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n") &&
        socket.read_until("\r\n", 1) && socket.text().starts_with("HTTP/1.1 200"))
      return {};
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return failure("the server was not healthy in time");
}

Status ChildServer::wait_first_token(double deadline) {
  RequestPlan plan{.target = make_target("127.0.0.1", port_), .path = "/v1/completions", .model = "bench"};
  plan.fields["temperature"] = 0;
  if (auto key = env("VLLM_API_KEY")) plan.headers.emplace_back("Authorization", "Bearer " + *key);
  Socket socket(port_);
  const bool sent = socket.send(post_request(plan, Sample{"Hello", {}, 1, 1}, ""));
  if (sent && socket.read_until("data:", deadline - seconds_now())) return {};
  return failure("the server sent no token: " + socket.text().substr(0, 500));
}

ChildServer::~ChildServer() {
  if (pid_ > 0) {
    kill(pid_, SIGTERM);
    for (int i = 0; i < 500 && !has_ended(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (!has_ended()) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  if (log_fd_ >= 0) close(log_fd_);
}

}  // namespace vllm::bench
