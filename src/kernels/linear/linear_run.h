#pragma once
// The op with its ISA as an argument: what linear_cpu calls with the best one, and tests and benchmarks with each.
#include <span>

#include "kernels/linear/linear.h"
#include "kernels/linear/linear_layout.h"
#include "tensor/cpu_info.h"

namespace vllm::linear {

/// The machine must have the ISA.
const Kernels& kernels_for(CpuIsa isa);
void run(const Kernels& kernels, std::span<const LinearParams> ps, std::span<std::byte> workspace, ThreadPool& pool);

}  // namespace vllm::linear
