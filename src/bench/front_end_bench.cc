// The front end alone: the real server and service before an engine that computes nothing, asked by a process of its
// own.
//
//   front_end_bench [--sequences 64] [--tokens 256] [--step-us 2000] [--rounds 4] [--requests 20000]
//
// Prints server-sent events and short completions for each second of CPU time that the server's process takes, all of
// its threads together: what one core can do, whatever else the machine is busy with.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <map>
#include <new>
#include <thread>

#include "base/log.h"
#include "serve/testing/fakes.h"
#include "server/server.h"
#include "server/service_api.h"

// Allocations of the whole process.
static std::atomic<uint64_t> num_allocations{0};
void* operator new(size_t size) {
  num_allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace vllm {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  int sequences = 64, tokens = 256, step_us = 2000, rounds = 4, requests = 20000;
};

double seconds_of(const timespec& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9; }
double thread_cpu_s() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return seconds_of(t);
}
double process_cpu_s() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return seconds_of(t);
}

// One token for each open sequence in every step.
class StepEngine : public serve::testing::FakeEngine {
 public:
  explicit StepEngine(int step_us) : step_us_(step_us), thread_([this] { run(); }) {}
  ~StepEngine() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  Status submit(EngineRequest request) override {
    std::lock_guard lock(mutex_);
    open_.emplace(request.id, request.sampling.max_tokens);
    wake_.notify_all();
    return {};
  }
  void abort(RequestId id) override {
    std::lock_guard lock(mutex_);
    open_.erase(id);
  }
  std::atomic<double> cpu_s{0};  // of the engine's thread, which is no part of the front end

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      cpu_s = thread_cpu_s();
      wake_.wait(lock, [&] { return stopping_ || !open_.empty(); });
      std::vector<EngineOutput> outputs;
      for (auto it = open_.begin(); it != open_.end();) {
        EngineOutput& out = outputs.emplace_back();
        out.id = it->first;
        out.new_token_ids = {script[static_cast<size_t>(it->second) % script.size()]};
        if (--it->second == 0) out.finish_reason = FinishReason::kLength;
        it = it->second == 0 ? open_.erase(it) : std::next(it);
      }
      lock.unlock();
      if (!outputs.empty()) sink(std::move(outputs));
      std::this_thread::sleep_for(std::chrono::microseconds(step_us_));
      lock.lock();
    }
  }

  const int step_us_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<RequestId, int> open_;  // tokens left
  bool stopping_ = false;
  std::thread thread_;
};

std::string request(std::string_view body) {
  return fmt::format(
      "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
      body.size(), body);
}

int connect_to(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET, address.sin_port = htons(port), address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

size_t count(std::string_view text, std::string_view needle) {
  size_t n = 0;
  for (size_t at = text.find(needle); at != std::string_view::npos; at = text.find(needle, at + needle.size())) ++n;
  return n;
}

// The client process: `connections` at once, `total` requests; an answer is complete when `end` has come. Returns the
// number of `unit`s seen.
size_t ask(uint16_t port, int connections, int total, const std::string& text, std::string_view unit,
           std::string_view end) {
  struct Connection {
    int fd;
    std::string tail;  // what a needle may have begun in
  };
  std::vector<Connection> all;
  std::vector<pollfd> polls;
  int sent = 0, done = 0;
  size_t units = 0;
  for (int i = 0; i < connections; ++i, ++sent) {
    all.push_back({connect_to(port), {}});
    polls.push_back({all.back().fd, POLLIN, 0});
    CHECK(::send(all.back().fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  }
  std::vector<char> buffer(1 << 16);
  while (done < total) {
    CHECK(::poll(polls.data(), polls.size(), 30000) > 0);
    for (size_t i = 0; i < polls.size(); ++i) {
      if (!polls[i].revents) continue;
      const ssize_t got = ::recv(polls[i].fd, buffer.data(), buffer.size(), 0);
      CHECK(got > 0);
      std::string& tail = all[i].tail;
      const size_t before = count(tail, unit);
      tail.append(buffer.data(), static_cast<size_t>(got));
      units += count(tail, unit) - before;
      const bool ended = tail.find(end) != std::string::npos;
      tail = ended ? std::string() : tail.substr(tail.size() - std::min(tail.size(), end.size() + unit.size()));
      if (!ended) continue;
      ++done;
      if (sent < total) {
        CHECK(::send(polls[i].fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
        ++sent;
      }
    }
  }
  for (const Connection& c : all) ::close(c.fd);
  return units;
}

// The child was forked before the server's threads came; it is told the port through a pipe.
struct Child {
  int port_pipe[2], result_pipe[2];
  pid_t pid = 0;
};

template <typename Work>
Child start_child(Work work) {
  Child child;
  CHECK(::pipe(child.port_pipe) == 0 && ::pipe(child.result_pipe) == 0);
  child.pid = ::fork();
  if (child.pid == 0) {
    uint16_t port = 0;
    CHECK(::read(child.port_pipe[0], &port, sizeof port) == sizeof port);
    const size_t units = work(port);
    CHECK(::write(child.result_pipe[1], &units, sizeof units) == sizeof units);
    ::_exit(0);
  }
  return child;
}

void measure(const char* name, const char* unit, const Options& options, int step_us, Child child) {
  StepEngine engine(step_us);
  auto metrics = std::make_shared<serve::Metrics>(serve::Metrics::Options{.model_name = "m", .max_model_len = 8192});
  serve::ServiceConfig config;
  config.served_model_names = {"m"}, config.max_model_len = 8192, config.vocab_size = 49152;
  config.eos_token_ids = {2}, config.text_threads = 1;
  serve::Service service(config, std::make_shared<serve::testing::FakeTokenizer>(), nullptr, metrics);
  engine.sink = service.output_sink();
  service.set_engine(&engine);
  server::ServerOptions server_options;
  server_options.hosts = {"127.0.0.1"}, server_options.port = 0, server_options.io_threads = 1;
  server_options.disable_access_log = true;
  server::Server server(server_options);
  const Status started = server.start();
  CHECK(started);
  server.set_ready(server::make_api(service, *metrics, engine));
  const double cpu = process_cpu_s();
  const uint64_t allocations = num_allocations;
  const auto begin = Clock::now();
  const uint16_t port = server.port();
  CHECK(::write(child.port_pipe[1], &port, sizeof port) == sizeof port);
  size_t units = 0;
  CHECK(::read(child.result_pipe[0], &units, sizeof units) == sizeof units);
  const double wall = std::chrono::duration<double>(Clock::now() - begin).count(),
               used = process_cpu_s() - cpu - engine.cpu_s;
  std::printf("%-18s %9zu %-8s %6.2f s, %6.2f s of CPU: %8.0f a second of CPU, %8.0f a second, %.1f allocations each\n",
              name, units, unit, wall, used, static_cast<double>(units) / used, static_cast<double>(units) / wall,
              static_cast<double>(num_allocations - allocations) / static_cast<double>(units));
  ::waitpid(child.pid, nullptr, 0);
  server.stop();
}

}  // namespace
}  // namespace vllm

int main(int argc, char** argv) {
  using namespace vllm;
  Options o;
  const std::map<std::string_view, int*> flags = {{"--sequences", &o.sequences},
                                                  {"--tokens", &o.tokens},
                                                  {"--step-us", &o.step_us},
                                                  {"--rounds", &o.rounds},
                                                  {"--requests", &o.requests}};
  for (int i = 1; i + 1 < argc; i += 2) {
    auto flag = flags.find(argv[i]);
    if (flag == flags.end() || std::atoi(argv[i + 1]) < 1) {
      std::fprintf(stderr, "unknown flag or value: %s %s\n", argv[i], argv[i + 1]);
      return 2;
    }
    *flag->second = std::atoi(argv[i + 1]);
  }
  const std::string streamed =
      request(fmt::format(R"({{"model":"m","prompt":"The","max_tokens":{},"stream":true,"temperature":0}})", o.tokens));
  const std::string once = request(R"({"model":"m","prompt":"The","max_tokens":1,"temperature":0})");
  measure("streamed", "events", o, o.step_us, start_child([&](uint16_t port) {
            return ask(port, o.sequences, o.sequences * o.rounds, streamed, "data: {", "0\r\n\r\n");
          }));
  measure("short completions", "answers", o, 1, start_child([&](uint16_t port) {
            return ask(port, o.sequences, o.requests, once, "HTTP/1.1 200", "HTTP/1.1 200");
          }));
  return 0;
}
