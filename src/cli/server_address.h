#pragma once
// Where a `vllm serve` that runs on this machine listens, as its command line says: what `vllm health` asks.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace vllm::cli {

struct ServerAddress {
  bool tls = false;
  std::string host = "127.0.0.1";  // one to connect to: a wildcard became the loopback address
  int64_t port = 8000;
  std::string uds = {};  // a Unix socket in place of host and port
  // Where the server asks for client certificates: its own, which it lets in; else empty.
  std::string client_certificate = {}, client_key = {};

  std::string base_url() const;  // without a slash at the end; "http://localhost" for a Unix socket
  std::string shown() const;     // for people: the URL, or the socket's path
};

/// The address of `vllm serve ARGV` started in `cwd`. Only the flags that decide it are looked at, in their usual order
/// of strength; kInvalidArgument if the command line or a file it names can't be read, as the server itself would say.
Result<ServerAddress> server_address(const std::vector<std::string>& argv, const std::filesystem::path& cwd,
                                     const std::string& system_config = "/etc/vllm/config.yaml");

/// The address that a user typed: http://HOST:PORT, https://HOST:PORT or unix:PATH.
Result<ServerAddress> parse_server_url(const std::string& url);

struct RunningServer {
  int pid = 0;
  std::vector<std::string> argv;  // what follows `serve`
  std::filesystem::path cwd;      // empty if it may not be seen
};

/// The `vllm serve` processes of this network namespace, by pid. `proc` is /proc but for tests.
std::vector<RunningServer> running_servers(const std::filesystem::path& proc = "/proc");

}  // namespace vllm::cli
