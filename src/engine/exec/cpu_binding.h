#pragma once
// Which CPUs the compute threads use: VLLM_CPU_OMP_THREADS_BIND as vLLM reads it.
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vllm::engine {

/// "0-2,5" to {0, 1, 2, 5}; "auto", "all" and "" to none (all CPUs the process may use); "nobind" likewise. Ranks are
/// separated by "|": the first one counts here.
Result<std::vector<int>> parse_cpu_list(std::string_view text);
/// Bind the calling thread, and so every thread that it starts afterwards. An empty list changes nothing.
Status bind_to_cpus(const std::vector<int>& cpus);
/// How many threads compute: `asked`, or if that is 0 one for each CPU of the list, or of those the process may use.
int num_compute_threads(int asked, const std::vector<int>& cpus);
/// Most tokens of a step, where nobody says it. A step is what everybody waits for: a new request to be admitted, a
/// running one for its next token, one of many prompts for its first. From some 128 tokens a thread on, more of them
/// compute no faster.
int default_step_tokens(int num_threads);

}  // namespace vllm::engine
