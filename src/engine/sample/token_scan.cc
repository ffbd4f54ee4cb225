#include "engine/sample/token_scan.h"

#include <limits>

#include "engine/sample/philox.h"
#include "tensor/cpu_info.h"

namespace vllm::engine {
namespace {

float largest(const float* logits, int64_t n) {
  float top = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < n; ++i) top = logits[i] > top ? logits[i] : top;
  return top;
}

int32_t contenders(const TokenScan& s, int32_t* ids) {
  int32_t num_ids = 0;
  for (int32_t id = s.first; id < s.first + s.count; ++id) {
    if (s.logits[id] * s.inverse_temperature + kMaxGumbel >= s.best_score) ids[num_ids++] = id;
  }
  return num_ids;
}

}  // namespace

const TokenScanKernels& token_scan_generic() {
  static constexpr TokenScanKernels kKernels = {largest, contenders};
  return kKernels;
}

const TokenScanKernels& token_scan() { return VLLM_BY_ISA(cpu_isa(), token_scan)(); }

}  // namespace vllm::engine
