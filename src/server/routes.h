#pragma once
// The route table: one row an endpoint. The 405 answers, /openapi.json, /docs and the log's listing are made from it.
#include <span>
#include <string>
#include <string_view>

#include "server/api.h"

namespace vllm::server {

class App;

struct Route {
  std::string_view method;  // GET also answers HEAD
  std::string_view path;    // "{name}" takes one segment
  /// Runs on an I/O thread and returns at once.
  void (*handler)(App& app, serve::HttpRequest request, Writer writer);
  enum Flags : unsigned {
    kNone = 0,
    kNeedsModel = 1,  // 503 with the phase until ready, and while draining
    kHidden = 2,      // not in /openapi.json and /docs (pages)
    kDocs = 4,        // gone with --disable-fastapi-docs
    kUi = 8,          // gone with --no-ui
    kNotBuilt = 16,   // known to vLLM, answers 501
    kProfiling = 32,  // only with --profiler-config
  };
  unsigned flags = kNone;
  std::string_view summary = {};
  std::string_view schema = {};  // of the request's body, in components.schemas
};

/// Every route there is, in the order in which they are tried and listed.
std::span<const Route> all_routes();

struct RouteMatch {
  const Route* route = nullptr;
  std::string allow;  // methods of the path's routes, if the path is known but not the method
};
/// `method` HEAD finds GET. Routes whose flags are in `off` don't exist.
RouteMatch match_route(std::span<const Route> routes, std::string_view method, std::string_view path, unsigned off);

/// /openapi.json. `schemas`: the JSON object of components.schemas (api::openapi_schemas()); empty or no object: none.
std::string make_openapi(std::span<const Route> routes, unsigned off, const std::string& schemas);
/// /docs: a static page that lists the routes. No scripts.
std::string make_docs_page(std::span<const Route> routes, unsigned off);

}  // namespace vllm::server
