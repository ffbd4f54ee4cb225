#pragma once
// What the front end's flags set. Plain values; the defaults are vLLM's where it has them.
// Every member has an initializer, so that designated initializers may name any of them without a warning.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tls/context.h"

namespace vllm::server {

/// How `vllm health` names itself: an image's health check would fill the access log.
inline constexpr const char* kHealthAgent = "vllm-health";

struct ServerOptions {
  using Ms = std::chrono::milliseconds;

  // Where to listen
  std::vector<std::string> hosts = {};  // --host: names or addresses; none or an empty one = all, IPv6 and IPv4
  uint16_t port = 8000;                 // 0 = any free one (tests)
  std::string uds = {};                 // --uds: a Unix socket instead of host and port
  int io_threads = 2;
  std::optional<tls::ServerSettings> tls = {};  // --ssl-...: every connection speaks TLS
  bool tls_refresh = false;                     // --enable-ssl-refresh: new connections follow changed files

  // Who may ask
  std::vector<std::string> api_keys = {};
  bool cors_flag_given = false;  // false: loopback origins and "null" are allowed; true: exactly allowed_origins
  std::vector<std::string> allowed_origins = {};
  std::vector<std::string> allowed_methods = {"*"};
  std::vector<std::string> allowed_headers = {"*"};
  bool allow_credentials = false;
  std::string root_path = {};  // --root-path: stripped from the path when it is there

  // What is served
  bool disable_fastapi_docs = false;  // no /docs and /openapi.json
  bool no_ui = false;
  bool profiling = false;            // /start_profile and /stop_profile exist
  std::string openapi_schemas = {};  // JSON object for components.schemas (api::openapi_schemas())
  bool enable_request_id_headers = false;
  std::chrono::seconds sse_keep_alive_interval{0};  // 0 = off

  // The log
  bool disable_access_log = false;
  std::vector<std::string> access_log_exclusions = {};  // paths, --disable-access-log-for-endpoints

  // Limits: all of them hold before a request reaches a handler
  size_t max_body_bytes = size_t{64} << 20;
  size_t max_total_body_bytes = size_t{1} << 30;  // of all requests being read or answered, large heads included
  size_t max_header_bytes = size_t{4} << 20;      // --h11-max-incomplete-event-size
  size_t max_header_count = 256;                  // --h11-max-header-count
  size_t max_pending_bytes = size_t{16} << 20;    // of one answer whose reader lags; then the connection is cut
  size_t max_connections = 8192;                  // lowered to what RLIMIT_NOFILE allows
  Ms keep_alive_timeout{5000};                    // VLLM_HTTP_TIMEOUT_KEEP_ALIVE
  Ms header_timeout{30000};       // from the first byte (or the connect, TLS included) to the head's end
  Ms body_stall_timeout{30000};   // without a new byte
  Ms body_timeout{600000};        // for a whole body
  Ms write_stall_timeout{60000};  // a reader that takes nothing for so long is cut off
  Ms linger_timeout{2000};        // after a refusal: time for the client to read it before the close
};

}  // namespace vllm::server
