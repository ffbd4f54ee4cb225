#include "serve/service.h"

#include <algorithm>
#include <ctime>

#include "api/json_body.h"
#include "base/hash.h"
#include "base/version.h"
#include "serve/service_impl.h"

namespace vllm::serve {
namespace {

HttpResponse error_response(const api::ApiError& error) { return {.status = error.status, .body = error.body()}; }

api::ModelLimits model_limits(const ServiceConfig& config) {
  api::ModelLimits limits;
  limits.max_model_len = config.max_model_len;
  limits.vocab_size = config.vocab_size;
  limits.max_logprobs = config.max_logprobs;
  limits.temperature = config.generation.temperature;
  limits.top_p = config.generation.top_p;
  limits.min_p = config.generation.min_p;
  limits.repetition_penalty = config.generation.repetition_penalty;
  limits.top_k = config.generation.top_k;
  limits.max_new_tokens = config.generation.max_new_tokens;
  limits.eos_token_ids = config.eos_token_ids;
  return limits;
}

// vllm-<version>-<hash8>: the same for the same model and limits.
std::string fingerprint_of(const ServiceConfig& config) {
  const std::string text = fmt::format("{}|{}|{}", config.model_root, config.max_model_len, config.vocab_size);
  const Hash128 hash = siphash128({}, std::as_bytes(std::span(text.data(), text.size())));
  std::string version(kVersion);
  return fmt::format("vllm-{}-{:08x}", version.substr(0, version.find('+')), static_cast<uint32_t>(hash.lo));
}

}  // namespace

Service::Impl::Impl(ServiceConfig c, std::shared_ptr<const text::Tokenizer> t,
                    std::shared_ptr<const text::ChatTemplate> chat_template, std::shared_ptr<Metrics> m)
    : config(std::move(c)),
      tokenizer(std::move(t)),
      metrics(std::move(m)),
      limits(model_limits(config)),
      fingerprint(fingerprint_of(config)),
      created(std::time(nullptr)),
      prompts(tokenizer, std::move(chat_template), model_name(), config.default_chat_template_kwargs,
              config.trust_request_chat_template) {
  for (int i = 0; i < std::max(1, config.text_threads); ++i) threads_.emplace_back([this] { work(); });
  threads_.emplace_back([this] { deliver(); });
}

void Service::Impl::stop() {
  tasks.close();
  outputs.close();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

std::string Service::Impl::model_name() const {
  return config.served_model_names.empty() ? std::string() : config.served_model_names.front();
}

// A thread of the text pool: parsing, templates, tokenizing.
void Service::Impl::work() {
  while (auto task = tasks.pop()) (*task)();
}

// The one thread that turns outputs into answers.
void Service::Impl::deliver() {
  TokenGaps gaps;
  while (auto batch = outputs.pop()) {
    open_sequences.deliver(std::move(*batch), gaps);
    if (metrics) metrics->on_tokens(gaps);
    gaps.clear();
  }
}

// Count a request as open until the returned handle goes.
std::shared_ptr<void> Service::Impl::open_request() {
  num_open.fetch_add(1);
  return {static_cast<void*>(this), [self = weak_from_this()](void*) {
            if (auto impl = self.lock()) impl->num_open.fetch_sub(1);
          }};
}

void Service::Impl::enqueue(HttpRequest request, Writer writer, Handler handler) {
  if (draining) {
    writer->respond(error_response(api::unavailable("The server is shutting down.")));
    return;
  }
  auto shared = std::make_shared<HttpRequest>(std::move(request));
  Task task = [this, shared, writer, handler, arrival_s = steady_now_s(), open = open_request()]() mutable {
    auto body = api::parse_body(shared->body, shared->header("content-type"));
    std::string().swap(shared->body);
    api::MaybeError error =
        body ? (this->*handler)({std::move(*body), *shared, writer, std::move(open), arrival_s}) : body.error();
    open.reset();
    if (error) writer->respond(error_response(*error));
  };
  if (!tasks.push(std::move(task))) writer->respond(error_response(api::unavailable("Too many requests are waiting.")));
}

Service::Service(ServiceConfig config, std::shared_ptr<const text::Tokenizer> tokenizer,
                 std::shared_ptr<const text::ChatTemplate> chat_template, std::shared_ptr<Metrics> metrics)
    : impl_(std::make_shared<Impl>(std::move(config), std::move(tokenizer), std::move(chat_template),
                                   std::move(metrics))) {}

Service::~Service() { impl_->stop(); }

engine::OutputSink Service::output_sink() {
  return [impl = std::weak_ptr(impl_)](std::vector<EngineOutput>&& batch) {
    if (auto alive = impl.lock()) alive->outputs.push(std::move(batch));
  };
}

void Service::set_engine(engine::Engine* engine) {
  impl_->block_size = engine ? engine->stats().block_size : 0;
  impl_->engine = engine;
}

void Service::completions(HttpRequest request, Writer writer) {
  impl_->enqueue(std::move(request), std::move(writer), &Impl::completions);
}

void Service::chat_completions(HttpRequest request, Writer writer) {
  impl_->enqueue(std::move(request), std::move(writer), &Impl::chat);
}

void Service::tokenize(HttpRequest request, Writer writer) {
  impl_->enqueue(std::move(request), std::move(writer), &Impl::tokenize);
}

void Service::detokenize(HttpRequest request, Writer writer) {
  impl_->enqueue(std::move(request), std::move(writer), &Impl::detokenize);
}

void Service::list_models(HttpRequest, Writer writer) {
  std::vector<api::ServedModel> models;
  for (const std::string& name : impl_->config.served_model_names) {
    models.push_back({name, impl_->config.model_root, impl_->created, impl_->config.max_model_len});
  }
  writer->respond({.body = api::models_body(models)});
}

int Service::num_open_requests() const { return impl_->num_open; }

void Service::drain() { impl_->draining = true; }

}  // namespace vllm::serve
