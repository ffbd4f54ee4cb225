#pragma once
// Putting an engine together: a thread that owns scheduler and blocks, over an executor.
#include <memory>

#include "engine/engine.h"
#include "engine/exec/executor.h"

namespace vllm::engine {

/// `sliding_windows[g]` is the window of KV group g in tokens, 0 for full attention (model::KvCacheSpec::groups).
std::unique_ptr<Engine> make_engine(const EngineConfig& config, std::vector<int64_t> sliding_windows,
                                    std::unique_ptr<Executor> executor, OutputSink sink);

}  // namespace vllm::engine
