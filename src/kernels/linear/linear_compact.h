#pragma once
// bfloat16 weights in 12 bits, without loss: see linear_layout.h.
#include <atomic>

#include "kernels/linear/linear_run.h"

namespace vllm::linear {

/// compact = false where the form does not apply: another type, k not in whole blocks, or so many blocks of more
/// exponents than a table holds that little would be gained.
LinearPacking compact_packing(const LinearWeight& weight, ThreadPool& pool);
/// Rows [first, first + 32) of an unpacked weight as two compact panels; blocks that do not fit go to number next_raw++
/// of those at `raw`.
void pack_compact_panels(const LinearWeight& weight, int64_t first, std::byte* panels, std::byte* raw,
                         std::atomic<int64_t>& next_raw);

}  // namespace vllm::linear
