#include "profile/profiler.h"

#include <fmt/chrono.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <map>

#include "profile/kernel_names.h"
#include "profile/trace_writer.h"

namespace vllm::profile {
namespace {

constexpr int64_t kHost = 1, kGpu = 2;  // "processes" of the trace
constexpr int64_t kLanes = 8;           // per stream
constexpr size_t kNameWidth = 200;

// Slices of one track must nest, and kernels that start early overlap the one in front: those go to another lane.
class Lanes {
 public:
  int64_t lane_of(const GpuActivity& activity) {
    std::vector<int64_t>& ends = ends_[activity.stream];
    for (size_t i = 0; i < ends.size(); ++i) {
      if (ends[i] <= activity.begin_ns) return ends[i] = activity.end_ns, static_cast<int64_t>(i);
    }
    if (ends.size() == static_cast<size_t>(kLanes)) return kLanes - 1;
    ends.push_back(activity.end_ns);
    return static_cast<int64_t>(ends.size()) - 1;
  }
  const std::map<uint32_t, std::vector<int64_t>>& streams() const { return ends_; }

 private:
  std::map<uint32_t, std::vector<int64_t>> ends_;  // by stream: end of the last slice of each lane
};

void write_activity(TraceWriter& writer, const GpuActivity& a, std::string_view name, Lanes& lanes) {
  TraceSlice slice{.name = name, .begin_ns = a.begin_ns, .end_ns = std::max(a.begin_ns, a.end_ns)};
  if (a.kind == GpuActivity::Kind::kApi) {
    slice.category = "cuda_runtime", slice.pid = kHost, slice.tid = a.stream;
    writer.add(slice, {{"correlation", int64_t{a.correlation}}});
    return;
  }
  slice.pid = kGpu, slice.tid = int64_t{a.stream} * kLanes + lanes.lane_of(a);
  if (a.kind == GpuActivity::Kind::kKernel) {
    slice.category = "kernel";
    writer.add(slice, {{"step", a.step},
                       {"graph", int64_t{a.in_graph}},
                       {"correlation", int64_t{a.correlation}},
                       {"grid", std::string_view(fmt::format("{},{},{}", a.grid[0], a.grid[1], a.grid[2]))},
                       {"block", std::string_view(fmt::format("{},{},{}", a.block[0], a.block[1], a.block[2]))},
                       {"registers", int64_t{a.registers}},
                       {"shared memory", int64_t{a.shared_bytes}}});
  } else {
    slice.category = "gpu_memory";
    writer.add(slice,
               {{"step", a.step}, {"correlation", int64_t{a.correlation}}, {"bytes", static_cast<int64_t>(a.bytes)}});
  }
}

}  // namespace

void write_trace(std::ostream& out, const PhaseLog& phases, const GpuTrace& gpu, int64_t origin_ns,
                 const json::object& other_data) {
  TraceWriter writer(out, origin_ns);
  writer.name_process(kHost, "vllm");
  for (const auto& [thread, name] : phases.threads) writer.name_thread(kHost, thread, name);
  for (const Phase& phase : phases.phases) {
    const TraceSlice slice{.name = phase.name,
                           .category = "phase",
                           .pid = kHost,
                           .tid = phase.thread,
                           .begin_ns = phase.begin_ns,
                           .end_ns = phase.end_ns};
    if (phase.num_seqs > 0) {
      writer.add(slice,
                 {{"step", phase.step}, {"sequences", int64_t{phase.num_seqs}}, {"tokens", int64_t{phase.num_tokens}}});
    } else {
      writer.add(slice, {{"step", phase.step}});
    }
  }
  if (!gpu.activities.empty()) writer.name_process(kGpu, "GPU");
  std::vector<std::string> names;
  for (const std::string& name : gpu.names) names.push_back(short_kernel_name(name, kNameWidth));
  std::vector<const GpuActivity*> order;
  for (const GpuActivity& activity : gpu.activities) order.push_back(&activity);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->begin_ns < b->begin_ns; });
  Lanes lanes;
  for (const GpuActivity* a : order) write_activity(writer, *a, a->name < names.size() ? names[a->name] : "?", lanes);
  for (const auto& [stream, ends] : lanes.streams()) {
    for (size_t lane = 0; lane < ends.size(); ++lane) {
      writer.name_thread(
          kGpu, int64_t{stream} * kLanes + static_cast<int64_t>(lane),
          lane == 0 ? fmt::format("stream {}", stream) : fmt::format("stream {}, overlap {}", stream, lane));
    }
  }
  writer.finish(other_data);
}

Status Profiler::start() {
  std::lock_guard lock(mutex_);
  if (running_) return invalid_argument("a profile is being recorded already");
  std::error_code failure;
  std::filesystem::create_directories(dir_, failure);
  if (failure) return error(ErrorCode::kNotFound, "profile: {}: {}", dir_.string(), failure.message());
  if (gpu_) RETURN_IF_ERROR(gpu_->start());
  begin_ns_ = now_ns();
  start_phases();
  running_ = true;
  return {};
}

Result<Profiler::Report> Profiler::stop() {
  std::lock_guard lock(mutex_);
  if (!running_) return invalid_argument("no profile is being recorded");
  running_ = false;
  const PhaseLog phases = take_phases();
  GpuTrace gpu;
  if (gpu_) {
    ASSIGN_OR_RETURN(gpu, gpu_->stop());
  }
  Report report{.file = dir_ / fmt::format("vllm-{:%Y%m%d-%H%M%S}-{}-{}.trace.json", fmt::localtime(std::time(nullptr)),
                                           ::getpid(), begin_ns_ / 1'000'000 % 1000),
                .summary = summarize(phases, gpu),
                .num_activities = gpu.activities.size(),
                .dropped = phases.dropped + gpu.dropped};
  std::ofstream out(report.file);
  write_trace(out, phases, gpu, begin_ns_, to_json(report.summary));
  if (!out.flush()) return error(ErrorCode::kInternal, "profile: {} cannot be written", report.file.string());
  return report;
}

}  // namespace vllm::profile
