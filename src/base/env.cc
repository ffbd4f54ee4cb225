#include "base/env.h"

#include <strings.h>

#include <cstdlib>

namespace vllm {

std::optional<std::string> env(const char* name) {
  const char* value = std::getenv(name);
  if (!value || !*value) return std::nullopt;
  return std::string(value);
}

bool env_flag(const char* name) {
  auto value = env(name);
  if (!value) return false;
  for (const char* yes : {"1", "true", "yes", "on"}) {
    if (strcasecmp(value->c_str(), yes) == 0) return true;
  }
  return false;
}

}  // namespace vllm
