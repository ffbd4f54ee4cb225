#pragma once
// Chrome trace events (the JSON that ui.perfetto.dev and chrome://tracing open), one event a line.
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <string>
#include <string_view>
#include <variant>

#include "base/json.h"

namespace vllm::profile {

struct TraceArg {
  std::string_view key;
  std::variant<int64_t, double, std::string_view> value;
};

/// Something with a begin and an end on a track: `tid` of `pid`.
struct TraceSlice {
  std::string_view name, category;
  int64_t pid = 0, tid = 0;
  int64_t begin_ns = 0, end_ns = 0;
};

class TraceWriter {
 public:
  /// Times are written relative to `origin_ns`.
  TraceWriter(std::ostream& out, int64_t origin_ns);
  void name_process(int64_t pid, std::string_view name);
  void name_thread(int64_t pid, int64_t tid, std::string_view name);
  void add(const TraceSlice& slice, std::initializer_list<TraceArg> args = {});
  /// Close the file: nothing may follow. `other_data` is kept in it for scripts.
  void finish(const json::object& other_data);

 private:
  void metadata(std::string_view what, int64_t pid, int64_t tid, std::string_view name);
  void begin_event();

  std::ostream& out_;
  const int64_t origin_ns_;
  bool first_ = true;
};

/// `text` as a JSON string, quotes included; bytes that are no UTF-8 become '?'.
std::string json_quoted(std::string_view text);

}  // namespace vllm::profile
