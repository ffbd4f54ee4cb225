#pragma once
// The decision about a request from its head alone, before a byte of its body is read.
#include <string>
#include <utility>
#include <vector>

#include "serve/http.h"
#include "server/app.h"
#include "server/request_parser.h"

namespace vllm::server {

struct Decision {
  const Route* route = nullptr;  // null: answer with `refusal`
  serve::HttpResponse refusal;
  serve::HttpRequest request;                                       // without its body
  std::vector<std::pair<std::string, std::string>> answer_headers;  // CORS, X-Request-Id: on whatever is answered
  std::string logged_target;                                        // for the access log; empty: not in it
  std::string metrics_handler;                                      // "none" where no route matched
};

/// Order: request id, preflight, key, route (404, 405, 307), draining or not ready, size of the body.
Decision decide(const App& app, RequestHead head, std::string client);

}  // namespace vllm::server
