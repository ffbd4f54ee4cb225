#include "tensor/cuda/cupti_tracer.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <unordered_map>

#include "profile/kernel_names.h"
#include "profile/phases.h"
#include "tensor/cuda/cupti_library.h"

namespace vllm {
namespace {

using profile::GpuActivity;
using profile::GpuTrace;

constexpr size_t kBufferBytes = size_t{4} << 20;
constexpr size_t kMaxActivities = 2'000'000;
// Kernels of graphs come one by one, and overlap as they do unobserved (seen: 5% slower steps).
constexpr CUpti_ActivityKind kKinds[] = {CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION, CUPTI_ACTIVITY_KIND_RUNTIME,
                                         CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_MEMCPY,
                                         CUPTI_ACTIVITY_KIND_MEMSET};
constexpr auto kStepKind = CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0;

// CUPTI's callbacks carry no pointer of ours: what they fill is found here. Never destroyed, as CUPTI has threads.
struct Recorder {
  CuptiLibrary lib;
  std::atomic<bool> recording{false};
  std::mutex mutex;  // guards what follows
  GpuTrace trace;
  std::unordered_map<const void*, uint32_t> by_symbol;  // of CUPTI's own strings, which live as long as their module
  std::unordered_map<std::string, uint32_t> by_text;
  std::unordered_map<uint32_t, int64_t> step_of_call;  // by correlation
  int64_t to_our_clock_ns = 0;

  uint32_t name(const char* symbol);
  uint32_t text(const std::string& name);
  int64_t time(uint64_t ns) const { return static_cast<int64_t>(ns) + to_our_clock_ns; }
  void add(const CUpti_Activity* record);
  void add(const GpuActivity& activity);
};
Recorder& recorder() {
  static auto* one = new Recorder;
  return *one;
}

uint32_t Recorder::text(const std::string& name) {
  auto [it, fresh] = by_text.try_emplace(name, static_cast<uint32_t>(trace.names.size()));
  if (fresh) trace.names.push_back(name);
  return it->second;
}

uint32_t Recorder::name(const char* symbol) {
  auto [it, fresh] = by_symbol.try_emplace(symbol, 0);
  if (fresh) it->second = text(profile::demangled(symbol));
  return it->second;
}

void Recorder::add(const GpuActivity& activity) {
  if (activity.begin_ns <= to_our_clock_ns || activity.end_ns < activity.begin_ns) return;  // not through yet
  if (trace.activities.size() < kMaxActivities) {
    trace.activities.push_back(activity);
  } else {
    ++trace.dropped;
  }
}

const char* copy_name(uint8_t kind) {
  switch (kind) {
    case CUPTI_ACTIVITY_MEMCPY_KIND_HTOD: return "copy to the device";
    case CUPTI_ACTIVITY_MEMCPY_KIND_DTOH: return "copy to the host";
    case CUPTI_ACTIVITY_MEMCPY_KIND_DTOD: return "copy on the device";
    default: return "copy";
  }
}

void Recorder::add(const CUpti_Activity* record) {
  GpuActivity a;
  switch (record->kind) {
    case CUPTI_ACTIVITY_KIND_KERNEL:
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: {
      const auto* r = reinterpret_cast<const CUpti_ActivityKernel10*>(record);
      a = {.kind = GpuActivity::Kind::kKernel,
           .in_graph = r->graphNodeId != 0,
           .registers = r->registersPerThread,
           .name = name(r->name),
           .stream = r->streamId,
           .correlation = r->correlationId,
           .begin_ns = time(r->start),
           .end_ns = time(r->end),
           .grid = {r->gridX, r->gridY, r->gridZ},
           .block = {r->blockX, r->blockY, r->blockZ},
           .shared_bytes = r->staticSharedMemory + r->dynamicSharedMemory};
      return add(a);
    }
    case CUPTI_ACTIVITY_KIND_MEMCPY: {
      const auto* r = reinterpret_cast<const CUpti_ActivityMemcpy6*>(record);
      a = {.kind = GpuActivity::Kind::kMemcpy,
           .in_graph = r->graphNodeId != 0,
           .name = text(copy_name(r->copyKind)),
           .stream = r->streamId,
           .correlation = r->correlationId,
           .begin_ns = time(r->start),
           .end_ns = time(r->end),
           .bytes = r->bytes};
      return add(a);
    }
    case CUPTI_ACTIVITY_KIND_MEMSET: {
      const auto* r = reinterpret_cast<const CUpti_ActivityMemset4*>(record);
      a = {.kind = GpuActivity::Kind::kMemset,
           .in_graph = r->graphNodeId != 0,
           .name = text("fill"),
           .stream = r->streamId,
           .correlation = r->correlationId,
           .begin_ns = time(r->start),
           .end_ns = time(r->end),
           .bytes = r->bytes};
      return add(a);
    }
    case CUPTI_ACTIVITY_KIND_RUNTIME: {
      const auto* r = reinterpret_cast<const CUpti_ActivityAPI*>(record);
      const char* call = nullptr;
      lib.callback_name(CUPTI_CB_DOMAIN_RUNTIME_API, r->cbid, &call);
      a = {.kind = GpuActivity::Kind::kApi,
           .name = name(call != nullptr ? call : "cuda call"),
           .stream = r->threadId,
           .correlation = r->correlationId,
           .begin_ns = time(r->start),
           .end_ns = time(r->end)};
      return add(a);
    }
    case CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION: {
      const auto* r = reinterpret_cast<const CUpti_ActivityExternalCorrelation*>(record);
      if (r->externalKind == kStepKind) step_of_call[r->correlationId] = static_cast<int64_t>(r->externalId);
      return;
    }
    default: return;
  }
}

void CUPTIAPI give_buffer(uint8_t** buffer, size_t* size, size_t* max_records) {
  *buffer = static_cast<uint8_t*>(std::aligned_alloc(64, kBufferBytes));
  *size = *buffer != nullptr ? kBufferBytes : 0;
  *max_records = 0;  // as many as fit
}

void CUPTIAPI take_buffer(CUcontext, uint32_t, uint8_t* buffer, size_t, size_t valid_bytes) {
  Recorder& r = recorder();
  {
    std::lock_guard lock(r.mutex);
    CUpti_Activity* record = nullptr;
    while (valid_bytes > 0 && r.lib.next_record(buffer, valid_bytes, &record) == CUPTI_SUCCESS) r.add(record);
  }
  std::free(buffer);
}

// CUPTI's clock to ours: the difference of the closest of a few pairs of readings.
Result<int64_t> clock_difference(const CuptiLibrary& lib) {
  int64_t difference = 0, closest = INT64_MAX;
  for (int i = 0; i < 10; ++i) {
    uint64_t theirs = 0;
    const int64_t before = profile::now_ns();
    RETURN_IF_ERROR(lib.check(lib.timestamp(&theirs), "cuptiGetTimestamp"));
    const int64_t after = profile::now_ns();
    if (after - before >= closest) continue;
    closest = after - before;
    difference = before + (after - before) / 2 - static_cast<int64_t>(theirs);
  }
  return difference;
}

// Calls inside of a step have their step; what a library launched in another way gets that of its neighbours, as
// correlations count up.
void assign_steps(GpuTrace& trace, const std::unordered_map<uint32_t, int64_t>& step_of_call) {
  std::vector<std::pair<uint32_t, int64_t>> calls(step_of_call.begin(), step_of_call.end());
  std::sort(calls.begin(), calls.end());
  for (GpuActivity& activity : trace.activities) {
    auto next = std::lower_bound(calls.begin(), calls.end(), std::pair{activity.correlation, INT64_MIN});
    if (next == calls.end()) continue;
    if (next->first == activity.correlation) {
      activity.step = next->second;
    } else if (next != calls.begin() && std::prev(next)->second == next->second) {
      activity.step = next->second;
    }
  }
}

class CuptiTracer final : public profile::GpuTracer {
 public:
  ~CuptiTracer() override {
    if (recorder().recording) (void)stop();
  }

  Status start() override {
    Recorder& r = recorder();
    ASSIGN_OR_RETURN(const int64_t difference, clock_difference(r.lib));
    {
      std::lock_guard lock(r.mutex);
      r.trace = {}, r.by_symbol = {}, r.by_text = {}, r.step_of_call = {};
      r.to_our_clock_ns = difference;
    }
    for (CUpti_ActivityKind kind : kKinds) RETURN_IF_ERROR(r.lib.check(r.lib.enable(kind), "cuptiActivityEnable"));
    // A thread that waits asks again and again; libraries may launch through the driver.
    r.lib.enable_runtime_api(CUPTI_RUNTIME_TRACE_CBID_cudaEventQuery_v3020, 0);
    for (auto call : {CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel, CUPTI_DRIVER_TRACE_CBID_cuLaunchKernelEx})
      r.lib.enable_driver_api(call, 1);
    r.recording = true;
    return {};
  }

  Result<GpuTrace> stop() override {
    Recorder& r = recorder();
    r.recording = false;
    RETURN_IF_ERROR(r.lib.check(r.lib.flush_all(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED), "cuptiActivityFlushAll"));
    for (auto call : {CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel, CUPTI_DRIVER_TRACE_CBID_cuLaunchKernelEx})
      r.lib.enable_driver_api(call, 0);
    for (CUpti_ActivityKind kind : kKinds) RETURN_IF_ERROR(r.lib.check(r.lib.disable(kind), "cuptiActivityDisable"));
    size_t lost = 0;
    r.lib.num_dropped(nullptr, 0, &lost);
    std::lock_guard lock(r.mutex);
    GpuTrace trace = std::exchange(r.trace, {});
    assign_steps(trace, r.step_of_call);
    trace.dropped += static_cast<int64_t>(lost);
    return trace;
  }
};

}  // namespace

Result<std::unique_ptr<profile::GpuTracer>> make_cupti_tracer() {
  Recorder& r = recorder();
  if (r.lib.enable == nullptr) {
    ASSIGN_OR_RETURN(CuptiLibrary lib, CuptiLibrary::open());
    r.lib = lib;
    RETURN_IF_ERROR(lib.check(lib.register_callbacks(give_buffer, take_buffer), "cuptiActivityRegisterCallbacks"));
  }
  return std::unique_ptr<profile::GpuTracer>(std::make_unique<CuptiTracer>());
}

GpuStepScope::GpuStepScope(int64_t step) {
  if (!recorder().recording.load(std::memory_order_relaxed)) return;
  pushed_ = recorder().lib.push_id(kStepKind, static_cast<uint64_t>(step)) == CUPTI_SUCCESS;
}

GpuStepScope::~GpuStepScope() {
  if (pushed_) recorder().lib.pop_id(kStepKind, nullptr);
}

}  // namespace vllm
