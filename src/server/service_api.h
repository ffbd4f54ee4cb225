#pragma once
// Api from the real Service. A header on purpose: `server` itself doesn't link `serve`, so its tests need no engine.
#include "engine/engine.h"
#include "serve/metrics.h"
#include "serve/service.h"
#include "server/api.h"

namespace vllm::server {

/// All three must outlive the server's stop().
inline Api make_api(serve::Service& service, serve::Metrics& metrics, engine::Engine& engine) {
  Api api;
  api.completions = [&service](serve::HttpRequest r, Writer w) { service.completions(std::move(r), std::move(w)); };
  api.chat_completions = [&service](serve::HttpRequest r, Writer w) {
    service.chat_completions(std::move(r), std::move(w));
  };
  api.tokenize = [&service](serve::HttpRequest r, Writer w) { service.tokenize(std::move(r), std::move(w)); };
  api.detokenize = [&service](serve::HttpRequest r, Writer w) { service.detokenize(std::move(r), std::move(w)); };
  api.list_models = [&service](serve::HttpRequest r, Writer w) { service.list_models(std::move(r), std::move(w)); };
  api.server_load = [&service] { return service.num_open_requests(); };
  api.metrics = [&metrics, &engine] { return metrics.expose(engine.stats()); };
  api.observe = [&metrics](const HttpObservation& o) {
    metrics.on_http(o.handler, o.method, o.status, o.seconds, o.request_bytes, o.response_bytes);
  };
  return api;
}

}  // namespace vllm::server
