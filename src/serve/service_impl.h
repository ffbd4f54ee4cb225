#pragma once
// The service's parts, seen by its own files only: service.cc (threads, endpoints), service_generate.cc (requests to
// jobs), service_submit.cc (jobs to sequences with the engine), service_text.cc (/tokenize, /detokenize).
#include <atomic>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/queue.h"
#include "serve/job.h"
#include "serve/open_sequences.h"
#include "serve/prompts.h"
#include "serve/service.h"

namespace vllm::serve {

struct Service::Impl : std::enable_shared_from_this<Service::Impl> {
  using Task = std::function<void()>;
  /// Answers by the call's writer, now or later; or returns the error to answer with.
  using Handler = api::MaybeError (Impl::*)(Call call);

  Impl(ServiceConfig c, std::shared_ptr<const text::Tokenizer> t,
       std::shared_ptr<const text::ChatTemplate> chat_template, std::shared_ptr<Metrics> m);

  /// Finish what is queued, then end the threads.
  void stop();
  /// Run `handler` on the text pool.
  void enqueue(HttpRequest request, Writer writer, Handler handler);

  // Handlers.
  api::MaybeError completions(Call call);
  api::MaybeError chat(Call call);
  api::MaybeError tokenize(Call call);
  api::MaybeError detokenize(Call call);

  api::MaybeError check_model(const std::optional<std::string>& model) const;
  api::MaybeError check_ready() const;
  api::MaybeError check_tool_choice(const api::ChatCompletionRequest& request) const;
  PromptLimits prompt_limits(const api::GenerateRequest& request, bool add_special_tokens) const;
  GenerationOptions common_options(const api::GenerateRequest& request) const;
  api::MaybeError submit(Job job);

  /// The first of the names: what answers carry.
  std::string model_name() const;

  const ServiceConfig config;
  const std::shared_ptr<const text::Tokenizer> tokenizer;
  const std::shared_ptr<Metrics> metrics;
  const api::ModelLimits limits;
  const std::string fingerprint;
  const int64_t created;  // Unix time
  const PromptMaker prompts;
  std::atomic<engine::Engine*> engine{nullptr};
  std::atomic<int> block_size{0};
  std::atomic<bool> draining{false};
  std::atomic<int> num_open{0};
  std::atomic<RequestId> next_id{1};
  OpenSequences open_sequences;

  static constexpr size_t kMaxQueuedRequests = 65536;
  Queue<Task> tasks{kMaxQueuedRequests};
  Queue<std::vector<EngineOutput>> outputs{
      std::numeric_limits<size_t>::max()};  // never refuses: the engine must not wait

 private:
  void work();
  void deliver();
  std::shared_ptr<void> open_request();

  std::vector<std::thread> threads_;
};

}  // namespace vllm::serve
