#pragma once
// The GPU engine's executor: one worker thread per device, two steps in flight, decode from CUDA graphs. Built without
// CUDA, make_cuda_executor returns kUnimplemented (cuda_executor_nocuda.cc).
#include <functional>
#include <memory>
#include <string>

#include "engine/engine.h"
#include "engine/exec/executor.h"
#include "hub/checkpoint.h"
#include "model/model.h"
#include "profile/gpu_trace.h"

namespace vllm::engine {

struct CudaExecutorOptions {
  // num_blocks 0: as many as the memory allows; max_num_seqs and max_num_batched_tokens 0: vLLM's for such a device.
  EngineConfig engine;
  bool fit_max_model_len = false;  // lower engine.max_model_len to what one sequence can have (--max-model-len auto)
  int device = 0;
  bool enforce_eager = false;
  int max_graph_batch = 512;             // --max-cudagraph-capture-size: larger decodes run eager
  double gpu_memory_utilization = 0.92;  // of the device's total memory, everything included
  size_t kv_cache_bytes = 0;             // --kv-cache-memory-bytes; 0 = by utilization
  bool use_cublaslt = true;
  bool batch_invariant = false;   // VLLM_BATCH_INVARIANT: a request's logits depend on nothing but the request
  int capture_interval_ms = 100;  // between captures of graphs while steps are in flight
  std::function<void(std::string)> on_phase;  // hears "loading weights 40%"
};

/// A loaded model on its way to an executor, and what start-up wants to know of it.
struct CudaEngineParts {
  std::unique_ptr<Executor> executor;
  EngineConfig engine;  // everything resolved
  size_t weight_bytes = 0, scratch_bytes = 0, kv_bytes = 0;
  std::string device;  // "NVIDIA H200 (sm_90, 132 SMs, 139.8 GiB)"
  model::KvCacheSpec kv_spec;
};

/// True if this binary has the CUDA engine.
bool built_with_cuda();
/// Empty if a usable GPU is there, else "GPU not found: ..." (opens the device: 0.3 s).
std::string why_no_gpu(int device);

/// Records what the GPU does. kNotFound without libcupti.
Result<std::unique_ptr<profile::GpuTracer>> make_gpu_tracer();

/// Open the device, load the model onto it, size and allocate the KV pool, start the worker. Errors: "GPU not found:
/// ...", "Out of memory: ..." with the largest max_model_len that would fit and the flag to change, and those of
/// load_cuda_model.
Result<CudaEngineParts> make_cuda_executor(const model::ModelConfig& config,
                                           std::shared_ptr<const Checkpoint> checkpoint, const model::LoadOptions& load,
                                           const CudaExecutorOptions& options);

}  // namespace vllm::engine
