// vllm bench startup
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "bench/bench_command.h"
#include "bench/child_server.h"
#include "bench/engine_runner.h"
#include "bench/flags.h"
#include "bench/statistics.h"
#include "cli/parser.h"
#include "hub/hub.h"

namespace vllm::bench {
namespace {

namespace fs = std::filesystem;
constexpr double kPercents[] = {10, 25, 50, 75, 90, 99};

// What the server is started with: the command line without our own flags.
Result<std::vector<std::string>> server_flags(const std::vector<std::string>& argv) {
  ASSIGN_OR_RETURN(cli::ParsedArgs parsed, cli::parse_args(argv, startup_page().flags));
  auto is_own = [](const cli::Flag* flag) {
    return std::any_of(startup_flags().begin(), startup_flags().end(),
                       [flag](const cli::Flag& own) { return own.name == flag->name; });
  };
  std::vector<std::string> out = parsed.positionals;
  for (const cli::Assignment& assignment : parsed.assignments) {
    if (is_own(assignment.flag)) continue;
    std::string name = "--" + std::string(assignment.flag->name);
    if (assignment.values.size() == 1) {
      out.push_back(name + "=" + assignment.values[0]);
    } else {
      out.push_back(name);
      out.insert(out.end(), assignment.values.begin(), assignment.values.end());
    }
  }
  return out;
}

// Drop the model's files from the page cache. Needs no privilege, and is a hint: pages that others map stay.
void forget_files(const fs::path& path) {
  std::error_code ignored;
  std::vector<fs::path> files;
  if (fs::is_directory(path, ignored)) {
    for (const auto& entry : fs::directory_iterator(path, ignored)) files.push_back(entry.path());
  } else {
    files.push_back(path);
  }
  for (const fs::path& file : files) {
    int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
  }
}

struct Series {
  std::vector<double> healthy, first_token;
};

void report(const char* title, const Series& series) {
  std::printf("\n%s:\n", title);
  auto show = [](const char* name, const std::vector<double>& values) {
    std::printf("%-24s median %.3f s, all:", name, percentile(values, 50));
    for (double value : values) std::printf(" %.3f", value);
    std::printf("\n");
  };
  show("exec to /health", series.healthy);
  show("exec to first token", series.first_token);
}

void add_keys(json::object& out, const std::string& name, const std::vector<double>& values) {
  if (values.empty()) return;
  json::object shares;
  const std::vector<double> at = percentiles(values, kPercents);
  for (size_t i = 0; i < at.size(); ++i) shares[std::to_string(static_cast<int>(kPercents[i]))] = at[i];
  out["avg_" + name + "_time"] = mean(values);
  out["median_" + name + "_time"] = percentile(values, 50);
  out[name + "_times"] = json::array(values.begin(), values.end());
  out[name + "_percentiles"] = std::move(shares);
}

Status run(const StartupArgs& args, const std::vector<std::string>& flags) {
  auto start = [&](Series* series) -> Status {
    ASSIGN_OR_RETURN(StartTimes times, ChildServer::measure(flags, static_cast<double>(args.start_timeout_s)));
    if (!series) return {};
    series->healthy.push_back(times.healthy_s);
    series->first_token.push_back(times.first_token_s);
    return {};
  };
  Series cold, warm;
  if (args.num_iters_cold > 0) {
    ASSIGN_OR_RETURN(fs::path path, find_model(args.model, hub_options_from_env()));
    std::printf("Measuring cold startup time...\n");
    for (int64_t i = 0; i < args.num_iters_cold; ++i) {
      forget_files(path);
      RETURN_IF_ERROR(start(&cold));
    }
  }
  if (args.num_iters_warm > 0) {
    std::printf("Warming up for warm startup measurement...\n");
    for (int64_t i = 0; i < args.num_iters_warmup; ++i) RETURN_IF_ERROR(start(nullptr));
    std::printf("Measuring warm startup time...\n");
    for (int64_t i = 0; i < args.num_iters_warm; ++i) RETURN_IF_ERROR(start(&warm));
  }
  std::printf("\n%s\nSTARTUP TIME BENCHMARK RESULTS\n%s\n", std::string(60, '=').c_str(), std::string(60, '=').c_str());
  if (!cold.healthy.empty()) report("COLD STARTUP (files dropped from the page cache)", cold);
  if (!warm.healthy.empty()) report("WARM STARTUP", warm);
  std::printf("%s\n", std::string(60, '=').c_str());
  json::object out{{"model_id", args.model}};
  add_keys(out, "cold_startup", cold.healthy);
  add_keys(out, "cold_first_token", cold.first_token);
  add_keys(out, "warm_startup", warm.healthy);
  add_keys(out, "warm_first_token", warm.first_token);
  return write_json(args.output_json, out);
}

}  // namespace

int startup_bench(const std::vector<std::string>& argv) {
  StartupArgs args;
  if (auto status = read_flags(startup_page(), argv, args)) return *status;
  auto flags = server_flags(argv);
  if (!flags) return failed(flags.error());
  Status status = run(args, *flags);
  return status ? 0 : failed(status.error());
}

}  // namespace vllm::bench
