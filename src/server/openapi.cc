// /openapi.json and /docs, both from the route table.
#include <fmt/core.h>

#include "base/json.h"
#include "base/version.h"
#include "server/routes.h"

namespace vllm::server {
namespace {

bool listed(const Route& route, unsigned off) { return !(route.flags & (off | Route::kHidden | Route::kNotBuilt)); }

json::object operation(const Route& route) {
  json::object ok{{"description", "Successful Response"}};
  if (route.path != "/metrics")
    ok["content"] = json::object{{"application/json", json::object{{"schema", json::object{}}}}};
  json::object out{{"summary", route.summary}, {"responses", json::object{{"200", std::move(ok)}}}};
  if (!route.schema.empty()) {
    json::object schema{{"$ref", fmt::format("#/components/schemas/{}", route.schema)}};
    json::object content{{"application/json", json::object{{"schema", std::move(schema)}}}};
    out["requestBody"] = json::object{{"required", true}, {"content", std::move(content)}};
  }
  return out;
}

}  // namespace

std::string make_openapi(std::span<const Route> routes, unsigned off, const std::string& schemas) {
  json::object paths;
  json::object components;
  if (auto parsed = parse_json(schemas); parsed && parsed->is_object()) {
    components = std::move(parsed->as_object());
  }
  for (const Route& route : routes) {
    if (!listed(route, off)) continue;
    json::value& path = paths[route.path];
    if (!path.is_object()) path.emplace_object();
    std::string method(route.method);
    for (char& c : method) c = static_cast<char>(c | 0x20);
    path.as_object()[method] = operation(route);
  }
  json::object document{{"openapi", "3.1.0"},
                        {"info", json::object{{"title", "vllm.cpp"}, {"version", kVersion}}},
                        {"paths", std::move(paths)},
                        {"components", json::object{{"schemas", std::move(components)}}}};
  return json::serialize(document);
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
