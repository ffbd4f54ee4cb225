// From a checkpoint to a running executor: device, weights, activations, warm-up, KV pool.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "engine/exec/cuda/cuda_executor.h"
#include "engine/exec/cuda/memory_plan.h"
#include "engine/exec/cuda_executor.h"
#include "tensor/cuda/cupti_tracer.h"
#include "tensor/cuda/device.h"
#include "tensor/cuda/error.h"

namespace vllm::engine {
namespace {

constexpr int kPhases = 2;

double gib(size_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

class Lap {
 public:
  double ms() {
    auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double, std::milli>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// What each phase of start-up took of the device's memory, as the driver counts it: contexts, code and libraries too.
class MemoryLog {
 public:
  void phase(const char* name) {
    Result<CudaMemory> memory = cuda_memory();
    if (!memory) return;
    const size_t used = memory->total_bytes - memory->free_bytes;
    text_ += fmt::format("{}{} {:.0f}", text_.empty() ? "" : ", ", name,
                         (static_cast<double>(used) - static_cast<double>(used_)) / (1 << 20));
    used_ = used;
  }
  const std::string& text() const { return text_; }

 private:
  size_t used_ = 0;
  std::string text_;
};

EngineConfig resolve(EngineConfig config, const CudaDevice& device) {
  const BatchLimits limits = default_batch_limits(device.total_bytes);
  if (config.max_num_seqs == 0) config.max_num_seqs = limits.max_num_seqs;
  if (config.max_num_batched_tokens == 0) config.max_num_batched_tokens = limits.max_num_batched_tokens;
  config.max_num_batched_tokens = std::max(config.max_num_batched_tokens, config.max_num_seqs);
  if (!config.enable_chunked_prefill)
    config.max_num_batched_tokens = std::max(config.max_num_batched_tokens, static_cast<int>(config.max_model_len));
  return config;
}

Result<MemoryPlan> plan_kv(const CudaExecutorOptions& options, const EngineConfig& engine,
                           const model::KvCacheSpec& spec) {
  ASSIGN_OR_RETURN(CudaMemory memory, cuda_memory());
  MemoryPlanInput in{.total_bytes = memory.total_bytes,
                     .free_bytes = memory.free_bytes,
                     .utilization = options.gpu_memory_utilization,
                     .kv_bytes = options.kv_cache_bytes,
                     .num_blocks = engine.num_blocks,
                     .bytes_per_block = spec.bytes_per_block(engine.block_size),
                     .block_size = engine.block_size,
                     .sliding_windows = {},
                     .max_model_len = engine.max_model_len,
                     .fit_max_model_len = options.fit_max_model_len,
                     .max_num_seqs = engine.max_num_seqs};
  for (const model::KvGroup& group : spec.groups) in.sliding_windows.push_back(group.sliding_window);
  return plan_memory(in);
}

}  // namespace

bool built_with_cuda() { return true; }

std::string why_no_gpu(int device) {
  auto opened = open_cuda_device(device);
  return opened ? "" : opened.error().message;
}

Result<std::unique_ptr<profile::GpuTracer>> make_gpu_tracer() { return make_cupti_tracer(); }

Result<CudaEngineParts> make_cuda_executor(const model::ModelConfig& config,
                                           std::shared_ptr<const Checkpoint> checkpoint, const model::LoadOptions& load,
                                           const CudaExecutorOptions& options) {
  auto phase = [&](const char* text) {
    if (options.on_phase) options.on_phase(text);
  };
  Lap lap;
  ASSIGN_OR_RETURN(CudaDevice device, open_cuda_device(options.device));
  CudaEngineParts parts{.engine = resolve(options.engine, device), .device = to_string(device)};
  const double device_ms = lap.ms();
  MemoryLog memory;
  memory.phase("context");
  ASSIGN_OR_RETURN(std::unique_ptr<model::CudaModel> model,
                   model::load_cuda_model(config, std::move(checkpoint), load));
  parts.weight_bytes = model->weight_bytes();
  parts.kv_spec = model->kv_spec();
  const double weights_ms = lap.ms();
  memory.phase("weights");

  phase("starting the engine");
  if (options.batch_invariant)
    LOG_INFO("Batch invariance is on: logits are the same bits in any batch, and steps are slower");
  ASSIGN_OR_RETURN(
      std::unique_ptr<CudaModelRunner> runner,
      CudaModelRunner::create(std::move(model), {.engine = parts.engine,
                                                 .phases = kPhases,
                                                 .max_graph_batch = options.enforce_eager ? 0 : options.max_graph_batch,
                                                 .use_cublaslt = options.use_cublaslt,
                                                 .batch_invariant = options.batch_invariant}));
  parts.scratch_bytes = runner->device_bytes();
  const double reserve_ms = lap.ms();
  memory.phase("buffers");
  RETURN_IF_ERROR(runner->warm_up());
  const double warm_up_ms = lap.ms();
  memory.phase("warm-up");

  ASSIGN_OR_RETURN(MemoryPlan plan, plan_kv(options, parts.engine, parts.kv_spec));
  parts.engine.num_blocks = plan.num_blocks;
  parts.engine.max_model_len = plan.max_model_len;
  parts.kv_bytes = static_cast<size_t>(plan.num_blocks) *
                   static_cast<size_t>(parts.kv_spec.bytes_per_block(parts.engine.block_size));
  ASSIGN_OR_RETURN(DeviceBuffer kv, DeviceBuffer::allocate(parts.kv_bytes, "the KV cache"));
  // So that what lies behind the last token of a page is a number. Runs while the server opens its doors.
  CUDA_RETURN_IF_ERROR(cudaMemsetAsync(kv.data(), 0, kv.size(), static_cast<cudaStream_t>(runner->stream().handle)));
  RETURN_IF_ERROR(runner->set_kv(kv.data(), plan.num_blocks));
  LOG_INFO(
      "{}: weights {:.2f} GiB, activations and state {:.2f} GiB, KV cache {:.2f} GiB ({} blocks of {} tokens); "
      "device {:.0f} ms, weights {:.0f} ms, buffers {:.0f} ms, warm-up {:.0f} ms, KV cache {:.0f} ms",
      parts.device, gib(parts.weight_bytes), gib(parts.scratch_bytes), gib(parts.kv_bytes), plan.num_blocks - 1,
      parts.engine.block_size, device_ms, weights_ms, reserve_ms, warm_up_ms, lap.ms());
  memory.phase("KV cache");
  LOG_DEBUG("GPU memory taken, MiB: {}; of the buffers: {}", memory.text(), runner->describe_memory());
  parts.executor = std::make_unique<CudaExecutor>(
      std::move(runner), std::move(kv),
      CudaExecutor::Options{.device = options.device,
                            .phases = kPhases,
                            .capture_interval = std::chrono::milliseconds(options.capture_interval_ms)});
  return parts;
}

}  // namespace vllm::engine
