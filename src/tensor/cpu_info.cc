#include "tensor/cpu_info.h"

#include <sched.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <sstream>

#include "base/env.h"

namespace vllm {
namespace {

CpuIsa detect() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
              __builtin_cpu_supports("bmi2");
  bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi") &&
                __builtin_cpu_supports("avx512vbmi2");
  CpuIsa best = avx512 ? CpuIsa::kAvx512 : avx2 ? CpuIsa::kAvx2 : CpuIsa::kReference;
#elif defined(__aarch64__)
  const unsigned long has = getauxval(AT_HWCAP), has2 = getauxval(AT_HWCAP2);
  bool dotprod = has & HWCAP_ASIMDDP, i8mm = dotprod && (has2 & HWCAP2_I8MM) && (has2 & HWCAP2_BF16);
  CpuIsa best = i8mm                ? CpuIsa::kNeonI8mm
                : dotprod           ? CpuIsa::kNeonDotProd
                : has & HWCAP_ASIMD ? CpuIsa::kNeon
                                    : CpuIsa::kReference;
#else
  CpuIsa best = CpuIsa::kReference;
#endif
  if (auto wanted = env("VLLM_CPU_ISA")) {
    for (CpuIsa isa : kCpuIsas) {
      if (*wanted == to_string(isa)) return std::min(isa, best);
    }
  }
  return best;
}

// CPUID says what the CPU has, XCR0 what the kernel saves at a switch; then this process has to ask for it. Not asked:
// leaves 0x1D and 0x1E with the sizes of tiles, which some hypervisors leave empty; there is one palette.
bool get_amx() {
#if defined(__x86_64__)
  constexpr unsigned kBFloat16 = 1u << 22, kTile = 1u << 24, kInt8 = 1u << 25, kOsxsave = 1u << 27;
  constexpr unsigned kTileState = 3u << 17;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM of asm/prctl.h
  unsigned a = 0, b = 0, c = 0, d = 0, xcr0 = 0, high = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & kOsxsave) == 0) return false;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  if ((~d & (kBFloat16 | kTile | kInt8)) != 0) return false;
  asm volatile("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
  return (~xcr0 & kTileState) == 0 && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// The folder of this process in a cgroup hierarchy: "" for v2's unified entry, or the named v1 controller. Inside a
// container the path is usually "/", where the limits are.
std::string cgroup_path(const std::string& controller) {
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    size_t a = line.find(':'), b = line.find(':', a + 1);
    if (a == std::string::npos || b == std::string::npos) continue;
    std::string names = "," + line.substr(a + 1, b - a - 1) + ",";
    if (controller.empty() ? names == ",," : names.find("," + controller + ",") != std::string::npos)
      return line.substr(b + 1);
  }
  return "/";
}

// The smallest limit on the way from the process's folder up to the root of the hierarchy.
template <typename Read>
void walk_up(const std::string& root, std::string path, Read read) {
  while (true) {
    read(root + path);
    if (path.empty() || path == "/") break;
    path = path.substr(0, path.rfind('/'));
  }
  read(root);
}

double cpu_quota() {
  double quota = INFINITY;
  walk_up("/sys/fs/cgroup", cgroup_path(""), [&](const std::string& dir) {
    std::istringstream in(first_line(dir + "/cpu.max"));
    double max = 0, period = 0;
    if (in >> max >> period && period > 0) quota = std::min(quota, max / period);
  });
  walk_up("/sys/fs/cgroup/cpu", cgroup_path("cpu"), [&](const std::string& dir) {
    double max = std::atof(first_line(dir + "/cpu.cfs_quota_us").c_str());
    double period = std::atof(first_line(dir + "/cpu.cfs_period_us").c_str());
    if (max > 0 && period > 0) quota = std::min(quota, max / period);
  });
  return quota;
}

size_t cgroup_memory_left() {
  size_t left = SIZE_MAX;
  auto take = [&](const std::string& limit_file, const std::string& usage_file) {
    std::string limit = first_line(limit_file), usage = first_line(usage_file);
    if (limit.empty() || limit == "max" || usage.empty()) return;
    unsigned long long l = std::strtoull(limit.c_str(), nullptr, 10), u = std::strtoull(usage.c_str(), nullptr, 10);
    if (l < (1ULL << 60)) left = std::min<size_t>(left, l > u ? l - u : 0);
  };
  walk_up("/sys/fs/cgroup", cgroup_path(""),
          [&](const std::string& dir) { take(dir + "/memory.max", dir + "/memory.current"); });
  walk_up("/sys/fs/cgroup/memory", cgroup_path("memory"),
          [&](const std::string& dir) { take(dir + "/memory.limit_in_bytes", dir + "/memory.usage_in_bytes"); });
  return left;
}

}  // namespace

CpuIsa cpu_isa() {
  static const CpuIsa isa = detect();
  return isa;
}

bool cpu_has_avx512_bf16() {
#if defined(__x86_64__)
  return cpu_isa() == CpuIsa::kAvx512 && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

AmxUse amx_use() {
  static const AmxUse use = [] {
    const std::string wanted = env("VLLM_CPU_ISA").value_or("");
    for (CpuIsa isa : {CpuIsa::kReference, CpuIsa::kAvx2, CpuIsa::kAvx512}) {
      if (wanted == to_string(isa)) return AmxUse::kNone;
    }
    if (cpu_has_avx512_bf16() && get_amx()) return AmxUse::kNative;
    return wanted == "amx" ? AmxUse::kEmulated : AmxUse::kNone;
  }();
  return use;
}

std::string_view to_string(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::kReference: return "reference";
    case CpuIsa::kAvx2: return "avx2";
    case CpuIsa::kAvx512: return "avx512";
    case CpuIsa::kNeon: return "neon";
    case CpuIsa::kNeonDotProd: return "neon_dotprod";
    case CpuIsa::kNeonI8mm: return "neon_i8mm";
  }
  return "unknown";
}

std::string cpu_description() {
  std::ifstream in("/proc/cpuinfo");
  std::string model = "unknown CPU";
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("model name", 0) == 0) {
      model = line.substr(line.find(':') + 2);
      break;
    }
  }
  return model + " (" + std::string(to_string(cpu_isa())) + (cpu_has_avx512_bf16() ? " avx512_bf16" : "") +
         (amx_use() == AmxUse::kNative     ? " amx"
          : amx_use() == AmxUse::kEmulated ? " amx_emulated"
                                           : "") +
         ")";
}

int usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  double quota = cpu_quota();
  if (std::isfinite(quota)) count = std::min(count, static_cast<int>(std::ceil(quota)));
  return std::max(count, 1);
}

bool has_cpu_quota() { return std::isfinite(cpu_quota()); }

size_t available_memory_bytes() {
  size_t available = 0;
  std::ifstream in("/proc/meminfo");
  for (std::string key, unit; in >> key;) {
    size_t kib = 0;
    in >> kib;
    std::getline(in, unit);
    if (key == "MemAvailable:") available = kib * 1024;
  }
  return std::min(available, cgroup_memory_left());
}

}  // namespace vllm
