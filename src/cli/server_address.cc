#include "cli/server_address.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include "cli/config_file.h"
#include "cli/entry_words.h"
#include "cli/parser.h"

namespace vllm::cli {
namespace fs = std::filesystem;
namespace {

Status set_port(const std::string& text, ServerAddress& out) {
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out.port);
  if (failed == std::errc() && end == text.data() + text.size() && out.port >= 0 && out.port <= 65535) return {};
  return invalid_argument("'{}' is no port", text);
}

// Of several hosts the first: all of them lead to one server.
std::string connectable(std::string host) {
  host = host.substr(0, host.find(','));
  if (host.empty() || host == "0.0.0.0" || host == "::" || host == "[::]") return "127.0.0.1";
  return host;
}

// Flags as they come, the later the stronger.
struct Flags {
  ServerAddress address;
  std::string certfile, keyfile;
  bool asks_clients = false;
};

// What `args` say, on top of `flags`; the config file that they name, in `config`.
Status take(const std::vector<std::string>& args, Flags& flags, std::string& config) {
  ServerAddress& out = flags.address;
  std::vector<std::string> ignored;
  ASSIGN_OR_RETURN(std::vector<std::string> own, without_entry_words(args, ignored));
  ASSIGN_OR_RETURN(ParsedArgs parsed, parse_args(own));
  for (const Assignment& a : parsed.assignments) {
    const std::string& value = a.values.back();
    if (a.flag->name == "host") out.host = connectable(value);
    if (a.flag->name == "port") RETURN_IF_ERROR(set_port(value, out).with_context("--port"));
    if (a.flag->name == "uds") out.uds = value;
    if (a.flag->name == "ssl-certfile") flags.certfile = value;
    if (a.flag->name == "ssl-keyfile") flags.keyfile = value;
    if (a.flag->name == "ssl-cert-reqs") flags.asks_clients = value != "0";
    if (a.flag->name == "config") config = value;
  }
  return {};
}

Status take_file(const fs::path& path, Flags& out) {
  ASSIGN_OR_RETURN(std::vector<std::string> args, read_config_file(path.string()));
  std::string ignored;
  return take(args, out, ignored).with_context("{}", path.string());
}

std::string read_whole(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Two processes see the same network; also if that can't be told, as for another user's process.
bool same_network(const fs::path& process, const fs::path& self) {
  std::error_code failed;
  const fs::path theirs = fs::read_symlink(process / "ns/net", failed);
  if (failed) return true;
  const fs::path ours = fs::read_symlink(self / "ns/net", failed);
  return failed || theirs == ours;
}

}  // namespace

std::string ServerAddress::base_url() const {
  const char* scheme = tls ? "https" : "http";
  if (!uds.empty()) return fmt::format("{}://localhost", scheme);
  const bool v6 = host.find(':') != host.npos && !host.starts_with('[');
  return fmt::format("{}://{}{}{}:{}", scheme, v6 ? "[" : "", host, v6 ? "]" : "", port);
}

std::string ServerAddress::shown() const { return uds.empty() ? base_url() : "unix:" + uds; }

Result<ServerAddress> server_address(const std::vector<std::string>& argv, const fs::path& cwd,
                                     const std::string& system_config) {
  Flags flags, strongest;
  std::string config;
  RETURN_IF_ERROR(take(argv, strongest, config));  // first, for --config
  std::error_code ignored;
  if (!system_config.empty() && fs::exists(system_config, ignored)) RETURN_IF_ERROR(take_file(system_config, flags));
  if (!config.empty()) RETURN_IF_ERROR(take_file(cwd / config, flags));
  RETURN_IF_ERROR(take(argv, flags, config));
  ServerAddress out = std::move(flags.address);
  out.tls = !flags.certfile.empty();
  if (out.tls && flags.asks_clients) {
    out.client_certificate = (cwd / flags.certfile).string();
    out.client_key = flags.keyfile.empty() ? out.client_certificate : (cwd / flags.keyfile).string();
  }
  if (!out.uds.empty()) out.uds = (cwd / out.uds).string();
  return out;
}

Result<ServerAddress> parse_server_url(const std::string& url) {
  ServerAddress out;
  if (url.starts_with("unix:") && url.size() > 5) {
    out.uds = url.substr(5);
    return out;
  }
  out.tls = url.starts_with("https://");
  if (!out.tls && !url.starts_with("http://"))
    return invalid_argument("'{}': expected http://HOST:PORT, https://HOST:PORT or unix:PATH", url);
  std::string rest = url.substr(out.tls ? 8 : 7);
  rest = rest.substr(0, rest.find('/'));
  const size_t bracket = rest.rfind(']'), colon = rest.rfind(':');
  const bool has_port = colon != rest.npos && (bracket == rest.npos || colon > bracket);
  out.port = out.tls ? 443 : 80;
  if (has_port) RETURN_IF_ERROR(set_port(rest.substr(colon + 1), out).with_context("{}", url));
  out.host = rest.substr(0, has_port ? colon : rest.npos);
  if (out.host.empty()) return invalid_argument("'{}' names no host", url);
  return out;
}

std::vector<RunningServer> running_servers(const fs::path& proc) {
  std::vector<RunningServer> found;
  std::error_code failed;
  for (fs::directory_iterator it(proc, failed), end; !failed && it != end; it.increment(failed)) {
    const std::string name = it->path().filename().string();
    RunningServer server;
    auto [last, wrong] = std::from_chars(name.data(), name.data() + name.size(), server.pid);
    if (wrong != std::errc() || last != name.data() + name.size()) continue;
    if (read_whole(it->path() / "comm") != "vllm\n") continue;
    const std::string cmdline = read_whole(it->path() / "cmdline");
    for (size_t begin = 0; begin < cmdline.size();) {
      const size_t stop = std::min(cmdline.find('\0', begin), cmdline.size());
      server.argv.push_back(cmdline.substr(begin, stop - begin));
      begin = stop + 1;
    }
    if (server.argv.size() < 2 || server.argv[1] != "serve" || !same_network(it->path(), proc / "self")) continue;
    server.argv.erase(server.argv.begin(), server.argv.begin() + 2);
    std::error_code hidden;
    server.cwd = fs::read_symlink(it->path() / "cwd", hidden);
    found.push_back(std::move(server));
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.pid < b.pid; });
  return found;
}

}  // namespace vllm::cli
