#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <mutex>

namespace vllm {
namespace {

// vLLM writes WARNING and ERROR in full where spdlog says "warning"; %* below is this flag.
class LevelFlag : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& msg, const std::tm&, spdlog::memory_buf_t& dest) override {
    std::string_view name = msg.level == spdlog::level::debug  ? "DEBUG"
                            : msg.level == spdlog::level::info ? "INFO"
                            : msg.level == spdlog::level::warn ? "WARNING"
                                                               : "ERROR";
    dest.append(name.data(), name.data() + name.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<LevelFlag>(); }
};

// A JSON string's inside: %& below. spdlog has no escaping of its own.
class JsonTextFlag : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& msg, const std::tm&, spdlog::memory_buf_t& dest) override {
    for (unsigned char c : std::string_view(msg.payload.data(), msg.payload.size())) {
      if (c == '"' || c == '\\') {
        dest.push_back('\\');
        dest.push_back(static_cast<char>(c));
      } else if (c < 0x20) {
        fmt::format_to(std::back_inserter(dest), "\\u{:04x}", c);
      } else {
        dest.push_back(static_cast<char>(c));
      }
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<JsonTextFlag>(); }
};

struct LogState {
  std::mutex mutex;  // guards logger and options
  LogOptions options;
  std::shared_ptr<spdlog::logger> logger;
};

LogState& state() {
  static LogState* s = new LogState;  // never destroyed: threads may log until the very end
  return *s;
}

std::unique_ptr<spdlog::pattern_formatter> make_formatter(const LogOptions& options) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<LevelFlag>('*').add_flag<JsonTextFlag>('&');
  formatter->set_pattern(options.json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%*","file":"%s:%#","message":"%&"})"
                                      : options.prefix + "%^%* %m-%d %H:%M:%S [%s:%#]%$ %v");
  return formatter;
}

std::shared_ptr<spdlog::logger> make_logger(const LogOptions& options, std::string* warning) {
  std::vector<spdlog::sink_ptr> sinks{std::make_shared<spdlog::sinks::stderr_color_sink_mt>()};
  if (!options.log_file.empty()) {
    try {
      auto parent = std::filesystem::path(options.log_file).parent_path();
      std::error_code ignored;
      if (!parent.empty()) std::filesystem::create_directories(parent, ignored);
      sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.log_file));
    } catch (const spdlog::spdlog_ex& e) {
      *warning = fmt::format("--log-file {} is not writable, logging to stderr only: {}", options.log_file, e.what());
    }
  }
  auto logger = std::make_shared<spdlog::logger>("vllm", sinks.begin(), sinks.end());
  logger->set_formatter(make_formatter(options));
  logger->set_level(spdlog::level::debug);
  logger->flush_on(spdlog::level::info);
  return logger;
}

std::shared_ptr<spdlog::logger> current() {
  LogState& s = state();
  std::lock_guard lock(s.mutex);
  if (!s.logger) {
    std::string ignored;
    s.logger = make_logger(s.options, &ignored);
  }
  return s.logger;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void init_log(const LogOptions& options) {
  std::string warning;
  {
    LogState& s = state();
    std::lock_guard lock(s.mutex);
    s.options = options;
    s.logger = make_logger(options, &warning);
  }
  if (!warning.empty()) LOG_WARNING("{}", warning);
}

void reopen_log_file() {
  LogOptions options;
  {
    LogState& s = state();
    std::lock_guard lock(s.mutex);
    options = s.options;
  }
  init_log(options);
}

bool log_enabled(LogLevel level) {
  LogState& s = state();
  std::lock_guard lock(s.mutex);
  return level >= s.options.level;
}

void log_line(LogLevel level, const char* file, int line, std::string_view text) {
  const char* slash = __builtin_strrchr(file, '/');
  current()->log(spdlog::source_loc{slash ? slash + 1 : file, line, ""}, to_spdlog(level), fmt::string_view(text.data(), text.size()));
}

void log_raw(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fputc('\n', stderr);
}

}  // namespace vllm
