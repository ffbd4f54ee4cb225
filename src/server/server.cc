#include "server/server.h"

#include <fmt/core.h>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <future>
#include <thread>

#include "base/log.h"
#include "server/app.h"
#include "server/connection.h"
#include "server/listener.h"

namespace vllm::server {
namespace asio = boost::asio;

namespace {

constexpr auto kRefreshInterval = std::chrono::seconds(1);

std::vector<std::shared_ptr<Loop>> make_loops(int count) {
  std::vector<std::shared_ptr<Loop>> out(static_cast<size_t>(std::clamp(count, 1, 64)));
  for (auto& loop : out) loop = std::make_shared<Loop>();
  return out;
}

}  // namespace

struct Server::Impl {
  explicit Impl(ServerOptions options)
      : app(std::make_shared<App>(std::move(options))),
        loops(make_loops(app->options.io_threads)),
        refresh(loops.front()->context) {
    listener = std::make_unique<Listener>(app, loops);
  }

  // Run `job` on every loop's thread and wait for it.
  template <typename Job>
  void on_every_loop(Job job) {
    for (const auto& loop : loops) {
      std::promise<void> done;
      asio::post(loop->context, [&] {
        job(*loop);
        done.set_value();
      });
      done.get_future().wait();
    }
  }

  // On the first loop, for as long as it runs.
  void watch_certificates() {
    if (loops.front()->stopping) return;
    refresh.expires_after(kRefreshInterval);
    refresh.async_wait([this](boost::system::error_code ec) {
      if (ec || loops.front()->stopping) return;
      app->certificates->check();
      watch_certificates();
    });
  }

  std::shared_ptr<App> app;
  std::vector<std::shared_ptr<Loop>> loops;
  asio::steady_timer refresh;
  std::unique_ptr<Listener> listener;
  std::vector<std::jthread> threads;
};

namespace {

void run_loop(Loop& loop) {
  for (;;) {
    try {
      loop.context.run();
      return;
    } catch (
        const std::exception& e) {  // nothing that runs here may throw; if it does, one handler is lost, not the server
      LOG_ERROR("I/O thread: {}", e.what());
    }
  }
}

}  // namespace

Server::Server(ServerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Server::~Server() { stop(); }

Status Server::start() {
  App& app = *impl_->app;
  if (app.options.tls) {
    ASSIGN_OR_RETURN(app.certificates, tls::Reloader::make(*app.options.tls));
  }
  RETURN_IF_ERROR(impl_->listener->open());
  for (const auto& loop : impl_->loops) impl_->threads.emplace_back([loop] { run_loop(*loop); });
  impl_->listener->start();
  if (app.certificates && app.options.tls_refresh) {
    asio::post(impl_->loops.front()->context, [impl = impl_.get()] { impl->watch_certificates(); });
  }
  return {};
}

uint16_t Server::port() const { return impl_->listener->port(); }
void Server::set_phase(std::string text) { impl_->app->set_phase(std::move(text)); }
void Server::set_ready(Api api) { impl_->app->set_ready(std::move(api)); }
void Server::set_unhealthy(std::string reason) { impl_->app->set_unhealthy(std::move(reason)); }
int Server::num_open_requests() const { return impl_->app->num_open_requests(); }

bool Server::drain(std::chrono::milliseconds timeout) {
  impl_->app->start_draining();
  if (impl_->threads.empty()) return true;
  impl_->on_every_loop([](Loop& loop) {
    for (Connection* connection : loop.connections) connection->signal();
  });
  return impl_->app->wait_until_idle(timeout);
}

void Server::stop() {
  if (impl_->threads.empty()) return;
  impl_->on_every_loop([&](Loop& loop) {
    if (&loop == impl_->loops.front().get()) impl_->listener->close();
  });
  impl_->on_every_loop([&](Loop& loop) {
    loop.stopping = true;
    if (&loop == impl_->loops.front().get()) impl_->refresh.cancel();
    for (Connection* connection : loop.connections) connection->cut();
    loop.work.reset();  // the loop ends when its last connection has
  });
  impl_->threads.clear();  // joins
}

void Server::log_routes() const {
  LOG_INFO("Available routes are:");
  for (const Route& route : impl_->app->routes) {
    if (route.flags & (impl_->app->routes_off | Route::kNotBuilt)) continue;
    LOG_INFO("Route: {}, Methods: {}", route.path, route.method);
  }
}

}  // namespace vllm::server
