#pragma once
// How far a download is: one line that is redrawn on a terminal, now and then a log line elsewhere.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace vllm {

class DownloadProgress {
 public:
  using Clock = std::chrono::steady_clock;
  using Callback = std::function<void(std::string_view phase, double share)>;

  DownloadProgress(std::string name, Callback callback);
  /// All of these from any thread.
  void add_total(uint64_t bytes) { total_ += bytes; }
  void add_done(int64_t bytes);  // negative when bytes had to be thrown away
  /// Bytes that an earlier process fetched: they count, but not for the speed.
  void add_present(uint64_t bytes);
  /// Draw the last state.
  void finish();

 private:
  void show(Clock::time_point now, bool last);

  const std::string name_;
  const Callback callback_;
  const bool terminal_;
  const Clock::time_point start_ = Clock::now();
  std::atomic<uint64_t> total_{0};
  std::atomic<int64_t> done_{0}, present_{0};
  std::mutex mutex_;  // guards next_ and next_log_, and is held while showing
  Clock::time_point next_, next_log_;
};

/// "downloading Qwen/Qwen3-0.6B  43% [########            ] 0.65/1.50 GB  12.3 MB/s  0:45 left"
std::string progress_line(std::string_view name, uint64_t done, uint64_t total, double bytes_per_second);
/// "1.50 GB", "12.3 MB", "900 B": decimal units, as disks and networks are sold.
std::string human_bytes(uint64_t bytes);

}  // namespace vllm
