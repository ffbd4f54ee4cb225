#pragma once
// The CPU engine's executor: one worker thread that runs a ModelRunner; phases() = 1.
#include <memory>

#include "engine/engine.h"
#include "engine/exec/executor.h"
#include "model/model.h"

namespace vllm::engine {

struct CpuExecutorOptions {
  EngineConfig engine;
  int num_threads = 0;  // 0 = usable_cpus(); VLLM_CPU_OMP_THREADS_BIND narrows it
};

/// Takes over the model; allocates the KV pool of engine.num_blocks pages and the slot state.
Result<std::unique_ptr<Executor>> make_cpu_executor(std::unique_ptr<model::Model> model,
                                                    const CpuExecutorOptions& options);

}  // namespace vllm::engine
