#pragma once
// Endpoints of vLLM that this server knows but has not built.
#include <string_view>

#include "api/error.h"

namespace vllm::api {

/// The answer of such an endpoint: a client's mistake comes out as vLLM's 400 or 404 (a body that is no JSON, a
/// required field that is missing, the id of a response that cannot exist), everything else as 501.
ApiError unbuilt_endpoint(std::string_view method, std::string_view path, std::string_view content_type,
                          std::string_view body);

}  // namespace vllm::api
