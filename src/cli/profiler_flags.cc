// --profiler-config: what a profile records, and where its trace goes.
#include <array>

#include "cli/flag_groups.h"
#include "cli/serve_args.h"

namespace vllm::cli {
namespace {

Error bad(const std::string& what) {
  Error e = invalid_argument("argument --profiler-config: {}", what);
  e.param = "profiler-config";
  return e;
}

// vLLM's fields that say nothing to this program: what they would add is there already, or is Python's.
constexpr std::string_view kWithoutMeaning[] = {"torch_profiler_with_stack",  "torch_profiler_with_flops",
                                                "torch_profiler_use_gzip",    "torch_profiler_record_shapes",
                                                "torch_profiler_with_memory", "torch_profiler_dump_cuda_time_total",
                                                "torch_profiler_activities",  "ignore_frontend",
                                                "detailed_trace_annotation",  "active_iterations"};
constexpr std::string_view kNotBuilt[] = {"delay_iterations", "max_iterations", "warmup_iterations", "wait_iterations",
                                          "capture_torch_profiler"};

template <typename Names>
bool contains(const Names& names, std::string_view name) {
  for (std::string_view other : names) {
    if (other == name) return true;
  }
  return false;
}

bool is_nothing(const json::value& value) {
  return value.is_null() || (value.is_bool() && !value.get_bool()) || (value.is_int64() && value.get_int64() == 0);
}

Status set_field(ServeArgs& args, std::string_view key, const json::value& value) {
  const std::string_view text = value.is_string() ? std::string_view(value.get_string()) : std::string_view();
  if (key == "profiler") {
    if (value.is_null() || text == "torch") return args.profiler.enabled = !value.is_null(), Status();
    if (text == "cuda" || text == "proton")
      return bad(fmt::format("profiler '{}' is not built; 'torch' writes a trace of GPU and host", text));
    return bad("profiler: expected torch (a trace for Perfetto) or null");
  }
  if (key == "torch_profiler_dir") {
    if (text.empty()) return bad("torch_profiler_dir: expected a folder");
    args.profiler.dir = std::string(text);
    return {};
  }
  if (contains(kWithoutMeaning, key) || (contains(kNotBuilt, key) && is_nothing(value))) return {};
  if (contains(kNotBuilt, key)) return bad(fmt::format("{} is not built", key));
  if (key.starts_with("proton_")) return bad(fmt::format("{} belongs to the profiler proton, which is not built", key));
  return bad(fmt::format("unknown field '{}'; known: profiler, torch_profiler_dir", key));
}

Status set_profiler_config(ServeArgs& args, const FlagValue& value) {
  for (const auto& field : value.object) RETURN_IF_ERROR(set_field(args, std::string_view(field.key()), field.value()));
  return {};
}

constexpr Flag kProfiler[] = {
    {"profiler-config", FlagType::kJson, "{}",
     "What /start_profile and `vllm bench --profile` record: {\"profiler\": \"torch\", \"torch_profiler_dir\": FOLDER} "
     "writes traces for ui.perfetto.dev there. Without \"profiler\" the server has no /start_profile.",
     Effect::kBuilt, set_profiler_config},
};

}  // namespace

const FlagGroup kProfilerGroup = {"ObservabilityConfig", "Profiles.", kProfiler};

}  // namespace vllm::cli
