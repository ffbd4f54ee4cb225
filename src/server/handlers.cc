// Handlers: those of the model go through Api, the rest are answered here.
#include "server/handlers.h"

#include <fmt/core.h>

#include "api/unbuilt.h"
#include "base/version.h"
#include "server/app.h"
#include "server/response.h"
#include "server/ui/ui.h"

namespace vllm::server {
namespace {

serve::HttpResponse not_implemented(std::string message) {
  return to_response({.status = 501, .type = "NotImplementedError", .message = std::move(message), .param = {}});
}

void call(const Api::Handler& handler, serve::HttpRequest request, const Writer& writer) {
  if (handler)
    handler(std::move(request), writer);
  else
    writer->respond(not_implemented(fmt::format("{} is not served here.", request.path)));
}

serve::HttpResponse html(std::string body) {
  serve::HttpResponse out;
  out.content_type = "text/html; charset=utf-8";
  out.headers = {{"content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"},
                 {"x-content-type-options", "nosniff"}};
  out.body = std::move(body);
  return out;
}

}  // namespace

void completions(App& app, serve::HttpRequest request, Writer writer) {
  call(app.api()->completions, std::move(request), writer);
}
void chat_completions(App& app, serve::HttpRequest request, Writer writer) {
  call(app.api()->chat_completions, std::move(request), writer);
}
void tokenize(App& app, serve::HttpRequest request, Writer writer) {
  call(app.api()->tokenize, std::move(request), writer);
}
void detokenize(App& app, serve::HttpRequest request, Writer writer) {
  call(app.api()->detokenize, std::move(request), writer);
}
void list_models(App& app, serve::HttpRequest request, Writer writer) {
  call(app.api()->list_models, std::move(request), writer);
}

void start_profile(App& app, serve::HttpRequest request, Writer writer) {
  call(app.api()->start_profile, std::move(request), writer);
}
void stop_profile(App& app, serve::HttpRequest request, Writer writer) {
  call(app.api()->stop_profile, std::move(request), writer);
}

void health(App& app, serve::HttpRequest, Writer writer) {
  if (auto unavailable = unavailable_response(app)) return writer->respond(std::move(*unavailable));
  const App::State state = app.state();
  if (!state.unhealthy.empty()) {
    return writer->respond(to_response(api::unavailable("The engine is dead: " + state.unhealthy)));
  }
  serve::HttpResponse ok;
  ok.content_type.clear();
  writer->respond(std::move(ok));
}

void version(App&, serve::HttpRequest, Writer writer) {
  serve::HttpResponse out;
  out.body = fmt::format(R"({{"version":"{}"}})", kVersion);
  writer->respond(std::move(out));
}

void metrics(App& app, serve::HttpRequest, Writer writer) {
  serve::HttpResponse out;
  out.content_type = "text/plain; version=0.0.4; charset=utf-8";
  if (auto api = app.api(); api && api->metrics) out.body = api->metrics();
  writer->respond(std::move(out));
}

void load(App& app, serve::HttpRequest, Writer writer) {
  auto api = app.api();
  serve::HttpResponse out;
  out.body = fmt::format(R"({{"server_load":{}}})", api && api->server_load ? api->server_load() : 0);
  writer->respond(std::move(out));
}

void openapi(App& app, serve::HttpRequest, Writer writer) {
  serve::HttpResponse out;
  out.body = make_openapi(app.routes, app.routes_off, app.options.openapi_schemas);
  writer->respond(std::move(out));
}

void docs(App& app, serve::HttpRequest, Writer writer) {
  writer->respond(html(make_docs_page(app.routes, app.routes_off)));
}

// The page and its files are there while the model loads: the page asks /v1/models and shows the phase.
void ui_file(App&, serve::HttpRequest request, Writer writer) {
  const UiFile* file = find_ui_file(request.path);
  if (!file) return writer->respond(detail_response(404));
  serve::HttpResponse out;
  out.content_type = file->content_type;
  out.headers = {{"content-security-policy", std::string(kUiContentSecurityPolicy)},
                 {"x-content-type-options", "nosniff"},
                 {"referrer-policy", "no-referrer"},
                 {"cache-control", "no-cache"}};
  out.body = file->body;
  writer->respond(std::move(out));
}

void not_built(App&, serve::HttpRequest request, Writer writer) {
  writer->respond(
      to_response(api::unbuilt_endpoint(request.method, request.path, request.header("content-type"), request.body)));
}

}  // namespace vllm::server
