#pragma once
// What the routes call; see routes.cc.
#include "server/api.h"

namespace vllm::server {

class App;

void completions(App& app, serve::HttpRequest request, Writer writer);
void chat_completions(App& app, serve::HttpRequest request, Writer writer);
void tokenize(App& app, serve::HttpRequest request, Writer writer);
void detokenize(App& app, serve::HttpRequest request, Writer writer);
void list_models(App& app, serve::HttpRequest request, Writer writer);
void start_profile(App& app, serve::HttpRequest request, Writer writer);
void stop_profile(App& app, serve::HttpRequest request, Writer writer);
void health(App& app, serve::HttpRequest request, Writer writer);
void version(App& app, serve::HttpRequest request, Writer writer);
void metrics(App& app, serve::HttpRequest request, Writer writer);
void load(App& app, serve::HttpRequest request, Writer writer);
void openapi(App& app, serve::HttpRequest request, Writer writer);
void docs(App& app, serve::HttpRequest request, Writer writer);
void ui_file(App& app, serve::HttpRequest request, Writer writer);
void not_built(App& app, serve::HttpRequest request, Writer writer);

}  // namespace vllm::server
