// /openapi.json and /docs, both from the route table; api knows the bodies.
#include "api/openapi.h"

#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "base/version.h"
#include "server/routes.h"

namespace vllm::server {
namespace {

bool listed(const Route& route, unsigned off) { return !(route.flags & (off | Route::kHidden | Route::kNotBuilt)); }

}  // namespace

std::string make_openapi(std::span<const Route> routes, unsigned off) {
  std::vector<api::OpenApiOperation> operations;
  std::deque<std::string> methods;  // in lower case, for the document
  // Rows of one path side by side: the document has one object a path.
  for (const Route& first : routes) {
    const bool seen = std::any_of(routes.data(), &first, [&](const Route& r) { return r.path == first.path; });
    if (seen) continue;
    for (const Route& route : routes) {
      if (route.path != first.path || !listed(route, off)) continue;
      std::string& method = methods.emplace_back(route.method);
      for (char& c : method) c = static_cast<char>(c | 0x20);
      api::OpenApiOperation operation{.path = route.path, .method = method, .summary = route.summary};
      for (const api::OpenApiOperation& known : api::api_operations()) {
        if (known.path != operation.path || known.method != operation.method) continue;
        operation.fields = known.fields;
        operation.other_fields = known.other_fields;
      }
      operations.push_back(operation);
    }
  }
  return api::openapi_document(kVersion, operations);
}

std::string make_docs_page(std::span<const Route> routes, unsigned off) {
  std::string rows;
  for (const Route& route : routes) {
    if (!listed(route, off)) continue;
    rows += fmt::format("<tr><td>{}</td><td><code>{}</code></td><td>{}</td></tr>\n", route.method, route.path,
                        route.summary);
  }
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>vllm.cpp endpoints</title>\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<h1>Endpoints</h1>\n<table>\n{}</table>\n"
      "<p>Machine-readable: <a href=\"openapi.json\">openapi.json</a></p>\n</html>\n",
      rows);
}

}  // namespace vllm::server
