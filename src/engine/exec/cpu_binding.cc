#include "engine/exec/cpu_binding.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <tuple>
#include <utility>

#include "tensor/cpu_info.h"

namespace vllm::engine {

Result<std::vector<int>> parse_cpu_list(std::string_view text) {
  text = text.substr(0, text.find('|'));
  if (text.empty() || text == "auto" || text == "all" || text == "nobind") return std::vector<int>{};
  std::vector<int> cpus;
  auto bad = [&] {
    return invalid_argument("VLLM_CPU_OMP_THREADS_BIND=\"{}\": expected a list like 0-3,6, or auto", text);
  };
  for (size_t pos = 0; pos <= text.size();) {
    size_t end = std::min(text.find(',', pos), text.size());
    const char *first = text.data() + pos, *last = text.data() + end;
    int from = -1, to = -1;
    auto [rest, ec] = std::from_chars(first, last, from);
    to = from;
    if (ec == std::errc() && rest != last && *rest == '-')
      std::tie(rest, ec) = [&] {
        auto r = std::from_chars(rest + 1, last, to);
        return std::pair(r.ptr, r.ec);
      }();
    if (ec != std::errc() || rest != last || from < 0 || to < from || to >= CPU_SETSIZE) return bad();
    for (int cpu = from; cpu <= to; ++cpu) cpus.push_back(cpu);
    pos = end + 1;
  }
  return cpus;
}

Status bind_to_cpus(const std::vector<int>& cpus) {
  if (cpus.empty()) return {};
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int cpu : cpus) CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) {
    return invalid_argument("VLLM_CPU_OMP_THREADS_BIND: cannot bind to these CPUs: {}", std::strerror(errno));
  }
  return {};
}

int num_compute_threads(int asked, const std::vector<int>& cpus) {
  if (asked > 0) return asked;
  return cpus.empty() ? usable_cpus() : static_cast<int>(cpus.size());
}

int default_step_tokens(int num_threads) { return std::clamp(num_threads, 2, 16) * 128; }

}  // namespace vllm::engine
