#pragma once
// The CPU engine's executor: one worker thread that runs a ModelRunner; phases() = 1.
#include <memory>
#include <optional>
#include <vector>

#include "engine/engine.h"
#include "engine/exec/executor.h"
#include "engine/spec/ngram_drafter.h"
#include "model/model.h"

namespace vllm::engine {

/// Who drafts (engine.num_speculative_tokens at once): a model, or the sequence's own past.
struct SpeculationOptions {
  std::unique_ptr<model::Model> draft_model;
  std::optional<NgramOptions> ngram;
};

struct CpuExecutorOptions {
  EngineConfig engine;
  int num_threads = 1;
  std::vector<int> cpus = {};  // the threads' CPUs; none: all that the process may use
};

/// Takes over the models; allocates the KV pools of engine.num_blocks pages and the slot state.
Result<std::unique_ptr<Executor>> make_cpu_executor(std::unique_ptr<model::Model> model,
                                                    const CpuExecutorOptions& options,
                                                    SpeculationOptions speculation = {});

}  // namespace vllm::engine
