#include "cli/serve_command.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <future>
#include <optional>
#include <thread>

#include "base/env.h"
#include "base/log.h"
#include "base/version.h"
#include "cli/help.h"
#include "cli/profile_endpoints.h"
#include "cli/serve_args.h"
#include "cli/server_options.h"
#include "cli/signals.h"
#include "cli/startup.h"
#include "cli/stats_log.h"
#include "engine/exec/cuda_executor.h"
#include "server/server.h"
#include "server/service_api.h"
#include "tensor/cpu_info.h"

namespace vllm::cli {
namespace {

using Ms = std::chrono::milliseconds;

void set_up_log(const ServeArgs& args) {
  LogLevel level = args.log_level == "debug"     ? LogLevel::kDebug
                   : args.log_level == "warning" ? LogLevel::kWarning
                   : args.log_level == "error"   ? LogLevel::kError
                                                 : LogLevel::kInfo;
  init_log({.level = level,
            .json = args.log_format == "json",
            .log_file = args.log_file,
            .prefix = env("VLLM_LOGGING_PREFIX").value_or("")});
}

void log_settings(const ServeCommandLine& line) {
  LOG_INFO("vLLM API server version {} (vllm.cpp, {}), {}", kVersion,
           engine::built_with_cuda() ? "CUDA and CPU engines" : "CPU engine", cpu_description());
  for (const std::string& text : describe_settings(line.args)) LOG_INFO("{}", text);
  if (!line.args.settings.count("model")) LOG_INFO("No model was named: serving the default, {}", line.args.model);
  if (line.args.trust_remote_code) LOG_INFO("--trust-remote-code: nothing of the checkpoint's Python is ever run");
  for (const std::string& warning : line.warnings) LOG_WARNING("{}", warning);
}

// The model starts on its own thread, so that a signal ends the process at once, whatever phase it is in.
Result<RunningModel> start_watched(const ServeArgs& args, server::Server& server, int& signal) {
  std::atomic<bool> cancelled{false};
  auto phase = [&server](std::string text) { server.set_phase(std::move(text)); };
  auto future = std::async(std::launch::async, [&] { return start_model(args, phase, cancelled); });
  while (future.wait_for(Ms(0)) != std::future_status::ready) {
    signal = wait_signal(50);
    signal == SIGHUP ? reopen_log_file() : reopen_log_file_if_moved();
    if (signal == SIGTERM || signal == SIGINT) {
      LOG_INFO("Stopped by signal {} while starting", signal);
      cancelled = true;
      std::fflush(nullptr);
      _exit(128 + signal);  // a load in the middle has nothing to save
    }
  }
  return future.get();
}

// Until a signal or the engine's death; returns the signal, or 0.
int serve_until_stopped(const ServeArgs& args, RunningModel& model, server::Server& server) {
  StatsLog stats(*model.engine);
  bool keep_alive = env_flag("VLLM_KEEP_ALIVE_ON_ENGINE_DEATH"), reported = false;
  while (true) {
    int signal = wait_signal(1000);
    if (signal == SIGTERM || signal == SIGINT) return signal;
    signal == SIGHUP ? reopen_log_file() : reopen_log_file_if_moved();
    if (!model.engine->healthy() && !reported) {
      reported = true;
      LOG_ERROR("Engine died: {}", model.engine->death_reason());
      server.set_unhealthy(model.engine->death_reason());
      if (!keep_alive) return 0;
    }
    if (!args.disable_log_stats) stats.tick();
  }
}

void shut_down(const ServeArgs& args, RunningModel& model, server::Server& server, bool dead) {
  double seconds = dead ? 2 : args.shutdown_timeout_s;
  LOG_INFO("Shutting down{}", seconds > 0 ? fmt::format(": open requests have {} s", seconds) : "");
  model.service->drain();
  server.drain(Ms(static_cast<int64_t>(seconds * 1000)));
  model.engine->shutdown(0);  // aborts what is left: clients get finish_reason "abort"
  server.drain(Ms(500));      // and these last bytes reach them
  server.stop();
}

}  // namespace

int serve_command(const std::vector<std::string>& argv) {
  if (argv.size() == 1 && argv[0] == "--version") {  // docker run IMAGE --version
    std::puts(kVersion);
    return 0;
  }
  auto line = read_serve_command_line(argv);
  if (!line) {
    std::fprintf(stderr, "vllm serve: error: %s\n", line.error().message.c_str());
    return 2;
  }
  if (!line->help_topic.empty()) {
    bool known = is_help_topic(line->help_topic);
    std::fputs(serve_help(line->help_topic).c_str(), known ? stdout : stderr);
    return known ? 0 : 2;
  }
  const ServeArgs& args = line->args;
  set_up_log(args);
  log_settings(*line);

  auto started = std::chrono::steady_clock::now();
  const server::ServerOptions options = server_options(args);
  server::Server server(options);
  if (Status status = server.start(); !status) {
    LOG_ERROR("{}", status.error().message);
    return 1;
  }
  LOG_INFO("Starting vLLM server on {}", listening_on(options, server.port()));
  if (!options.tls && (options.tls_refresh || !args.ssl_ciphers.empty()))
    LOG_WARNING(
        "Without --ssl-certfile the server speaks plain HTTP; --ssl-ciphers and --enable-ssl-refresh do nothing");
  int signal = 0;
  auto model = start_watched(args, server, signal);
  if (!model) {
    LOG_ERROR("{}", model.error().message);
    server.stop();
    return 1;
  }
  server::Api api = server::make_api(*model->service, *model->metrics, *model->engine);
  std::optional<ProfileEndpoints> profiling;  // server.stop() comes before it goes
  if (model->profiler) {
    LOG_WARNING("The profiler is on: /start_profile and /stop_profile are for development, not for the public");
    profiling.emplace(*model->profiler).add_to(api);
  }
  server.set_ready(std::move(api));
  server.log_routes();
  LOG_INFO("Started server process [{}] in {} ms", getpid(),
           std::chrono::duration_cast<Ms>(std::chrono::steady_clock::now() - started).count());
  LOG_INFO("Application startup complete.");

  signal = serve_until_stopped(args, *model, server);
  bool dead = !model->engine->healthy();
  shut_down(args, *model, server, dead);
  LOG_INFO("Application shutdown complete.");
  if (dead) {
    std::fflush(nullptr);
    _exit(1);  // what broke may also hang: nothing of the engine is taken apart
  }
  return 0;
}

}  // namespace vllm::cli
