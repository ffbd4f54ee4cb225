// The flags of `vllm serve` about the GPU: on a CPU all but --kv-cache-dtype are accepted with a warning
// (device_choice.h).
#include <iterator>

#include "cli/flag_groups.h"
#include "cli/serve_args.h"

namespace vllm::cli {
namespace {

using V = const FlagValue&;
using A = ServeArgs&;
constexpr Effect B = Effect::kBuilt;

Error bad(std::string_view flag, std::string_view what) {
  Error e = invalid_argument("argument --{}: {}", flag, what);
  e.param = std::string(flag);
  return e;
}

Status set_utilization(ServeArgs& args, const FlagValue& value) {
  if (!(value.number > 0 && value.number <= 1)) return bad("gpu-memory-utilization", "expected more than 0 to 1");
  args.gpu_memory_utilization = value.number;
  return {};
}

Status set_kv_dtype(ServeArgs& args, const FlagValue& value) {
  if (value.text == "fp8_e5m2")
    return bad("kv-cache-dtype", "fp8_e5m2 is not built; fp8 (e4m3) has the same size and one more bit of fraction");
  args.kv_cache_dtype = value.text == "fp8" ? "fp8_e4m3" : value.text;
  return {};
}

constexpr Flag kCache[] = {
    {"kv-cache-dtype", FlagType::kString, "auto",
     "Type of keys and values in the cache: auto (the model's); fp8 (fp8_e4m3), which holds twice as many tokens; or, "
     "on "
     "the CPU, int8_per_token_head, as small and nearer to the model's.",
     B, set_kv_dtype, "auto|float16|bfloat16|fp8|fp8_e4m3|fp8_e5m2|int8_per_token_head"},
    {"gpu-memory-utilization", FlagType::kFloat, "0.92",
     "Share of the GPU's memory that weights, activations and KV cache may fill together.", B, set_utilization},
    {"device-memory-utilization", FlagType::kFloat, "", "Newer spelling of --gpu-memory-utilization.", B,
     set_utilization},
};

constexpr Flag kCompilation[] = {
    {"enforce-eager", FlagType::kBool, "false", "Launch every kernel by itself: no CUDA graphs.", B,
     [](A a, V v) {
       a.enforce_eager = v.boolean;
       return Status();
     }},
    {"max-cudagraph-capture-size", FlagType::kInt, "512",
     "Largest number of sequences whose decode is replayed from a CUDA graph; 0 = no graphs.", B,
     [](A a, V v) -> Status {
       if (v.integer < 0 || v.integer > 65536) return bad("max-cudagraph-capture-size", "expected 0 to 65536");
       a.max_cudagraph_capture_size = v.integer;
       return {};
     }},
    {"optimization-level",
     FlagType::kInt,
     "2",
     "0 is --enforce-eager; 1, 2 and 3 use CUDA graphs.",
     B,
     [](A a, V v) -> Status {
       if (v.integer < 0 || v.integer > 3) return bad("optimization-level", "expected 0 to 3");
       a.optimization_level = v.integer;
       return {};
     },
     {},
     "O"},
};

constexpr Flag kScheduler[] = {
    {"max-mixed-batch-tokens", FlagType::kInt, "2048",
     "Most tokens of a step that both decodes and prefills; it takes 8 for each decode and at least 512 (small models: "
     "always the most). Less steadies the time between two tokens, more shortens the time to the first; 0 = "
     "--max-num-batched-tokens.",
     B,
     [](A a, V v) -> Status {
       if (v.integer < 0) return bad("max-mixed-batch-tokens", "expected 0 or more");
       a.max_mixed_batch_tokens = v.integer;
       return {};
     }},
};

}  // namespace

const FlagGroup kGpuGroups[] = {
    {"CacheConfig", "Memory of the GPU.", kCache},
    {"SchedulerConfig", "Steps of the GPU.", kScheduler},
    {"CompilationConfig", "CUDA graphs.", kCompilation},
};
const size_t kNumGpuGroups = std::size(kGpuGroups);

}  // namespace vllm::cli
