#include "api/regex_check.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <fmt/core.h>

#include <array>

namespace vllm::api {

std::optional<std::string> regex_error(std::string_view pattern) {
  constexpr size_t kMaxBytes = 65536;
  if (pattern.size() > kMaxBytes) return "the pattern is too long";
  int code = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* compiled =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF, &code, &offset, nullptr);
  if (compiled) {
    pcre2_code_free(compiled);
    return std::nullopt;
  }
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return fmt::format("{} at offset {}", reinterpret_cast<const char*>(text.data()), offset);
}

}  // namespace vllm::api
