#pragma once
// Server-sent events, incrementally: bytes in as they come, one call per event. Nothing is copied while an event lies
// in one piece.
#include <cstring>
#include <string>
#include <string_view>

namespace vllm::bench {

class SseParser {
 public:
  static constexpr size_t kMaxBytes = size_t{64} << 20;  // of one event

  /// Calls `on_data(std::string_view)` with the data of every event that ends in these bytes; lines end with \n or
  /// \r\n, several data lines are joined by \n, comments and other fields are skipped. The view lives as long as the
  /// call. False once an event is larger than kMaxBytes: the stream cannot go on.
  template <typename F>
  bool feed(std::string_view bytes, F&& on_data) {
    while (const char* end = find_newline(bytes)) {
      std::string_view line = bytes.substr(0, static_cast<size_t>(end - bytes.data()));
      bytes.remove_prefix(line.size() + 1);
      if (!line_.empty()) {
        line_ += line;
        take_line(line_, on_data);
        keep();  // the view must not point into line_
        line_.clear();
      } else {
        take_line(line, on_data);
      }
    }
    line_ += bytes;
    keep();
    return line_.size() + kept_.size() <= kMaxBytes;
  }

 private:
  static const char* find_newline(std::string_view bytes) {
    return bytes.empty() ? nullptr : static_cast<const char*>(std::memchr(bytes.data(), '\n', bytes.size()));
  }

  template <typename F>
  void take_line(std::string_view line, F& on_data) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) {
      if (has_data_) on_data(is_kept_ ? std::string_view(kept_) : data_);
      has_data_ = is_kept_ = false;
      kept_.clear();
    } else if (line.starts_with("data:")) {
      line.remove_prefix(line.size() > 5 && line[5] == ' ' ? 6 : 5);
      if (has_data_) {
        keep();
        kept_.append("\n").append(line);
      } else {
        data_ = line;
        has_data_ = true;
      }
    }
  }

  // Copy the data of an event that has not ended, before its bytes go away.
  void keep() {
    if (!has_data_ || is_kept_) return;
    kept_.assign(data_);
    is_kept_ = true;
  }

  std::string line_;  // begun, not ended
  bool has_data_ = false, is_kept_ = false;
  std::string_view data_;  // of the current event, if not is_kept_
  std::string kept_;
};

}  // namespace vllm::bench
