#include "cli/server_options.h"

#include <fmt/format.h>

#include <cstdlib>

#include "api/openapi.h"
#include "base/env.h"

namespace vllm::cli {
namespace {
std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    size_t comma = text.find(',');
    if (comma != 0) out.emplace_back(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  return out;
}
}  // namespace

server::ServerOptions server_options(const ServeArgs& args) {
  server::ServerOptions o;
  o.hosts = split(args.host);
  o.port = static_cast<uint16_t>(args.port);
  o.uds = args.uds;
  // --ssl-ciphers and --enable-ssl-refresh alone ask for nothing.
  if (!args.ssl_certfile.empty() || !args.ssl_keyfile.empty() || !args.ssl_ca_certs.empty() ||
      args.ssl_cert_reqs != 0) {
    o.tls = tls::ServerSettings{.certfile = args.ssl_certfile,
                                .keyfile = args.ssl_keyfile,
                                .ca_certs = args.ssl_ca_certs,
                                .cert_reqs = static_cast<tls::ClientCertificates>(args.ssl_cert_reqs),
                                .ciphers = args.ssl_ciphers};
  }
  o.tls_refresh = args.enable_ssl_refresh;
  o.api_keys = args.api_keys;
  o.cors_flag_given = args.allowed_origins.has_value();
  o.allowed_origins = args.allowed_origins.value_or(std::vector<std::string>{});
  o.allowed_methods = args.allowed_methods;
  o.allowed_headers = args.allowed_headers;
  o.allow_credentials = args.allow_credentials;
  o.root_path = args.root_path;
  o.disable_fastapi_docs = args.disable_fastapi_docs;
  o.no_ui = !args.ui;
  o.profiling = args.profiler.enabled;
  o.openapi_schemas = api::openapi_schemas();
  o.enable_request_id_headers = args.enable_request_id_headers;
  o.sse_keep_alive_interval = std::chrono::seconds(static_cast<int64_t>(args.sse_keep_alive_interval_s));
  o.disable_access_log = args.disable_uvicorn_access_log;
  o.access_log_exclusions = args.disable_access_log_for_endpoints;
  o.max_header_bytes = static_cast<size_t>(args.h11_max_incomplete_event_size);
  o.max_header_count = static_cast<size_t>(args.h11_max_header_count);
  if (auto seconds = env("VLLM_HTTP_TIMEOUT_KEEP_ALIVE")) {
    double value = std::strtod(seconds->c_str(), nullptr);
    if (value > 0 && value < 1e6) o.keep_alive_timeout = std::chrono::milliseconds(static_cast<int64_t>(value * 1000));
  }
  return o;
}

std::string listening_on(const server::ServerOptions& options, int port) {
  if (!options.uds.empty()) return "unix:" + options.uds;
  const std::string host = options.hosts.empty() ? "0.0.0.0" : options.hosts.front();
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", options.tls ? "https" : "http", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

}  // namespace vllm::cli
