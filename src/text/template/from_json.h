#pragma once
// Variables of a rendering from JSON. Not charged to the budget: their size was bounded with the request.
#include "base/json.h"
#include "text/template/value.h"

namespace vllm::text::tmpl {
/// Key order is kept. Numbers above 64 bits signed become floats.
Value from_json(const json::value& v, int depth = 0);
}  // namespace vllm::text::tmpl
