#pragma once
// The functions behind the routes. `make_api` (service_api.h) fills it from a Service; tests fill it with lambdas.
#include <functional>
#include <memory>
#include <string>

#include "serve/http.h"

namespace vllm::server {

using Writer = std::shared_ptr<serve::ResponseWriter>;

/// One answered request, for the http_* series. `handler` is the route's path, or "none" where no route matched.
struct HttpObservation {
  std::string handler, method;
  int status = 0;
  double seconds = 0;
  size_t request_bytes = 0, response_bytes = 0;  // of the bodies; 0 for a stream's
};

/// Called on I/O threads: each must return at once. An empty function answers 501.
struct Api {
  using Handler = std::function<void(serve::HttpRequest, Writer)>;
  Handler completions, chat_completions, tokenize, detokenize, list_models;
  Handler start_profile, stop_profile;  // only where ServerOptions::profiling is set
  std::function<int()> server_load;
  std::function<std::string()> metrics;
  std::function<void(const HttpObservation&)> observe;
};

}  // namespace vllm::server
