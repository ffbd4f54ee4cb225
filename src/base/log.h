#pragma once
// The log: vLLM's line format (`INFO 11-21 08:51:00 [file.cc:12] text`) on stderr, colour only on a terminal.
// Lines of one level and text that must appear once are the caller's business. Thread-safe; never throws.
#include <fmt/core.h>

#include <string>
#include <string_view>

#include "base/result.h"

namespace vllm {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  bool json = false;     // --log-format json: one object a line
  std::string log_file;  // --log-file: log there too; folders are made
  std::string prefix;    // VLLM_LOGGING_PREFIX
};

/// Set the sinks and the level; called once by main(). An unwritable log file is a warning, not an error.
void init_log(const LogOptions& options);
/// Close and open the log file again (SIGHUP, log rotation). One that stays unwritable is warned about once.
void reopen_log_file();
/// The same if the file was moved or removed since it was opened; one stat() otherwise. Call it every second or so.
void reopen_log_file_if_moved();
bool log_enabled(LogLevel level);
void log_line(LogLevel level, const char* file, int line, std::string_view text);
/// Write a line as it is, without level and time (access lines), also to the log file; an object like any other in a
/// JSON log.
void log_raw(std::string_view text);

}  // namespace vllm

#define VLLM_LOG(level, ...)                                                                               \
  do {                                                                                                     \
    if (::vllm::log_enabled(level)) ::vllm::log_line(level, __FILE__, __LINE__, fmt::format(__VA_ARGS__)); \
  } while (0)
#define LOG_DEBUG(...) VLLM_LOG(::vllm::LogLevel::kDebug, __VA_ARGS__)
#define LOG_INFO(...) VLLM_LOG(::vllm::LogLevel::kInfo, __VA_ARGS__)
#define LOG_WARNING(...) VLLM_LOG(::vllm::LogLevel::kWarning, __VA_ARGS__)
#define LOG_ERROR(...) VLLM_LOG(::vllm::LogLevel::kError, __VA_ARGS__)
