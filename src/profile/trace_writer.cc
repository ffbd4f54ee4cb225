#include "profile/trace_writer.h"

#include <fmt/format.h>

namespace vllm::profile {

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += byte < 0x7f ? c : '?';  // names of symbols and threads: ASCII, unless something is broken
    }
  }
  return out += '"';
}

TraceWriter::TraceWriter(std::ostream& out, int64_t origin_ns) : out_(out), origin_ns_(origin_ns) {
  out_ << "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";
}

void TraceWriter::begin_event() {
  if (!first_) out_ << ",\n";
  first_ = false;
}

void TraceWriter::metadata(std::string_view what, int64_t pid, int64_t tid, std::string_view name) {
  begin_event();
  out_ << fmt::format(R"({{"ph":"M","name":"{}","pid":{},"tid":{},"args":{{"name":{}}}}})", what, pid, tid,
                      json_quoted(name));
}

void TraceWriter::name_process(int64_t pid, std::string_view name) { metadata("process_name", pid, 0, name); }
void TraceWriter::name_thread(int64_t pid, int64_t tid, std::string_view name) {
  metadata("thread_name", pid, tid, name);
}

void TraceWriter::add(const TraceSlice& slice, std::initializer_list<TraceArg> args) {
  begin_event();
  // Microseconds with the nanoseconds behind the point.
  out_ << fmt::format(R"({{"ph":"X","name":{},"cat":"{}","pid":{},"tid":{},"ts":{:.3f},"dur":{:.3f})",
                      json_quoted(slice.name), slice.category, slice.pid, slice.tid,
                      static_cast<double>(slice.begin_ns - origin_ns_) / 1000,
                      static_cast<double>(slice.end_ns - slice.begin_ns) / 1000);
  const char* separator = ",\"args\":{";
  for (const TraceArg& arg : args) {
    out_ << separator << json_quoted(arg.key) << ':';
    separator = ",";
    if (const auto* integer = std::get_if<int64_t>(&arg.value)) {
      out_ << *integer;
    } else if (const auto* number = std::get_if<double>(&arg.value)) {
      out_ << fmt::format("{:g}", *number);
    } else {
      out_ << json_quoted(std::get<std::string_view>(arg.value));
    }
  }
  out_ << (args.size() > 0 ? "}}" : "}");
}

void TraceWriter::finish(const json::object& other_data) {
  out_ << "\n],\"otherData\":" << json::serialize(other_data) << "}\n";
  out_.flush();
}

}  // namespace vllm::profile
