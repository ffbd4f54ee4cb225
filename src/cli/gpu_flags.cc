// The flags of `vllm serve` about the GPU: on a CPU all but --kv-cache-dtype are accepted with a warning
// (device_choice.h).
#include <iterator>

#include "cli/flag_groups.h"
#include "cli/setters.h"

namespace vllm::cli {
namespace {

constexpr Effect B = Effect::kBuilt;

Status set_utilization(ServeArgs& args, const FlagValue& value) {
  if (!(value.number > 0 && value.number <= 1)) return invalid_argument("expected more than 0 to 1");
  args.gpu_memory_utilization = value.number;
  return {};
}

Status set_kv_dtype(ServeArgs& args, const FlagValue& value) {
  if (value.text == "fp8_e5m2")
    return invalid_argument("fp8_e5m2 is not built; fp8 (e4m3) has the same size and one more bit of fraction");
  args.kv_cache_dtype = value.text == "fp8" ? "fp8_e4m3" : value.text;
  return {};
}

constexpr Flag kCache[] = {
    {"kv-cache-dtype", FlagType::kString, "auto",
     "Type of keys and values in the cache: auto (the model's); fp8 (fp8_e4m3), with twice as many tokens; on CPUs "
     "also int8_per_token_head, as small and nearer to the model's.",
     B, set_kv_dtype, "auto|float16|bfloat16|fp8|fp8_e4m3|fp8_e5m2|int8_per_token_head"},
    {"gpu-memory-utilization", FlagType::kFloat, "0.92",
     "Share of the GPU's memory that weights, activations and KV cache may fill together.", B, set_utilization},
    {"device-memory-utilization", FlagType::kFloat, "", "Newer spelling of --gpu-memory-utilization.", B,
     set_utilization},
};

constexpr Flag kCompilation[] = {
    {"enforce-eager", FlagType::kBool, "false", "Launch every kernel by itself: no CUDA graphs.", B,
     set<&ServeArgs::enforce_eager>},
    {"max-cudagraph-capture-size", FlagType::kInt, "512",
     "Largest number of sequences whose decode is replayed from a CUDA graph; 0 = no graphs.", B,
     set_int<&ServeArgs::max_cudagraph_capture_size, 0, 65536>},
    {"optimization-level",
     FlagType::kInt,
     "2",
     "0 is --enforce-eager; 1, 2 and 3 use CUDA graphs.",
     B,
     set_int<&ServeArgs::optimization_level, 0, 3>,
     {},
     "O"},
};

constexpr Flag kScheduler[] = {
    {"max-mixed-batch-tokens", FlagType::kInt, "2048",
     "Most tokens of a step that both decodes and prefills; it takes 8 for each decode and at least 512 (small models: "
     "always the most). Less steadies the time between two tokens, more shortens the time to the first; 0 = "
     "--max-num-batched-tokens.",
     B, set_int<&ServeArgs::max_mixed_batch_tokens, 0>},
};

}  // namespace

const FlagGroup kGpuGroups[] = {
    {"CacheConfig", "Memory of the GPU.", kCache},
    {"SchedulerConfig", "Steps of the GPU.", kScheduler},
    {"CompilationConfig", "CUDA graphs.", kCompilation},
};
const size_t kNumGpuGroups = std::size(kGpuGroups);

}  // namespace vllm::cli
