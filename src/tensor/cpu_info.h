#pragma once
// What this machine's CPU can do, and how much of it this process may use.
#include <string>

namespace vllm {

enum class CpuIsa {
  kReference,
  kAvx2,
  kAvx512,       // F, BW, VL, DQ, VNNI, VBMI and VBMI2 together
  kNeon,         // what every 64-bit ARM has
  kNeonDotProd,  // dot products of bytes (most since Armv8.2)
  kNeonI8mm,     // and products of small matrices of bytes, and of bfloat16 (Armv8.6)
};

/// Those of this architecture, from the lowest on: each can run what the ones before it can.
#if defined(__x86_64__)
inline constexpr CpuIsa kCpuIsas[] = {CpuIsa::kReference, CpuIsa::kAvx2, CpuIsa::kAvx512};
#elif defined(__aarch64__)
inline constexpr CpuIsa kCpuIsas[] = {CpuIsa::kReference, CpuIsa::kNeon, CpuIsa::kNeonDotProd, CpuIsa::kNeonI8mm};
#else
inline constexpr CpuIsa kCpuIsas[] = {CpuIsa::kReference};
#endif

/// The best ISA that the CPU and operating system support;
/// VLLM_CPU_ISA=reference|avx2|avx512|neon|neon_dotprod|neon_i8mm lowers it (tests).
CpuIsa cpu_isa();
bool cpu_has_avx512_bf16();

/// The tile unit of Xeons, beside the vectors of AVX-512. kNative: the CPU reports its int8 and bfloat16 products and
/// the kernel has let this process use it; VLLM_CPU_ISA=avx512 or lower keeps it out. kEmulated: VLLM_CPU_ISA=amx on a
/// machine without it; plain C++ with the same results stands in, slowly (tests).
enum class AmxUse { kNone, kNative, kEmulated };
AmxUse amx_use();

// The one of name_avx512, name_avx2, name_neon and name_generic for `isa`; the files of another architecture are not
// compiled. Vectors of floats are the same for all of NEON.
#if defined(__x86_64__)
#define VLLM_BY_ISA(isa, name) \
  ((isa) == CpuIsa::kAvx512 ? name##_avx512 : (isa) == CpuIsa::kAvx2 ? name##_avx2 : name##_generic)
#elif defined(__aarch64__)
#define VLLM_BY_ISA(isa, name) ((isa) != CpuIsa::kReference ? name##_neon : name##_generic)
#else
#define VLLM_BY_ISA(isa, name) (static_cast<void>(isa), name##_generic)
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
