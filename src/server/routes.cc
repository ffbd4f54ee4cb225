#include "server/routes.h"

#include "server/handlers.h"

namespace vllm::server {
namespace {

constexpr auto kModel = Route::kNeedsModel;
constexpr auto kNotBuilt = Route::kNotBuilt;

// What vLLM registers for a generating model. Endpoints of other kinds of model (embeddings, score, transcriptions, …)
// are no routes there either: 404.
constexpr Route kRoutes[] = {
    {"GET", "/", ui_file, Route::kHidden | Route::kUi, "Chat page"},
    {"GET", "/ui/app.js", ui_file, Route::kHidden | Route::kUi, "Its script"},
    {"GET", "/ui/style.css", ui_file, Route::kHidden | Route::kUi, "Its style sheet"},
    {"GET", "/openapi.json", openapi, Route::kHidden | Route::kDocs, "This document"},
    {"GET", "/docs", docs, Route::kHidden | Route::kDocs, "List of the endpoints"},
    {"GET", "/health", health, Route::kNone, "200 when requests can be answered"},
    {"GET", "/ping", health, Route::kNone, "As /health"},
    {"POST", "/ping", health, Route::kNone, "As /health"},
    {"GET", "/version", version, Route::kNone, "Version of the server"},
    {"GET", "/metrics", metrics, Route::kNone, "Prometheus metrics"},
    {"GET", "/load", load, Route::kNone, "Number of open requests"},
    {"GET", "/v1/models", list_models, kModel, "List the served models"},
    {"POST", "/v1/completions", completions, kModel, "Continue a text", "CompletionRequest"},
    {"POST", "/v1/chat/completions", chat_completions, kModel, "Answer a conversation", "ChatCompletionRequest"},
    {"POST", "/tokenize", tokenize, kModel, "Tokens of a text or conversation", "TokenizeRequest"},
    {"POST", "/detokenize", detokenize, kModel, "Text of tokens", "DetokenizeRequest"},
    {"POST", "/start_profile", start_profile, kModel | Route::kProfiling, "Record where time goes"},
    {"POST", "/stop_profile", stop_profile, kModel | Route::kProfiling, "Write the recording to a file"},
    {"POST", "/v1/chat/completions/batch", not_built, kNotBuilt},
    {"POST", "/v1/responses", not_built, kNotBuilt},
    {"GET", "/v1/responses/{response_id}", not_built, kNotBuilt},
    {"POST", "/v1/responses/{response_id}/cancel", not_built, kNotBuilt},
    {"POST", "/v1/messages", not_built, kNotBuilt},
    {"POST", "/v1/messages/count_tokens", not_built, kNotBuilt},
    {"POST", "/v1/systemone", not_built, kNotBuilt},
    {"POST", "/invocations", not_built, kNotBuilt},
    {"POST", "/generative_scoring", not_built, kNotBuilt},
    {"GET", "/kv_event_sources", not_built, kNotBuilt},
    {"POST", "/scale_elastic_ep", not_built, kNotBuilt},
    {"POST", "/is_scaling_elastic_ep", not_built, kNotBuilt},
};

bool path_matches(std::string_view pattern, std::string_view path) {
  while (true) {
    const size_t brace = pattern.find('{');
    if (brace == std::string_view::npos) return pattern == path;
    if (path.substr(0, brace) != pattern.substr(0, brace)) return false;
    pattern.remove_prefix(pattern.find('}') + 1);
    path.remove_prefix(brace);
    const size_t slash = std::min(path.find('/'), path.size());
    if (slash == 0) return false;
    path.remove_prefix(slash);
  }
}

}  // namespace

std::span<const Route> all_routes() { return kRoutes; }

RouteMatch match_route(std::span<const Route> routes, std::string_view method, std::string_view path, unsigned off) {
  if (method == "HEAD") method = "GET";
  RouteMatch out;
  for (const Route& route : routes) {
    if ((route.flags & off) || !path_matches(route.path, path)) continue;
    if (route.method == method) return {&route, {}};
    if (!out.allow.empty()) out.allow += ", ";
    out.allow += route.method;
  }
  return out;
}

}  // namespace vllm::server
