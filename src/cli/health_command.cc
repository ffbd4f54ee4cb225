#include "cli/health_command.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "cli/server_address.h"
#include "server/options.h"

namespace vllm::cli {
namespace {

constexpr const char* kUsage =
    "usage: vllm health [URL] [--timeout SECONDS]\n\n"
    "Ask the `vllm serve` that runs here for /health; its own flags say where it listens. Exit status 0: it answers, "
    "or "
    "none runs.\nWith URL (http://HOST:PORT, https://HOST:PORT, unix:PATH) that server is asked.\n";
constexpr size_t kMaxAnswer = 512;  // bytes of an answer that are shown

size_t keep(char* bytes, size_t size, size_t count, void* text) {
  auto& out = *static_cast<std::string*>(text);
  out.append(bytes, std::min(size * count, kMaxAnswer - std::min(out.size(), kMaxAnswer)));
  return size * count;
}

struct Answer {
  bool well = false;
  bool tls_failed = false;  // something answers there, but the two do not agree on a TLS connection
  bool alert = false;       // in particular, the server has said so in TLS
  std::string words = {};   // for people: why it is not well, or what it can't be asked
};

Answer ask_once(const ServerAddress& address, double timeout_s, bool show_certificate) {
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), curl_easy_cleanup);
  if (!curl) return {.words = "libcurl does not start"};
  char problem[CURL_ERROR_SIZE] = "";
  std::string answer;
  const std::string url = address.base_url() + "/health";
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_USERAGENT, server::kHealthAgent);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_s * 1000));
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  // It is our own server over our own interface, and its certificate is for another name.
  curl_easy_setopt(curl.get(), CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_SSL_VERIFYHOST, 0L);
  if (show_certificate) {
    curl_easy_setopt(curl.get(), CURLOPT_SSLCERT, address.client_certificate.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_SSLKEY, address.client_key.c_str());
  } else if (!address.client_certificate.empty()) {
    // Under TLS 1.3 a server that wants a certificate says so after the handshake only, and its words may get lost.
    curl_easy_setopt(curl.get(), CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2} | long{CURL_SSLVERSION_MAX_TLSv1_2});
  }
  if (!address.uds.empty()) curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, address.uds.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, keep);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer);
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, problem);
  if (CURLcode code = curl_easy_perform(curl.get()); code != CURLE_OK) {
    const std::string words = problem[0] == 0 ? curl_easy_strerror(code) : problem;
    return {.tls_failed = code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CONNECT_ERROR ||
                          code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR,
            .alert = words.find(" alert ") != words.npos,
            .words = words};
  }
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status == 200) return {.well = true};
  return {.words = fmt::format("status {}{}{}", status, answer.empty() ? "" : ": ", answer)};
}

// Where clients show a certificate, health shows the server's own file. That may have been replaced or broken since the
// server took it, or be out of our sight: no reason to call the server ill, and to have it started again without one.
Answer ask(const ServerAddress& address, double timeout_s) {
  const bool has_certificate = !address.client_certificate.empty();
  Answer first = ask_once(address, timeout_s, has_certificate);
  if (!has_certificate || !first.tls_failed) return first;
  Answer second = ask_once(address, timeout_s, false);
  if (second.well || !second.tls_failed) return second;
  if (!second.alert) return first;
  return {.well = true,
          .words = fmt::format("it lets in only clients with a certificate, and {} is of no use for that ({}); what is "
                               "behind TLS was not seen",
                               address.client_certificate, first.words)};
}

// Says it and returns whether the server is well.
bool report(const ServerAddress& address, double timeout_s) {
  const Answer answer = ask(address, timeout_s);
  std::printf("%s: %s%s%s\n", address.shown().c_str(), answer.well ? "healthy" : "not healthy",
              answer.words.empty() ? "" : ": ", answer.words.c_str());
  return answer.well;
}

bool report_running(double timeout_s) {
  const std::vector<RunningServer> servers = running_servers();
  if (servers.empty()) std::puts("no `vllm serve` runs here");
  bool well = true;
  for (const RunningServer& server : servers) {
    auto address = server_address(server.argv, server.cwd);
    if (!address) std::printf("process %d: not healthy: %s\n", server.pid, address.error().message.c_str());
    well = address && report(*address, timeout_s) && well;
  }
  return well;
}

int wrong_arguments(const std::string& what) {
  std::fprintf(stderr, "vllm health: %s\n\n%s", what.c_str(), kUsage);
  return 2;
}

}  // namespace

int health_command(const std::vector<std::string>& argv) {
  std::string url;
  double timeout_s = 4;
  for (size_t i = 0; i < argv.size(); ++i) {
    if (argv[i] == "--help" || argv[i] == "-h") {
      std::fputs(kUsage, stdout);
      return 0;
    }
    const bool joined = argv[i].starts_with("--timeout=");
    if (joined || argv[i] == "--timeout") {
      if (!joined && i + 1 == argv.size()) return wrong_arguments("--timeout: expected seconds");
      timeout_s = std::strtod(joined ? argv[i].c_str() + 10 : argv[++i].c_str(), nullptr);
      if (!(timeout_s > 0 && timeout_s <= 3600)) return wrong_arguments("--timeout: expected seconds, up to 3600");
    } else if (url.empty() && !argv[i].starts_with('-')) {
      url = argv[i];
    } else {
      return wrong_arguments(fmt::format("unrecognized argument '{}'", argv[i]));
    }
  }
  if (url.empty()) return report_running(timeout_s) ? 0 : 1;
  auto address = parse_server_url(url);
  if (!address) return wrong_arguments(address.error().message);
  return report(*address, timeout_s) ? 0 : 1;
}

}  // namespace vllm::cli
