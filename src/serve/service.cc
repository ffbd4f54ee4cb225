#include "serve/service.h"

#include <algorithm>
#include <ctime>
#include <limits>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "api/json_body.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/queue.h"
#include "base/version.h"
#include "serve/generation.h"
#include "serve/priority.h"
#include "serve/prompts.h"

namespace vllm::serve {
namespace {

constexpr size_t kMaxQueuedRequests = 65536;
constexpr size_t kMaxSequences = 16384;  // of one request

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
std::string fingerprint(const ServiceConfig& config) {
  const std::string text = fmt::format("{}|{}|{}", config.model_root, config.max_model_len, config.vocab_size);
  const Hash128 hash = siphash128({}, std::as_bytes(std::span(text.data(), text.size())));
  std::string version(kVersion);
  return fmt::format("vllm-{}-{:08x}", version.substr(0, version.find('+')), static_cast<uint32_t>(hash.lo));
}

}  // namespace

struct Service::Impl : std::enable_shared_from_this<Service::Impl> {
  using Writer = Service::Writer;
  using Task = std::function<void()>;
  // What the handlers of the two generating endpoints share.
  struct Job {
    const api::GenerateRequest* request = nullptr;
    GenerationOptions options = {};
    std::vector<Prompt> prompts = {};
    std::vector<SamplingParams> sampling = {};  // one per prompt
    const HttpRequest* http = nullptr;
    Writer writer;
    std::shared_ptr<void> open;
    double arrival_s = 0;
  };

  Impl(ServiceConfig c, std::shared_ptr<const text::Tokenizer> t, std::shared_ptr<const text::ChatTemplate> chat,
       std::shared_ptr<Metrics> m)
      : config(std::move(c)),
        tokenizer(std::move(t)),
        metrics(std::move(m)),
        limits(model_limits(config)),
        fingerprint_text(fingerprint(config)),
        created(std::time(nullptr)),
        prompts(tokenizer, std::move(chat),
                config.served_model_names.empty() ? std::string() : config.served_model_names.front(),
                config.default_chat_template_kwargs, config.trust_request_chat_template) {
    for (int i = 0; i < std::max(1, config.text_threads); ++i) threads.emplace_back([this] { work(); });
    threads.emplace_back([this] { deliver(); });
  }

  void stop() {
    tasks.close();
    outputs.close();
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  }

  // Text pool: parsing, templates, tokenizing.
  void work() {
    while (auto task = tasks.pop()) (*task)();
  }

  // The one thread that turns outputs into answers, so a request's outputs keep their order.
  void deliver() {
    struct Addressee {
      std::shared_ptr<Generation> generation;  // null: nobody waits for it any more
      size_t choice = 0;
    };
    std::vector<Addressee> addressees;
    TokenGaps gaps;
    while (auto batch = outputs.pop()) {
      const double now_s = steady_now_s();
      addressees.clear();
      {
        std::lock_guard lock(mutex);
        for (const EngineOutput& output : *batch) {
          Addressee& to = addressees.emplace_back();
          auto it = open_sequences.find(output.id);
          if (it == open_sequences.end()) continue;
          to = {it->second.first, it->second.second};
          if (output.finish_reason) open_sequences.erase(it);
        }
      }
      for (size_t i = 0; i < addressees.size(); ++i) {
        Addressee& to = addressees[i];
        if (to.generation) to.generation->on_output(to.choice, std::move((*batch)[i]), now_s, gaps);
        to.generation.reset();
      }
      if (metrics) metrics->on_tokens(gaps);
      gaps.clear();
    }
  }

  // Count a request as open until the returned handle goes.
  std::shared_ptr<void> open_request() {
    num_open.fetch_add(1);
    return {static_cast<void*>(this), [self = weak_from_this()](void*) {
              if (auto impl = self.lock()) impl->num_open.fetch_sub(1);
            }};
  }

  // Run `handle(body, job parts)` on the text pool; every error it returns is the answer.
  template <typename Handle>
  void enqueue(HttpRequest request, Writer writer, Handle handle) {
    if (draining) {
      writer->respond(error_response(api::unavailable("The server is shutting down.")));
      return;
    }
    const double arrival_s = steady_now_s();
    std::shared_ptr<void> open = open_request();
    auto shared = std::make_shared<HttpRequest>(std::move(request));
    Task task = [shared, writer, handle, arrival_s, open = std::move(open)]() mutable {
      auto body = api::parse_body(shared->body, shared->header("content-type"));
      std::string().swap(shared->body);
      api::MaybeError error =
          body ? handle(std::move(*body), *shared, writer, std::move(open), arrival_s) : api::MaybeError(body.error());
      open.reset();
      if (error) writer->respond(error_response(*error));
    };
    if (!tasks.push(std::move(task)))
      writer->respond(error_response(api::unavailable("Too many requests are waiting.")));
  }

  api::MaybeError check_model(const std::optional<std::string>& model) const {
    if (!model || model->empty()) return std::nullopt;
    for (const std::string& name : config.served_model_names) {
      if (name == *model) return std::nullopt;
    }
    return api::unknown_model(*model, config.served_model_names);
  }

  api::MaybeError check_ready() const {
    const engine::Engine* current = engine.load();
    if (!current) return api::unavailable("The engine is not ready.");
    if (!current->healthy())
      return api::internal_error("EngineCore encountered an issue. See the server's log for the root cause.");
    return std::nullopt;
  }

  PromptLimits prompt_limits(const api::GenerateRequest& request, bool add_special_tokens) const {
    return {.max_model_len = config.max_model_len,
            .truncate_prompt_tokens = request.truncate_prompt_tokens,
            .truncate_left = request.truncation_side.value_or("left") == "left",
            .add_special_tokens = add_special_tokens,
            .may_generate = true};
  }

  void common_options(const api::GenerateRequest& request, GenerationOptions& out) const {
    out.stream = request.stream;
    out.include_usage = request.stream && (request.stream_include_usage || config.enable_force_include_usage);
    out.continuous_usage = request.stream && request.stream_include_usage && request.stream_continuous_usage;
    out.return_token_ids = request.return_token_ids;
    out.style.tokens_as_ids = request.return_tokens_as_token_ids.value_or(config.return_tokens_as_token_ids);
    out.style.list_all = !request.logprob_token_ids.empty();
    out.stream_interval = static_cast<int>(std::min<int64_t>(request.stream_interval, std::numeric_limits<int>::max()));
    out.n = static_cast<int>(request.n);
    out.details = config.enable_prompt_tokens_details;
    out.block_size = block_size;
    out.max_pending_bytes = config.max_pending_bytes;
  }

  api::MaybeError completions(json::value body, const HttpRequest& http, const Writer& writer,
                              std::shared_ptr<void> open, double arrival_s);
  api::MaybeError chat(json::value body, const HttpRequest& http, const Writer& writer, std::shared_ptr<void> open,
                       double arrival_s);
  api::ApiResult<std::string> tokenize(json::value body);
  api::ApiResult<std::string> detokenize(json::value body);
  api::MaybeError check_tool_choice(const api::ChatCompletionRequest& request) const;
  api::MaybeError submit(Job job);

  const ServiceConfig config;
  const std::shared_ptr<const text::Tokenizer> tokenizer;
  const std::shared_ptr<Metrics> metrics;
  const api::ModelLimits limits;
  const std::string fingerprint_text;
  const int64_t created;
  const PromptMaker prompts;
  std::atomic<engine::Engine*> engine{nullptr};
  std::atomic<int> block_size{0};
  std::atomic<bool> draining{false};
  std::atomic<int> num_open{0};
  std::atomic<RequestId> next_id{1};

  std::mutex mutex;  // guards open_sequences
  std::unordered_map<RequestId, std::pair<std::shared_ptr<Generation>, size_t>> open_sequences;

  Queue<Task> tasks{kMaxQueuedRequests};
  Queue<std::vector<EngineOutput>> outputs{
      std::numeric_limits<size_t>::max()};  // never refuses: the engine must not wait
  std::vector<std::thread> threads;
};

api::MaybeError Service::Impl::completions(json::value body, const HttpRequest& http, const Writer& writer,
                                           std::shared_ptr<void> open, double arrival_s) {
  auto request = api::parse_completion(std::move(body));
  if (!request) return request.error();
  if (auto error = check_model(request->model)) return error;
  if (auto error = check_ready()) return error;
  if (auto error = api::check_lengths(request->max_tokens, "max_tokens", request->truncate_prompt_tokens, limits))
    return error;

  Job job{.request = &*request, .http = &http, .writer = writer, .open = std::move(open), .arrival_s = arrival_s};
  const PromptLimits prompt_limit = prompt_limits(*request, request->add_special_tokens);
  for (auto& given : request->prompts) {
    auto* text = std::get_if<std::string>(&given);
    auto prompt = text ? prompts.from_text(std::move(*text), prompt_limit)
                       : prompts.from_ids(std::get<std::vector<int64_t>>(given), prompt_limit,
                                          request->echo && !request->return_token_ids);
    if (!prompt) return prompt.error();
    auto sampling = api::to_sampling(*request, static_cast<int64_t>(prompt->token_ids.size()), limits);
    if (!sampling) return sampling.error();
    if (prompt->token_ids.empty()) return api::bad_request("The decoder prompt cannot be empty");
    job.prompts.push_back(std::move(*prompt));
    job.sampling.push_back(std::move(*sampling));
  }
  common_options(*request, job.options);
  job.options.echo = request->echo;
  job.options.only_echo = request->echo && request->max_tokens == 0;
  job.options.logprobs = request->logprobs.has_value();
  job.options.prompt_logprobs = job.sampling[0].prompt_logprobs.has_value();
  job.options.style.num_top = static_cast<int>(request->logprobs.value_or(0));
  return submit(std::move(job));
}

// tools without a choice go into the template and are not parsed; any other choice needs what vLLM needs.
api::MaybeError Service::Impl::check_tool_choice(const api::ChatCompletionRequest& request) const {
  if (request.tool_choice == "none") return std::nullopt;
  const bool has_parser = !config.tool_call_parser.empty();
  if (request.tool_choice == "auto") {
    if (has_parser && config.enable_auto_tool_choice) return std::nullopt;
    return api::bad_request("\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set");
  }
  const std::string shown =
      request.tool_choice == "named" ? fmt::format("function \"{}\"", request.tool_choice_name) : "\"required\"";
  if (!has_parser) return api::bad_request(fmt::format("tool_choice={} requires --tool-call-parser to be set", shown));
  return api::not_built("tool_choice", "tool_choice=" + shown);
}

api::MaybeError Service::Impl::chat(json::value body, const HttpRequest& http, const Writer& writer,
                                    std::shared_ptr<void> open, double arrival_s) {
  auto request = api::parse_chat_completion(std::move(body));
  if (!request) return request.error();
  if (auto error = check_model(request->model)) return error;
  if (auto error = check_ready()) return error;
  if (auto error = check_tool_choice(*request)) return error;
  const bool newer = request->max_completion_tokens.has_value();
  if (auto error =
          api::check_lengths(newer ? request->max_completion_tokens : request->max_tokens,
                             newer ? "max_completion_tokens" : "max_tokens", request->truncate_prompt_tokens, limits)) {
    return error;
  }
  auto rendered = prompts.render(*request, &*request);
  if (!rendered) return rendered.error();
  auto prompt = prompts.from_text(std::move(rendered->text), prompt_limits(*request, request->add_special_tokens));
  if (!prompt) return prompt.error();
  auto sampling = api::to_sampling(*request, static_cast<int64_t>(prompt->token_ids.size()), limits);
  if (!sampling) return sampling.error();
  if (prompt->token_ids.empty()) return api::bad_request("The decoder prompt cannot be empty");

  Job job{.request = &*request, .http = &http, .writer = writer, .open = std::move(open), .arrival_s = arrival_s};
  common_options(*request, job.options);
  job.options.chat = true;
  job.options.role = request->add_generation_prompt ? config.response_role : rendered->last_role;
  job.options.echo = request->echo;
  if (request->echo && rendered->last_role == job.options.role) job.options.echo_content = rendered->last_content;
  job.options.return_prompt_text = request->return_prompt_text;
  job.options.logprobs = request->logprobs;
  job.options.prompt_logprobs = sampling->prompt_logprobs.has_value();
  job.options.style.chat = true;
  job.options.sparse_deltas = !config.tool_call_parser.empty();
  job.options.style.num_top = static_cast<int>(request->top_logprobs);
  job.prompts.push_back(std::move(*prompt));
  job.sampling.push_back(std::move(*sampling));
  return submit(std::move(job));
}

api::MaybeError Service::Impl::submit(Job job) {
  const api::GenerateRequest& request = *job.request;
  for (SamplingParams& sampling : job.sampling) {
    if (request.bad_words.empty()) break;
    auto words = prompts.bad_words(request.bad_words);
    if (!words) return words.error();
    sampling.bad_words = std::move(*words);
  }
  const api::ApiResult<int> priority = priority_of(*job.http, request);
  if (!priority) return priority.error();
  const std::string& header_id = job.http->header("x-request-id");
  const std::string id = !header_id.empty() ? header_id : request.request_id ? *request.request_id : api::random_id();
  api::AnswerHead head{
      fmt::format("{}-{}", job.options.chat ? "chatcmpl" : "cmpl", id), static_cast<int64_t>(std::time(nullptr)),
      config.served_model_names.empty() ? std::string() : config.served_model_names.front(), fingerprint_text};
  if (config.enable_log_requests) {
    const SamplingParams& p = job.sampling[0];
    LOG_INFO(
        "Received request {}: params: SamplingParams(n={}, presence_penalty={}, frequency_penalty={}, "
        "repetition_penalty={}, temperature={}, "
        "top_p={}, top_k={}, min_p={}, seed={}, max_tokens={}, min_tokens={}), prompt tokens: {}, lora_request: None.",
        head.id, request.n, p.presence_penalty, p.frequency_penalty, p.repetition_penalty, p.temperature, p.top_p,
        p.top_k, p.min_p, api::has_seed(request) ? std::to_string(*request.seed) : "None", p.max_tokens, p.min_tokens,
        job.prompts[0].token_ids.size());
  }

  if (job.prompts.size() * static_cast<size_t>(job.options.n) > kMaxSequences) {
    return api::bad_request(fmt::format("The prompts times n must be at most {}.", kMaxSequences));
  }
  std::vector<EngineRequest> sequences;
  std::vector<Generation::ChoiceSpec> choices;
  for (size_t p = 0; p < job.prompts.size(); ++p) {
    for (int i = 0; i < job.options.n; ++i) {
      EngineRequest sequence;
      sequence.id = next_id.fetch_add(1);
      sequence.prompt_token_ids = job.prompts[p].token_ids;
      sequence.sampling = job.sampling[p];
      // Choices of one prompt must differ, and do so in the same way each time a seed is given.
      sequence.sampling.seed =
          api::has_seed(request) ? job.sampling[p].seed + static_cast<uint64_t>(i) : random_key().lo;
      if (config.priority_scheduling) sequence.priority = *priority;
      sequence.arrival_time_s = job.arrival_s;
      sequence.cache_salt = request.cache_salt.value_or("");
      sequence.num_admitted = i == 0 ? job.options.n : 0;
      Generation::ChoiceSpec choice;
      choice.id = sequence.id;
      choice.max_tokens = sequence.sampling.max_tokens;
      choice.output = {request.stop, request.include_stop_str_in_output, request.skip_special_tokens,
                       request.spaces_between_special_tokens, sequence.sampling.min_tokens};
      choices.push_back(std::move(choice));
      sequences.push_back(std::move(sequence));
    }
  }
  engine::Engine* const current = engine.load();
  auto generation = std::make_shared<Generation>(
      std::move(head), std::move(job.options), std::move(job.prompts), std::move(choices), tokenizer, job.writer,
      metrics, [current](RequestId sequence) { current->abort(sequence); }, job.arrival_s, std::move(job.open));
  {
    std::lock_guard lock(mutex);
    for (size_t i = 0; i < sequences.size(); ++i) open_sequences[sequences[i].id] = {generation, i};
  }
  job.writer->on_disconnect([weak = std::weak_ptr(generation)] {
    if (auto alive = weak.lock()) alive->on_disconnect();
  });
  // Outputs may come as soon as the first sequence is with the engine; they wait until the head of the answer is out.
  auto held = generation->hold();
  for (EngineRequest& sequence : sequences) {
    Status status = current->submit(std::move(sequence));
    if (status) continue;
    Error error = status.error();
    if (error.code == ErrorCode::kResourceExhausted) {
      if (metrics) metrics->on_rejected(error.param);
      error.param.clear();  // a flag's name, not a field's
    }
    generation->fail(std::move(held), api::from_error(error));
    std::lock_guard lock(mutex);
    for (RequestId other : generation->ids()) open_sequences.erase(other);
    return std::nullopt;
  }
  generation->start(std::move(held));
  if (generation->cancelled())
    generation->on_disconnect();  // the client went while sequences were still being submitted
  return std::nullopt;
}

api::ApiResult<std::string> Service::Impl::tokenize(json::value body) {
  auto request = api::parse_tokenize(std::move(body));
  if (!request) return request.error();
  if (auto error = check_model(request->model)) return *error;
  std::string text = std::move(request->prompt);
  if (request->is_chat) {
    auto rendered = prompts.render(*request, nullptr);
    if (!rendered) return rendered.error();
    text = std::move(rendered->text);
  }
  auto prompt = prompts.from_text(std::move(text), {.add_special_tokens = request->add_special_tokens});
  if (!prompt) return prompt.error();
  std::vector<std::string> strs;
  if (request->return_token_strs) {
    for (TokenId id : prompt->token_ids) strs.emplace_back(tokenizer->id_to_token(id).value_or(""));
  }
  return api::tokenize_body(prompt->token_ids, config.max_model_len, request->return_token_strs ? &strs : nullptr);
}

api::ApiResult<std::string> Service::Impl::detokenize(json::value body) {
  auto request = api::parse_detokenize(std::move(body));
  if (!request) return request.error();
  if (auto error = check_model(request->model)) return *error;
  std::vector<TokenId> ids;
  for (int64_t id : request->tokens) {
    if (id > std::numeric_limits<uint32_t>::max()) return api::bad_request("number too large to fit in target type");
    if (id < tokenizer->vocab_size()) ids.push_back(static_cast<TokenId>(id));  // others stand for no text
  }
  return api::detokenize_body(tokenizer->decode(ids));
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
  impl_->enqueue(std::move(request), std::move(writer),
                 [impl = impl_.get()](json::value body, const HttpRequest& http, const Writer& to,
                                      std::shared_ptr<void> open, double arrival_s) {
                   return impl->completions(std::move(body), http, to, std::move(open), arrival_s);
                 });
}

void Service::chat_completions(HttpRequest request, Writer writer) {
  impl_->enqueue(std::move(request), std::move(writer),
                 [impl = impl_.get()](json::value body, const HttpRequest& http, const Writer& to,
                                      std::shared_ptr<void> open, double arrival_s) {
                   return impl->chat(std::move(body), http, to, std::move(open), arrival_s);
                 });
}

void Service::tokenize(HttpRequest request, Writer writer) {
  impl_->enqueue(std::move(request), std::move(writer),
                 [impl = impl_.get()](json::value body, const HttpRequest&, const Writer& to,
                                      std::shared_ptr<void> open, double) -> api::MaybeError {
                   auto answer = impl->tokenize(std::move(body));
                   open.reset();
                   if (!answer) return answer.error();
                   to->respond({.body = std::move(*answer)});
                   return std::nullopt;
                 });
}

void Service::detokenize(HttpRequest request, Writer writer) {
  impl_->enqueue(std::move(request), std::move(writer),
                 [impl = impl_.get()](json::value body, const HttpRequest&, const Writer& to,
                                      std::shared_ptr<void> open, double) -> api::MaybeError {
                   auto answer = impl->detokenize(std::move(body));
                   open.reset();
                   if (!answer) return answer.error();
                   to->respond({.body = std::move(*answer)});
                   return std::nullopt;
                 });
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
