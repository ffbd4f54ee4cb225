#pragma once
// The ISAs that this machine can run, for tests that try each.
#include <vector>

#include "tensor/cpu_info.h"

namespace vllm {
inline std::vector<CpuIsa> runnable_isas() {
  std::vector<CpuIsa> isas;
  for (CpuIsa isa : kCpuIsas) {
    if (isa <= cpu_isa()) isas.push_back(isa);
  }
  return isas;
}
}  // namespace vllm
