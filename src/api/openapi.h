#pragma once
// The OpenAPI document, generated from the field tables.
#include <span>
#include <string>
#include <string_view>

#include "api/fields.h"

namespace vllm::api {

/// One operation: "post" of "/v1/completions". `fields` may be empty (no body); `other_fields`: a second form the body
/// may have.
struct OpenApiOperation {
  std::string_view path, method, summary;
  std::span<const Field> fields = {}, other_fields = {};
};
/// Operations of the endpoints that this layer knows: completions, chat completions, tokenize, detokenize, models.
std::span<const OpenApiOperation> api_operations();
/// The document over all given operations; paths in the order given.
std::string openapi_document(std::string_view version, std::span<const OpenApiOperation> operations);

}  // namespace vllm::api
