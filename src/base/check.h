#pragma once
// CHECK: a broken invariant of our own ends the process with its place and text. No request may be able to reach one.
namespace vllm {
[[noreturn]] void check_failed(const char* expression, const char* file, int line);
}
#define CHECK(condition)                                    \
  do {                                                      \
    if (!(condition)) [[unlikely]]                          \
      ::vllm::check_failed(#condition, __FILE__, __LINE__); \
  } while (0)
