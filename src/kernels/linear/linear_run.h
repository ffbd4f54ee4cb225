#pragma once
// The op with its ISA as an argument: what linear_cpu calls with the best one, and tests and benchmarks with each.
#include <span>
#include <vector>

#include "kernels/linear/linear.h"
#include "kernels/linear/linear_layout.h"

namespace vllm::linear {

/// Where the panel of `row` begins, in a compact weight a row that begins two.
inline size_t panel_offset(const LinearWeight& w, int64_t row) {
  return w.compact ? static_cast<size_t>(row / kCompactRows) * compact_panels_bytes(w.k)
                   : static_cast<size_t>(row / kPanelRows) * panel_bytes(w.dtype, w.k);
}

/// What this machine can run (and VLLM_CPU_ISA lets it), the best first. AMX is in it if it passed its check.
std::vector<const Kernels*> available_kernels();
void run(const Kernels& kernels, std::span<const LinearParams> ps, std::span<std::byte> workspace, ThreadPool& pool);

}  // namespace vllm::linear
