#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <sys/stat.h>

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

// Which file a path names at the moment; {0, 0} for none.
using FileId = std::pair<dev_t, ino_t>;
FileId file_id(const std::string& path) {
  struct stat st;
  return stat(path.c_str(), &st) == 0 ? FileId(st.st_dev, st.st_ino) : FileId();
}

struct LogState {
  std::mutex mutex;  // guards everything below
  LogOptions options;
  std::shared_ptr<spdlog::logger> logger;
  std::shared_ptr<spdlog::logger> raw_file;  // lines without level and time; null without a file
  FileId opened_file;
};

LogState& state() {
  static LogState* s = new LogState;  // never destroyed: threads may log until the very end
  return *s;
}

// Text that means itself in a spdlog pattern.
std::string pattern_text(const std::string& text) {
  std::string out;
  for (char c : text) out += c == '%' ? "%%" : std::string(1, c);
  return out;
}

std::unique_ptr<spdlog::pattern_formatter> make_formatter(const LogOptions& options) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<LevelFlag>('*').add_flag<JsonTextFlag>('&');
  formatter->set_pattern(options.json
                             ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%*","file":"%s:%#","message":"%&"})"
                             : pattern_text(options.prefix) + "%^%* %m-%d %H:%M:%S [%s:%#]%$ %v");
  return formatter;
}

std::shared_ptr<spdlog::logger> make_logger(std::vector<spdlog::sink_ptr> sinks,
                                            std::unique_ptr<spdlog::formatter> formatter) {
  auto logger = std::make_shared<spdlog::logger>("vllm", sinks.begin(), sinks.end());
  logger->set_formatter(std::move(formatter));
  logger->set_level(spdlog::level::debug);
  logger->flush_on(spdlog::level::info);
  return logger;
}

// Open the sinks that s.options asks for; returns why the log file cannot be written, or nothing. Call with s.mutex
// held.
std::string open_sinks(LogState& s) {
  std::string failure;
  std::vector<spdlog::sink_ptr> sinks{std::make_shared<spdlog::sinks::stderr_color_sink_mt>()};
  s.raw_file.reset();
  s.opened_file = {};
  if (const std::string& path = s.options.log_file; !path.empty()) {
    try {
      auto parent = std::filesystem::path(path).parent_path();
      std::error_code ignored;
      if (!parent.empty()) std::filesystem::create_directories(parent, ignored);
      sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(path));
      s.raw_file = make_logger({std::make_shared<spdlog::sinks::basic_file_sink_mt>(path)},
                               std::make_unique<spdlog::pattern_formatter>("%v"));
      s.opened_file = file_id(path);
    } catch (const spdlog::spdlog_ex& e) {
      failure = e.what();
    }
  }
  s.logger = make_logger(std::move(sinks), make_formatter(s.options));
  return failure;
}

std::shared_ptr<spdlog::logger> current() {
  LogState& s = state();
  std::lock_guard lock(s.mutex);
  if (!s.logger) open_sinks(s);
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
  std::string failure;
  {
    LogState& s = state();
    std::lock_guard lock(s.mutex);
    s.options = options;
    failure = open_sinks(s);
  }
  if (!failure.empty())
    LOG_WARNING("--log-file {} is not writable, logging to stderr only: {}", options.log_file, failure);
}

void reopen_log_file() {
  std::string failure, path;
  bool was_open = false;
  {
    LogState& s = state();
    std::lock_guard lock(s.mutex);
    was_open = s.raw_file != nullptr;
    path = s.options.log_file;
    failure = open_sinks(s);
  }
  if (!failure.empty() && was_open)
    LOG_WARNING("--log-file {} is not writable any more, logging to stderr only: {}", path, failure);
}

void reopen_log_file_if_moved() {
  {
    LogState& s = state();
    std::lock_guard lock(s.mutex);
    if (!s.raw_file || file_id(s.options.log_file) == s.opened_file) return;
  }
  reopen_log_file();
}

bool log_enabled(LogLevel level) {
  LogState& s = state();
  std::lock_guard lock(s.mutex);
  return level >= s.options.level;
}

void log_line(LogLevel level, const char* file, int line, std::string_view text) {
  const char* slash = __builtin_strrchr(file, '/');
  current()->log(spdlog::source_loc{slash ? slash + 1 : file, line, ""}, to_spdlog(level),
                 fmt::string_view(text.data(), text.size()));
}

void log_raw(std::string_view text) {
  std::shared_ptr<spdlog::logger> structured, file;
  {
    LogState& s = state();
    std::lock_guard lock(s.mutex);
    file = s.raw_file;
    if (s.options.json) structured = s.logger;
  }
  fmt::string_view line(text.data(), text.size());
  if (structured) {
    structured->log(spdlog::level::info, line);
    return;
  }
  std::string whole(text);
  whole += '\n';
  std::fwrite(whole.data(), 1, whole.size(), stderr);
  if (file) file->log(spdlog::level::info, line);
}

}  // namespace vllm
