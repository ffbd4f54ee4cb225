#pragma once
// What this machine's CPU can do, and how much of it this process may use.
#include <string>

namespace vllm {

enum class CpuIsa { kReference, kAvx2, kAvx512 };  // kAvx512 = F, BW, VL, DQ, VNNI, VBMI and VBMI2 together

/// The best ISA that the CPU and operating system support; VLLM_CPU_ISA=reference|avx2|avx512 lowers it (tests).
CpuIsa cpu_isa();
bool cpu_has_avx512_bf16();

/// The tile unit of Xeons, beside the vectors of AVX-512. kNative: the CPU reports its int8 and bfloat16 products and
/// the kernel has let this process use it; VLLM_CPU_ISA=avx512 or lower keeps it out. kEmulated: VLLM_CPU_ISA=amx on a
/// machine without it; plain C++ with the same results stands in, slowly (tests).
enum class AmxUse { kNone, kNative, kEmulated };
AmxUse amx_use();

// The function for `isa`. Other processors have the generic one alone: there the files of these ISAs are not compiled.
#if defined(__x86_64__)
#define VLLM_BY_ISA(isa, avx512, avx2, generic) \
  ((isa) == CpuIsa::kAvx512 ? (avx512) : (isa) == CpuIsa::kAvx2 ? (avx2) : (generic))
#else
#define VLLM_BY_ISA(isa, avx512, avx2, generic) (static_cast<void>(isa), (generic))
#endif
std::string_view to_string(CpuIsa isa);
/// "AMD EPYC (avx2 avx512f ...)": for logs and measurements.
std::string cpu_description();

/// CPUs this process may run on: its affinity mask, cut by a cgroup (v1 or v2) CPU quota; at least 1.
int usable_cpus();
/// True if a cgroup CPU quota is set: spinning would then eat the quota.
bool has_cpu_quota();
/// Memory this process may still use, in bytes: MemAvailable cut by the cgroup's limit less its usage.
size_t available_memory_bytes();

}  // namespace vllm
