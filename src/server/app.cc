#include "server/app.h"

#include <fmt/core.h>

#include "server/response.h"

namespace vllm::server {
namespace {

// Long enough not to hammer a server that loads a model, short enough to notice when it is done.
constexpr char kRetryAfterSeconds[] = "2";

serve::HttpResponse unavailable(std::string message) {
  serve::HttpResponse out = to_response(api::unavailable(std::move(message)));
  out.headers.emplace_back("retry-after", kRetryAfterSeconds);
  return out;
}

// "api/" → "/api", "/" → "".
ServerOptions normalized(ServerOptions options) {
  std::string& root = options.root_path;
  while (root.ends_with('/')) root.pop_back();
  if (!root.empty() && root.front() != '/') root.insert(root.begin(), '/');
  return options;
}

}  // namespace

App::App(ServerOptions given)
    : options(normalized(std::move(given))),
      auth(options.api_keys),
      cors(options),
      routes(all_routes()),
      routes_off((options.disable_fastapi_docs ? Route::kDocs : 0u) | (options.no_ui ? Route::kUi : 0u) |
                 (options.profiling ? 0u : Route::kProfiling)) {
  state_.phase = "starting";
}

App::State App::state() const {
  std::lock_guard lock(mutex_);
  return state_;
}

void App::set_phase(std::string text) {
  std::lock_guard lock(mutex_);
  state_.phase = std::move(text);
}

void App::set_ready(Api api) {
  auto shared = std::make_shared<const Api>(std::move(api));
  std::lock_guard lock(mutex_);
  state_.api = std::move(shared);
}

void App::set_unhealthy(std::string reason) {
  std::lock_guard lock(mutex_);
  state_.unhealthy = reason.empty() ? "unknown" : std::move(reason);
}

void App::begin_request() {
  std::lock_guard lock(mutex_);
  ++open_requests_;
}

void App::end_request() {
  std::lock_guard lock(mutex_);
  if (--open_requests_ == 0) idle_.notify_all();
}

int App::num_open_requests() const {
  std::lock_guard lock(mutex_);
  return open_requests_;
}

bool App::wait_until_idle(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return idle_.wait_for(lock, timeout, [this] { return open_requests_ == 0; });
}

bool App::reserve_body(size_t bytes) {
  if (body_bytes_.fetch_add(bytes) + bytes <= options.max_total_body_bytes) return true;
  body_bytes_.fetch_sub(bytes);
  return false;
}

std::optional<serve::HttpResponse> unavailable_response(const App& app) {
  if (app.draining()) return unavailable("The server is shutting down.");
  const App::State state = app.state();
  if (!state.api) return unavailable(fmt::format("The model is not ready yet: {}", state.phase));
  return std::nullopt;
}

}  // namespace vllm::server
