#include "serve/priority.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace vllm::serve {

api::ApiResult<int> priority_of(const HttpRequest& http, const api::GenerateRequest& request) {
  int64_t priority = request.priority;
  if (const std::string& text = http.header("x-vllm-priority"); !text.empty()) {
    const char* begin = text.data() + (text.front() == '+' && text.size() > 1 && text[1] != '-' ? 1 : 0);
    const char* const end = text.data() + text.size();
    const auto [stop, failed] = std::from_chars(begin, end, priority);
    if (failed != std::errc() || stop != end)
      return api::bad_request(fmt::format("The header X-Vllm-Priority must be an integer, not '{}'.", text));
  }
  return static_cast<int>(std::clamp<int64_t>(priority, INT32_MIN, INT32_MAX));
}

}  // namespace vllm::serve
