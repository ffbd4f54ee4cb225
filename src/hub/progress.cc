#include "hub/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/env.h"
#include "base/log.h"

namespace vllm {

std::string human_bytes(uint64_t bytes) {
  double value = static_cast<double>(bytes);
  if (bytes >= 1'000'000'000) return fmt::format("{:.2f} GB", value / 1e9);
  if (bytes >= 1'000'000) return fmt::format("{:.1f} MB", value / 1e6);
  if (bytes >= 1'000) return fmt::format("{:.1f} kB", value / 1e3);
  return fmt::format("{} B", bytes);
}

std::string progress_line(std::string_view name, uint64_t done, uint64_t total, double bytes_per_second) {
  constexpr int kBar = 20;
  double share = total ? std::min(1.0, static_cast<double>(done) / static_cast<double>(total)) : 0.0;
  std::string line =
      fmt::format("downloading {} {:3.0f}% [{:{}}] {} of {}", name, std::floor(share * 100),
                  std::string(static_cast<size_t>(share * kBar), '#'), kBar, human_bytes(done), human_bytes(total));
  if (bytes_per_second < 1) return line;
  line += fmt::format("  {}/s", human_bytes(static_cast<uint64_t>(bytes_per_second)));
  double left = total > done ? static_cast<double>(total - done) / bytes_per_second : 0;
  if (left > 0 && left < 360'000)
    line += fmt::format("  {}:{:02} left", static_cast<int>(left) / 60, static_cast<int>(left) % 60);
  return line;
}

DownloadProgress::DownloadProgress(std::string name, Callback callback)
    : name_(std::move(name)),
      callback_(std::move(callback)),
      terminal_(::isatty(STDERR_FILENO) == 1 && !env_flag("HF_HUB_DISABLE_PROGRESS_BARS")),
      next_(start_),
      next_log_(start_ + std::chrono::seconds(10)) {}

void DownloadProgress::add_done(int64_t bytes) {
  done_ += bytes;
  std::unique_lock lock(mutex_, std::try_to_lock);
  auto now = Clock::now();
  if (lock && now >= next_) show(now, false);
}

void DownloadProgress::add_present(uint64_t bytes) {
  present_ += static_cast<int64_t>(bytes);
  done_ += static_cast<int64_t>(bytes);
}

void DownloadProgress::finish() {
  std::unique_lock lock(mutex_);
  show(Clock::now(), true);
  if (terminal_) std::fputc('\n', stderr);
}

void DownloadProgress::show(Clock::time_point now, bool last) {
  next_ = now + std::chrono::milliseconds(200);
  uint64_t total = total_, done = static_cast<uint64_t>(std::max<int64_t>(0, done_));
  if (callback_)
    callback_("downloading", total ? std::min(1.0, static_cast<double>(done) / static_cast<double>(total)) : 0.0);
  double seconds = std::max(0.001, std::chrono::duration<double>(now - start_).count());
  std::string line = progress_line(name_, done, total, static_cast<double>(done_ - present_) / seconds);
  if (terminal_) {
    std::fprintf(stderr, "\r%s\x1b[K", line.c_str());
    std::fflush(stderr);
  } else if (last || now >= next_log_) {
    next_log_ = now + std::chrono::seconds(30);
    LOG_INFO("{}", line);
  }
}

}  // namespace vllm
