#include "serve/generation.h"

#include <algorithm>
#include <chrono>

namespace vllm::serve {

std::string_view finish_reason_text(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop: return "stop";
    case FinishReason::kLength: return "length";
    case FinishReason::kAbort: return "abort";
    case FinishReason::kError: return "error";
  }
  return "stop";
}

double steady_now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Generation::Generation(api::AnswerHead head, GenerationOptions options, std::vector<Prompt> prompts,
                       std::vector<ChoiceSpec> choices, std::shared_ptr<const text::Tokenizer> tokenizer,
                       std::shared_ptr<ResponseWriter> writer, std::shared_ptr<Metrics> metrics, Abort abort,
                       double arrival_s, std::shared_ptr<void> open)
    : head_([&] {
        if (options.stream) api::prepare_chunks(head, options.chat);
        return std::move(head);
      }()),
      options_(std::move(options)),
      prompts_(std::move(prompts)),
      ids_([&] {
        std::vector<RequestId> ids;
        for (const ChoiceSpec& choice : choices) ids.push_back(choice.id);
        return ids;
      }()),
      tokenizer_(std::move(tokenizer)),
      metrics_(std::move(metrics)),
      abort_(std::move(abort)),
      arrival_s_(arrival_s),
      writer_(std::move(writer)),
      open_(std::move(open)),
      cached_tokens_(prompts_.size(), 0) {
  constexpr size_t kTail = 8;  // tokens: enough for a stream to start as a continuation
  for (ChoiceSpec& spec : choices) {
    Choice choice;
    choice.prompt = choices_.size() / static_cast<size_t>(options_.n);
    const std::vector<TokenId>& ids = prompts_[choice.prompt].token_ids;
    const std::vector<TokenId> tail(ids.end() - static_cast<std::ptrdiff_t>(std::min(kTail, ids.size())), ids.end());
    choice.processor = std::make_unique<OutputProcessor>(tokenizer_, spec.output, tail);
    choice.spec = std::move(spec);
    choices_.push_back(std::move(choice));
  }
}

void Generation::start(Hold hold) {
  CHECK(hold.owns_lock());
  if (!options_.stream || !writer_) return;
  HttpResponse head;
  head.content_type = "text/event-stream; charset=utf-8";
  writer_->start_stream(std::move(head));
}

void Generation::fail(Hold hold, const api::ApiError& error) {
  CHECK(hold.owns_lock());
  open_.reset();
  if (writer_) writer_->respond({.status = error.status, .body = error.body()});
  writer_.reset();
  cancelled_ = true;
  for (RequestId id : ids_) abort_(id);
}

void Generation::on_disconnect() {
  cancelled_ = true;
  for (RequestId id : ids_) abort_(id);
}

void Generation::on_output(size_t index, EngineOutput&& output, double now_s, TokenGaps& gaps) {
  bool wants_abort = false;
  {
    std::lock_guard lock(mutex_);
    take_output(choices_[index], std::move(output), now_s, gaps, wants_abort);
  }
  if (wants_abort) {
    if (cancelled_) {
      for (RequestId id : ids_) abort_(id);
    } else {
      abort_(ids_[index]);
    }
  }
}

void Generation::take_output(Choice& choice, EngineOutput&& output, double now_s, TokenGaps& gaps, bool& wants_abort) {
  if (choice.done) return;  // what ran on after a stop string
  cached_tokens_[choice.prompt] = output.num_cached_tokens;
  if (first_cached_tokens_ < 0) first_cached_tokens_ = output.num_cached_tokens;
  if (!output.prompt_logprobs.empty()) choice.prompt_logprobs = std::move(output.prompt_logprobs);
  const bool engine_finished = output.finish_reason.has_value();
  std::string error = std::move(output.error);
  Measured seen{.num_cached_tokens = output.num_cached_tokens,
                .num_preemptions = output.num_preemptions,
                .scheduled_time_s = output.scheduled_time_s};
  OutputDelta& delta = choice.delta;
  const size_t num_new = choice.processor->process(std::move(output), delta);
  choice.num_tokens += static_cast<int>(num_new);
  seen.num_new_tokens = static_cast<int>(num_new);
  seen.finish_reason = delta.finish_reason;
  measure(choice, seen, now_s, gaps);
  if (delta.stopped_by_string && !engine_finished) wants_abort = true;
  choice.finish_reason = delta.finish_reason;
  if (delta.finish_reason) choice.done = true, ++num_done_;

  if (!writer_) return;
  if (cancelled_) {
    writer_.reset();
    open_.reset();
    return;
  }
  if (delta.finish_reason == FinishReason::kError) {
    break_off(error.empty() ? "Internal server error" : error);
    cancelled_ = wants_abort = true;
    return;
  }
  if (options_.stream) {
    const auto waiting = static_cast<int>(choice.delta.token_ids.size());
    if (choice.done || (waiting > 0 && (!choice.shown || waiting >= options_.stream_interval))) show(choice);
  }
  if (num_done_ == choices_.size()) finish();
  if (cancelled_) wants_abort = true;
}

void Generation::measure(Choice& choice, const Measured& output, double now_s, TokenGaps& gaps) {
  const int new_tokens = output.num_new_tokens;
  if (metrics_ && new_tokens > 0) {
    if (!choice.began) {
      metrics_->on_prompt(static_cast<int>(prompts_[choice.prompt].token_ids.size()), output.num_cached_tokens);
      metrics_->on_first_token(now_s - arrival_s_);
      if (new_tokens > 1) gaps.add(new_tokens - 1, 0);
    } else {
      gaps.add(new_tokens, now_s - choice.last_token_s);
    }
  }
  if (new_tokens > 0) {
    if (!choice.began) choice.first_token_s = now_s;
    choice.began = true;
    choice.last_token_s = now_s;
  }
  if (!metrics_ || !output.finish_reason) return;
  metrics_->on_tokens(gaps);  // who has read the answer finds all of it counted
  gaps.clear();
  FinishedSequence sequence;
  sequence.finish_reason = finish_reason_text(*output.finish_reason);
  sequence.e2e_s = now_s - arrival_s_;
  if (output.scheduled_time_s > 0 && choice.began) {
    sequence.queue_s = std::max(0.0, output.scheduled_time_s - arrival_s_);
    sequence.prefill_s = std::max(0.0, choice.first_token_s - output.scheduled_time_s);
    sequence.inference_s = std::max(0.0, choice.last_token_s - output.scheduled_time_s);
  }
  sequence.decode_s = choice.last_token_s - choice.first_token_s;
  sequence.num_prompt_tokens = static_cast<int>(prompts_[choice.prompt].token_ids.size());
  sequence.num_generation_tokens = choice.num_tokens;
  sequence.num_cached_tokens = output.num_cached_tokens;
  sequence.num_preemptions = output.num_preemptions;
  sequence.max_tokens = choice.spec.max_tokens;
  sequence.n = options_.n;
  metrics_->on_finished(sequence);
}

void Generation::send(std::string_view bytes) {
  if (!writer_) return;
  if (writer_->write(bytes) > options_.max_pending_bytes) {  // a reader that never reads
    writer_.reset();
    open_.reset();
    cancelled_ = true;
  }
}

void Generation::break_off(const std::string& message) {
  const std::string error = api::internal_error(message).body();
  open_.reset();
  if (!options_.stream) {
    writer_->respond({.status = 500, .body = error});
  } else {
    std::string out;
    api::append_error_event(out, error);
    api::append_done(out);
    writer_->write(out);
    writer_->end();
  }
  writer_.reset();
}

void Generation::finish() {
  if (!writer_) return;
  open_.reset();  // first: who has read the answer must find the request closed
  if (!options_.stream) {
    writer_->respond({.body = body()});
  } else {
    std::string out;
    if (options_.include_usage) api::append_usage_chunk(out, head_, total_usage(false), options_.chat);
    api::append_done(out);
    writer_->write(out);
    writer_->end();
  }
  writer_.reset();
}

api::Usage Generation::usage_of(const Choice& choice) const {
  return {static_cast<int64_t>(prompts_[choice.prompt].token_ids.size()), choice.num_tokens, {}};
}

api::Usage Generation::total_usage(bool of_last) const {
  api::Usage usage;
  for (const Prompt& prompt : prompts_) usage.prompt_tokens += static_cast<int64_t>(prompt.token_ids.size());
  for (const Choice& choice : choices_) usage.completion_tokens += choice.num_tokens;
  usage.details.given = options_.details;
  usage.details.cached_tokens = of_last ? cached_tokens_.back() : std::max(0, first_cached_tokens_);
  if (options_.chat) {  // whole blocks of the prompt that were not in the cache before
    const int whole =
        options_.block_size > 0 ? static_cast<int>(usage.prompt_tokens) / options_.block_size * options_.block_size : 0;
    usage.details.created_cache_tokens = std::max(0, whole - usage.details.cached_tokens);
  }
  return usage;
}

std::vector<api::ShownPosition> Generation::positions(const Choice& choice, bool with_prompt) const {
  std::vector<api::ShownPosition> out;
  if (with_prompt) {
    const std::vector<TokenId>& ids = prompts_[choice.prompt].token_ids;
    for (size_t i = 0; i < ids.size(); ++i) {
      const bool known = i > 0 && i <= choice.prompt_logprobs.size();
      out.push_back(known ? show_position(choice.prompt_logprobs[i - 1], options_.style, *tokenizer_)
                          : show_unknown(ids[i], options_.style, *tokenizer_));
    }
    if (options_.only_echo) return out;
  }
  for (size_t i = 0; i < choice.delta.token_ids.size(); ++i) {
    out.push_back(i < choice.delta.logprobs.size()
                      ? show_position(choice.delta.logprobs[i], options_.style, *tokenizer_)
                      : show_unknown(choice.delta.token_ids[i], options_.style, *tokenizer_));
  }
  return out;
}

std::string Generation::logprobs_json(Choice& choice, bool with_prompt) const {
  std::string out;
  if (!options_.logprobs) return out;
  const std::vector<api::ShownPosition> shown = positions(choice, with_prompt);
  if (options_.chat) {
    api::append_chat_logprobs(out, shown);
  } else {
    api::append_completion_logprobs(out, shown, choice.text_offset);
  }
  return out;
}

}  // namespace vllm::serve
