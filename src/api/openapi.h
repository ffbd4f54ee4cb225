#pragma once
// The request schemas of the OpenAPI document, generated from the field tables.
#include <string>

namespace vllm::api {

/// A JSON object for components.schemas: CompletionRequest, ChatCompletionRequest, TokenizeRequest, DetokenizeRequest.
std::string openapi_schemas();

}  // namespace vllm::api
