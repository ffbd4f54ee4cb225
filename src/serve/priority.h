#pragma once
// A request's place in the queue under --scheduling-policy priority.
#include "api/error.h"
#include "api/requests.h"
#include "serve/http.h"

namespace vllm::serve {

/// The X-Vllm-Priority header if there is one, else the body's `priority`, cut to 32 bits; lower runs first. 400 for a
/// header that is no integer.
api::ApiResult<int> priority_of(const HttpRequest& http, const api::GenerateRequest& request);

}  // namespace vllm::serve
