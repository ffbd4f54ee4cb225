// Which code the CPU op runs: asks the CPU, and checks AMX before it is trusted.
#include "kernels/linear/linear_amx_check.h"
#include "kernels/linear/linear_run.h"
#include "tensor/cpu_info.h"

namespace vllm::linear {

std::vector<const Kernels*> available_kernels() {
  std::vector<const Kernels*> out;
#if defined(__x86_64__)
  if (amx_use() == AmxUse::kNative && amx_can_be_trusted()) out.push_back(&amx_kernels());
  if (amx_use() == AmxUse::kEmulated && cpu_isa() == CpuIsa::kAvx512) out.push_back(&amx_emulated_avx512_kernels());
#endif
  if (amx_use() == AmxUse::kEmulated) out.push_back(&amx_emulated_kernels());
#if defined(__x86_64__)
  if (cpu_has_avx512_bf16()) out.push_back(&avx512_bf16_kernels());
  if (cpu_isa() >= CpuIsa::kAvx512) out.push_back(&avx512_kernels());
  if (cpu_isa() >= CpuIsa::kAvx2) out.push_back(&avx2_kernels());
#elif defined(__aarch64__)
  if (cpu_isa() >= CpuIsa::kNeonI8mm) out.push_back(&neon_i8mm_kernels());
  if (cpu_isa() >= CpuIsa::kNeonDotProd) out.push_back(&neon_dotprod_kernels());
  if (cpu_isa() >= CpuIsa::kNeon) out.push_back(&neon_kernels());
#endif
  out.push_back(&scalar_kernels());
  return out;
}

}  // namespace vllm::linear
