#include "server/listener.h"

#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstring>

#include "base/log.h"
#include "server/connection.h"

namespace vllm::server {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol>;

namespace {

constexpr int kBacklog = 2048;  // as uvicorn
constexpr auto kRetry = std::chrono::milliseconds(50);
constexpr size_t kSpareFiles = 64;  // descriptors left for models, logs and the engine

// Raise the soft limit of open files to the hard one, and say how many connections fit.
size_t connection_limit(size_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  if (limit.rlim_cur < limit.rlim_max) {
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
  }
  if (limit.rlim_cur == RLIM_INFINITY) return wanted;
  const size_t files = static_cast<size_t>(limit.rlim_cur);
  return std::min(wanted, files > 2 * kSpareFiles ? files - kSpareFiles : files / 2);
}

std::string address_text(const tcp::endpoint& endpoint) {
  auto address = endpoint.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return fmt::format("{}:{}", asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string(),
                       endpoint.port());
  }
  return fmt::format("{}:{}", address.to_string(), endpoint.port());
}

// As it stands in a URL: [::]:8000.
std::string bound_text(const tcp::endpoint& endpoint) {
  const bool v6 = endpoint.address().is_v6();
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", endpoint.address().to_string(), v6 ? "]" : "", endpoint.port());
}

std::string client_text(const Connection::Socket& socket) {
  error_code ec;
  const auto remote = socket.remote_endpoint(ec);
  if (ec || (remote.protocol().family() != AF_INET && remote.protocol().family() != AF_INET6)) return {};
  tcp::endpoint endpoint;
  if (remote.size() > endpoint.capacity()) return {};
  std::memcpy(endpoint.data(), remote.data(), remote.size());
  endpoint.resize(remote.size());
  return address_text(endpoint);
}

Error bind_error(const std::string& where, const error_code& ec) {
  if (ec == asio::error::address_in_use) {
    return error(ErrorCode::kUnavailable,
                 "{} is already in use: another server listens there. Stop it, or choose another --port.", where);
  }
  if (ec == asio::error::access_denied) {
    return error(ErrorCode::kPermissionDenied, "no permission to listen on {}: ports below 1024 need root.", where);
  }
  return invalid_argument("can't listen on {}: {}", where, ec.message());
}

}  // namespace

struct Listener::Impl : std::enable_shared_from_this<Impl> {
  Impl(std::shared_ptr<App> a, std::vector<std::shared_ptr<Loop>> l)
      : app(std::move(a)), loops(std::move(l)), limit(connection_limit(app->options.max_connections)) {}

  struct Door {
    Door(asio::io_context& context) : acceptor(context), retry(context) {}
    Acceptor acceptor;
    asio::steady_timer retry;
  };

  std::shared_ptr<App> app;
  std::vector<std::shared_ptr<Loop>> loops;
  std::vector<std::unique_ptr<Door>> doors;
  const size_t limit;
  uint16_t port = 0;
  std::string socket_path;  // to be unlinked
  size_t next_loop = 0;
  std::chrono::steady_clock::time_point warned{};

  Status open_tcp(const tcp::endpoint& endpoint);
  Status open_hosts();
  Status open_unix(const std::string& path);
  void accept(Door& door);
  void welcome(const std::shared_ptr<Loop>& loop, Connection::Socket socket);
  void accept_later(Door& door, std::string_view why);
};

Status Listener::Impl::open_tcp(const tcp::endpoint& endpoint) {
  auto door = std::make_unique<Door>(loops.front()->context);
  error_code ec;
  door->acceptor.open(endpoint.protocol(), ec);
  // SO_REUSEADDR only frees the port from connections of a former server; SO_REUSEPORT would hide a second server.
  if (!ec) door->acceptor.set_option(asio::socket_base::reuse_address(true), ec);
  if (!ec && endpoint.address().is_v6()) {
    door->acceptor.set_option(asio::ip::v6_only(!endpoint.address().is_unspecified()), ec);
  }
  if (!ec) door->acceptor.bind(endpoint, ec);
  if (!ec) door->acceptor.listen(kBacklog, ec);
  if (ec) return bind_error(bound_text(endpoint), ec);
  const auto local = door->acceptor.local_endpoint(ec);
  tcp::endpoint bound;
  std::memcpy(bound.data(), local.data(), std::min(local.size(), bound.capacity()));
  port = bound.port();
  doors.push_back(std::move(door));
  return {};
}

Status Listener::Impl::open_hosts() {
  std::vector<std::string> hosts = app->options.hosts;
  std::erase(hosts, "");
  port = app->options.port;
  if (hosts.empty()) {
    // IPv6 with IPv4 mapped into it; IPv4 alone where the kernel has no IPv6.
    Status both = open_tcp({asio::ip::address_v6::any(), port});
    if (both || both.error().code == ErrorCode::kUnavailable) return both;
    return open_tcp({asio::ip::address_v4::any(), port});
  }
  tcp::resolver resolver(loops.front()->context);
  for (const std::string& host : hosts) {
    error_code ec;
    const auto found = resolver.resolve(host, fmt::to_string(port), tcp::resolver::passive, ec);
    if (ec) return invalid_argument("--host {}: {}", host, ec.message());
    Status last;
    bool opened = false;
    for (const auto& entry : found) {
      Status status = open_tcp({entry.endpoint().address(), port});
      if (status)
        opened = true;
      else if (status.error().code == ErrorCode::kUnavailable)
        return status;
      else
        last = std::move(status);  // "localhost" may name ::1 on a machine without IPv6
    }
    if (!opened) return last;
  }
  return {};
}

Status Listener::Impl::open_unix(const std::string& path) {
  using Unix = asio::local::stream_protocol;
  sockaddr_un limits;
  if (path.size() >= sizeof limits.sun_path) return invalid_argument("--uds {}: the path is too long", path);
  const Unix::endpoint endpoint(path);
  error_code ec;
  Unix::socket probe(loops.front()->context);
  probe.connect(endpoint, ec);
  if (!ec) return bind_error(path, asio::error::address_in_use);
  if (ec == asio::error::connection_refused) ::unlink(path.c_str());  // left behind by a server that has gone
  auto door = std::make_unique<Door>(loops.front()->context);
  ec = {};
  door->acceptor.open(endpoint.protocol(), ec);
  if (!ec) door->acceptor.bind(endpoint, ec);
  if (!ec) door->acceptor.listen(kBacklog, ec);
  if (ec) return bind_error(path, ec);
  socket_path = path;
  doors.push_back(std::move(door));
  return {};
}

void Listener::Impl::accept_later(Door& door, std::string_view why) {
  const auto now = std::chrono::steady_clock::now();
  if (now - warned > std::chrono::seconds(10)) {
    warned = now;
    LOG_WARNING("not accepting connections for now: {} ({} open, limit {})", why, app->num_connections.load(), limit);
  }
  door.retry.expires_after(kRetry);
  door.retry.async_wait([self = shared_from_this(), &door](error_code ec) {
    if (!ec) self->accept(door);
  });
}

void Listener::Impl::welcome(const std::shared_ptr<Loop>& loop, Connection::Socket socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  // A client whose machine is gone sends no FIN: after about two minutes of silence its request is aborted.
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  const std::pair<int, int> probes[] = {{TCP_KEEPIDLE, 60}, {TCP_KEEPINTVL, 10}, {TCP_KEEPCNT, 6}};
  for (auto [name, value] : probes) setsockopt(socket.native_handle(), IPPROTO_TCP, name, &value, sizeof value);
  std::string client = client_text(socket);
  auto connection = std::make_shared<Connection>(loop, app, std::move(socket), std::move(client));
  asio::post(loop->context, [connection] { connection->start(); });
}

void Listener::Impl::accept(Door& door) {
  if (!door.acceptor.is_open()) return;
  // Further clients wait in the kernel's queue until a connection ends.
  if (app->num_connections.load() >= limit) return accept_later(door, "too many connections");
  const std::shared_ptr<Loop>& loop = loops[next_loop++ % loops.size()];
  door.acceptor.async_accept(
      loop->context, [self = shared_from_this(), &door, loop](error_code ec, Connection::Socket socket) {
        if (ec == asio::error::operation_aborted || !door.acceptor.is_open()) return;
        if (ec == asio::error::no_descriptors || ec == boost::system::errc::too_many_files_open_in_system ||
            ec == asio::error::no_buffer_space || ec == asio::error::no_memory) {
          return self->accept_later(door, ec.message());  // the client stays in the queue: accepting at once would spin
        }
        try {
          if (!ec) self->welcome(loop, std::move(socket));
          self->accept(door);
        } catch (const std::exception& e) {  // out of memory, say: this client is dropped, the door stays open
          self->accept_later(door, e.what());
        }
      });
}

Listener::Listener(std::shared_ptr<App> app, std::vector<std::shared_ptr<Loop>> loops)
    : impl_(std::make_shared<Impl>(std::move(app), std::move(loops))) {}

Listener::~Listener() { close(); }

Status Listener::open() {
  Status status = impl_->app->options.uds.empty() ? impl_->open_hosts() : impl_->open_unix(impl_->app->options.uds);
  if (!status) close();
  return status;
}

uint16_t Listener::port() const { return impl_->port; }

void Listener::start() {
  for (auto& door : impl_->doors) {
    asio::post(impl_->loops.front()->context, [impl = impl_, &door = *door] { impl->accept(door); });
  }
}

void Listener::close() {
  error_code ignored;
  for (auto& door : impl_->doors) {
    door->acceptor.close(ignored);
    door->retry.cancel();
  }
  if (!impl_->socket_path.empty()) ::unlink(impl_->socket_path.c_str());
  impl_->socket_path.clear();
}

}  // namespace vllm::server
