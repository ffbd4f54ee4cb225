// From jobs to sequences with the engine.
#include <ctime>

#include "base/hash.h"
#include "base/log.h"
#include "serve/priority.h"
#include "serve/service_impl.h"

namespace vllm::serve {
namespace {

constexpr size_t kMaxSequences = 16384;  // of one request

std::string answer_id(const Job& job) {
  const std::string& header = job.call.http.header("x-request-id");
  const std::string id = !header.empty() ? header : job.request.request_id ? *job.request.request_id : api::random_id();
  return fmt::format("{}-{}", job.options.chat ? "chatcmpl" : "cmpl", id);
}

void log_request(const std::string& id, const Job& job) {
  const SamplingParams& p = job.sampling[0];
  LOG_INFO(
      "Received request {}: params: SamplingParams(n={}, presence_penalty={}, frequency_penalty={}, "
      "repetition_penalty={}, temperature={}, "
      "top_p={}, top_k={}, min_p={}, seed={}, max_tokens={}, min_tokens={}), prompt tokens: {}, lora_request: None.",
      id, job.request.n, p.presence_penalty, p.frequency_penalty, p.repetition_penalty, p.temperature, p.top_p, p.top_k,
      p.min_p, api::has_seed(job.request) ? std::to_string(*job.request.seed) : "None", p.max_tokens, p.min_tokens,
      job.prompts[0].token_ids.size());
}

// n per prompt, prompt by prompt; ids from `next_id` on.
std::vector<EngineRequest> make_sequences(const Job& job, std::atomic<RequestId>& next_id, int priority) {
  std::vector<EngineRequest> sequences;
  for (size_t p = 0; p < job.prompts.size(); ++p) {
    for (int i = 0; i < job.options.n; ++i) {
      EngineRequest& sequence = sequences.emplace_back();
      sequence.id = next_id.fetch_add(1);
      sequence.prompt_token_ids = job.prompts[p].token_ids;
      sequence.sampling = job.sampling[p];
      // Choices of one prompt must differ, and do so in the same way each time a seed is given.
      sequence.sampling.seed =
          api::has_seed(job.request) ? job.sampling[p].seed + static_cast<uint64_t>(i) : random_key().lo;
      sequence.priority = priority;
      sequence.arrival_time_s = job.call.arrival_s;
      sequence.cache_salt = job.request.cache_salt.value_or("");
      sequence.num_admitted = i == 0 ? job.options.n : 0;
    }
  }
  return sequences;
}

Generation::ChoiceSpec choice_of(const EngineRequest& sequence, const api::GenerateRequest& request) {
  Generation::ChoiceSpec choice;
  choice.id = sequence.id;
  choice.max_tokens = sequence.sampling.max_tokens;
  choice.output = {request.stop, request.include_stop_str_in_output, request.skip_special_tokens,
                   request.spaces_between_special_tokens, sequence.sampling.min_tokens};
  return choice;
}

}  // namespace

api::MaybeError Service::Impl::submit(Job job) {
  const api::GenerateRequest& request = job.request;
  for (SamplingParams& sampling : job.sampling) {
    if (request.bad_words.empty()) break;
    auto words = prompts.bad_words(request.bad_words);
    if (!words) return words.error();
    sampling.bad_words = std::move(*words);
  }
  const api::ApiResult<int> priority = priority_of(job.call.http, request);
  if (!priority) return priority.error();
  api::AnswerHead head{answer_id(job), static_cast<int64_t>(std::time(nullptr)), model_name(), fingerprint};
  if (config.enable_log_requests) log_request(head.id, job);

  if (job.prompts.size() * static_cast<size_t>(job.options.n) > kMaxSequences) {
    return api::bad_request(fmt::format("The prompts times n must be at most {}.", kMaxSequences));
  }
  std::vector<EngineRequest> sequences = make_sequences(job, next_id, config.priority_scheduling ? *priority : 0);
  std::vector<Generation::ChoiceSpec> choices;
  for (const EngineRequest& sequence : sequences) choices.push_back(choice_of(sequence, request));
  engine::Engine* const current = engine.load();
  auto generation = std::make_shared<Generation>(
      std::move(head), std::move(job.options), std::move(job.prompts), std::move(choices), tokenizer, job.call.writer,
      metrics, [current](RequestId sequence) { current->abort(sequence); }, job.call.arrival_s,
      std::move(job.call.open));
  open_sequences.add(generation);
  job.call.writer->on_disconnect([weak = std::weak_ptr(generation)] {
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
    open_sequences.remove(*generation);
    return std::nullopt;
  }
  generation->start(std::move(held));
  if (generation->cancelled())
    generation->on_disconnect();  // the client went while sequences were still being submitted
  return std::nullopt;
}

}  // namespace vllm::serve
