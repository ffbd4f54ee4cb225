#include "cli/profiling.h"

#include "engine/exec/cuda_executor.h"

namespace vllm::cli {
namespace {

constexpr size_t kKernelRows = 16;

}  // namespace

Result<std::unique_ptr<profile::Profiler>> make_profiler(const ServeArgs& args, bool cuda) {
  std::unique_ptr<profile::GpuTracer> gpu;
  if (cuda) {
    ASSIGN_OR_RETURN(gpu, engine::make_gpu_tracer());
  }
  return std::make_unique<profile::Profiler>(args.profiler.dir, std::move(gpu));
}

Result<std::string> stop_and_describe(profile::Profiler& profiler) {
  ASSIGN_OR_RETURN(profile::Profiler::Report report, profiler.stop());
  std::string text = to_text(report.summary, kKernelRows);
  text += fmt::format("Trace: {} ({} GPU records{}); open it in ui.perfetto.dev\n", report.file.string(),
                      report.num_activities,
                      report.dropped > 0 ? fmt::format(", {} more were dropped", report.dropped) : "");
  return text;
}

}  // namespace vllm::cli
