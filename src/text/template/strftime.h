#pragma once
// strftime_now(format)
#include <string>
#include <string_view>

namespace vllm::text::tmpl {
/// datetime.fromtimestamp(now_s).strftime(format) in the zone of TZ; names are English, as in the C locale.
std::string format_time(std::string_view format, double now_s);
}  // namespace vllm::text::tmpl
