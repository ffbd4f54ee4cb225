#include "engine/make_engine.h"

#include "engine/engine_thread.h"

namespace vllm::engine {

std::unique_ptr<Engine> make_engine(const EngineConfig& config, std::vector<int64_t> sliding_windows,
                                    std::unique_ptr<Executor> executor, OutputSink sink) {
  return std::make_unique<EngineThread>(config, std::move(sliding_windows), std::move(executor), std::move(sink));
}

}  // namespace vllm::engine
