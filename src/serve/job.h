#pragma once
// What one call of an endpoint carries on its way through the service.
#include <memory>
#include <vector>

#include "api/requests.h"
#include "base/json.h"
#include "serve/generation.h"
#include "serve/http.h"
#include "serve/prompts.h"

namespace vllm::serve {

/// A request whose body is read.
struct Call {
  json::value body;
  const HttpRequest& http;  // its own body is gone
  std::shared_ptr<ResponseWriter> writer;
  std::shared_ptr<void> open;  // counts the request as open while it lives
  double arrival_s = 0;        // steady clock
};

/// A checked request of one of the two generating endpoints, ready to become sequences.
struct Job {
  const api::GenerateRequest& request;
  Call call;
  GenerationOptions options = {};
  std::vector<Prompt> prompts = {};
  std::vector<SamplingParams> sampling = {};  // one per prompt
};

}  // namespace vllm::serve
