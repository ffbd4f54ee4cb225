#pragma once
// From ServeArgs to a running engine and service: every phase of start-up, in order, with its time in the log.
#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "cli/serve_args.h"
#include "engine/engine.h"
#include "profile/profiler.h"
#include "serve/metrics.h"
#include "serve/service.h"

namespace vllm::cli {

/// What is alive while the server serves. Members are destroyed in reverse: the engine goes before the service it
/// feeds.
struct RunningModel {
  std::unique_ptr<profile::Profiler> profiler;  // null unless args.profiler is enabled
  std::shared_ptr<serve::Metrics> metrics;
  std::unique_ptr<serve::Service> service;
  std::unique_ptr<engine::Engine> engine;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  int64_t max_model_len = 0, vocab_size = 0;
};

/// Find, load and start the model. `phase` hears "downloading 43%", "loading weights 10%"; `cancelled` ends a download.
/// Errors start with the words that people search logs for ("Model download failed", "Out of memory").
/// `sink`: who hears of tokens instead of the service (the benchmarks in this process, which submit by themselves).
Result<RunningModel> start_model(const ServeArgs& args, const std::function<void(std::string)>& phase,
                                 const std::atomic<bool>& cancelled, engine::OutputSink sink = {});

}  // namespace vllm::cli
