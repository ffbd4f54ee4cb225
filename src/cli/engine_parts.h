#pragma once
// A model on its device: loaded, its KV cache sized, its executor running.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/serve_args.h"
#include "engine/engine.h"
#include "engine/exec/executor.h"
#include "hub/checkpoint.h"
#include "model/config.h"
#include "model/model.h"

namespace vllm::cli {

struct EngineParts {
  std::unique_ptr<engine::Executor> executor;
  engine::EngineConfig config;           // everything resolved
  std::vector<int64_t> sliding_windows;  // per KV group
  int64_t bytes_per_block = 0;
  size_t weight_bytes = 0;
  std::string device;  // for the log
};

/// A model's files, opened and read as far as their configuration.
struct ModelSource {
  model::ModelConfig config;
  std::shared_ptr<const Checkpoint> checkpoint;  // null: random weights
};

/// Load for the CPU alone: what make_engine_parts gives its executor there.
Result<std::unique_ptr<model::Model>> load_cpu_model(const ServeArgs& args, const ModelSource& source,
                                                     const std::function<void(std::string)>& phase);

/// Load onto the GPU (`cuda`) or the CPU. Errors start with the words that people search logs for ("Out of memory").
/// `draft` is the model that drafts (--speculative-config).
Result<EngineParts> make_engine_parts(const ServeArgs& args, bool cuda, const ModelSource& source,
                                      const std::optional<ModelSource>& draft,
                                      const std::function<void(std::string)>& phase);

}  // namespace vllm::cli
