// The two styles of a Generation's answer: completions and chat, as stream chunks and as a body.
#include "serve/generation.h"

namespace vllm::serve {
namespace {

constexpr size_t kKeptBytes = size_t{64} << 10;
using Ids = std::optional<std::span<const TokenId>>;

Ids ids_if(bool wanted, const std::vector<TokenId>& ids) { return wanted ? Ids(ids) : std::nullopt; }

}  // namespace

void Generation::show(Choice& choice) {
  thread_local std::string out;  // one for all streams of the delivering thread: it stays in the cache
  if (out.capacity() > kKeptBytes) std::string().swap(out);
  out.clear();
  if (options_.chat) {
    show_chat(choice, out);
  } else {
    show_completion(choice, out);
  }
  choice.shown = true;
  choice.delta.text.clear(), choice.delta.token_ids.clear(), choice.delta.logprobs.clear();
  if (!out.empty()) send(out);
}

void Generation::show_completion(Choice& choice, std::string& out) {
  const Prompt& prompt = prompts_[choice.prompt];
  const bool with_prompt = options_.echo && !choice.shown;
  std::string_view text = options_.only_echo ? std::string_view() : std::string_view(choice.delta.text);
  std::string echoed;
  if (with_prompt && !options_.return_token_ids) {
    echoed = prompt.text;
    echoed += text;
    text = echoed;
  }
  const std::string logprobs = logprobs_json(choice, with_prompt);
  api::Usage usage;
  if (options_.continuous_usage) usage = usage_of(choice);
  api::CompletionChoice chunk;
  chunk.index = static_cast<int>(&choice - choices_.data());
  chunk.text = text;
  chunk.logprobs_json = logprobs;
  if (choice.delta.finish_reason) chunk.finish_reason = finish_reason_text(*choice.delta.finish_reason);
  chunk.stop_reason = &choice.delta.stop_reason;
  chunk.token_ids = ids_if(options_.return_token_ids, choice.delta.token_ids);
  chunk.prompt_token_ids = ids_if(!choice.shown && (options_.echo || options_.return_token_ids), prompt.token_ids);
  api::append_completion_chunk(out, head_, chunk, options_.continuous_usage ? &usage : nullptr,
                               choice.done && !options_.include_usage);
}

void Generation::begin_chat_stream(std::string& out) {
  const Prompt& prompt = prompts_[0];
  api::Usage usage{static_cast<int64_t>(prompt.token_ids.size()), 0, {}};
  const api::Usage* shown_usage = options_.continuous_usage ? &usage : nullptr;
  api::ChatExtras extras;
  extras.prompt_token_ids = ids_if(options_.return_token_ids, prompt.token_ids);
  if (options_.return_prompt_text) extras.prompt_text = prompt.text;
  for (int i = 0; i < options_.n; ++i) api::append_chat_role_chunk(out, head_, i, options_.role, extras, shown_usage);
  if (!options_.echo || options_.echo_content.empty()) return;
  for (int i = 0; i < options_.n; ++i) {
    api::ChatChoice chunk;
    chunk.index = i;
    chunk.content = options_.echo_content;
    api::append_chat_chunk(out, head_, chunk, shown_usage, false, true);
  }
}

void Generation::show_chat(Choice& choice, std::string& out) {
  bool first = true;
  for (const Choice& other : choices_) first = first && !other.shown;
  if (first) begin_chat_stream(out);
  const bool empty = options_.sparse_deltas && choice.delta.text.empty();
  if (empty && !choice.done && !options_.logprobs && !options_.return_token_ids) return;
  const std::string logprobs = logprobs_json(choice, false);
  api::Usage usage;
  if (options_.continuous_usage) usage = usage_of(choice);
  api::ChatChoice chunk;
  chunk.index = static_cast<int>(&choice - choices_.data());
  chunk.content = choice.delta.text;
  chunk.omit_content = empty;
  chunk.logprobs_json = logprobs;
  if (choice.delta.finish_reason) chunk.finish_reason = finish_reason_text(*choice.delta.finish_reason);
  chunk.stop_reason = &choice.delta.stop_reason;
  chunk.token_ids = ids_if(options_.return_token_ids, choice.delta.token_ids);
  api::append_chat_chunk(out, head_, chunk, options_.continuous_usage ? &usage : nullptr,
                         choice.done && !options_.include_usage);
}

std::string Generation::body() {
  std::vector<std::string> texts, logprobs, prompt_logprobs;
  for (Choice& choice : choices_) {
    std::string text;
    if (options_.echo && options_.chat) text = options_.echo_content;
    if (options_.echo && !options_.chat && !options_.return_token_ids) text = prompts_[choice.prompt].text;
    if (!options_.only_echo) text += choice.delta.text;
    texts.push_back(std::move(text));
    logprobs.push_back(logprobs_json(choice, options_.echo && !options_.chat));
    prompt_logprobs.push_back(options_.prompt_logprobs ? write_prompt_logprobs(choice.prompt_logprobs, *tokenizer_)
                                                       : std::string());
  }
  const api::Usage usage = total_usage(true);
  if (options_.chat) {
    std::vector<api::ChatChoice> shown;
    for (size_t i = 0; i < choices_.size(); ++i) {
      const Choice& choice = choices_[i];
      shown.push_back({.index = static_cast<int>(i),
                       .role = options_.role,
                       .content = texts[i],
                       .logprobs_json = logprobs[i],
                       .finish_reason = finish_reason_text(choice.finish_reason.value_or(FinishReason::kStop)),
                       .stop_reason = &choice.delta.stop_reason,
                       .token_ids = ids_if(options_.return_token_ids, choice.delta.token_ids)});
    }
    api::ChatExtras extras;
    extras.prompt_logprobs_json = prompt_logprobs[0];
    extras.prompt_token_ids = ids_if(options_.return_token_ids, prompts_[0].token_ids);
    if (options_.return_prompt_text) extras.prompt_text = prompts_[0].text;
    return api::chat_body(head_, shown, usage, extras);
  }
  std::vector<api::CompletionChoice> shown;
  for (size_t i = 0; i < choices_.size(); ++i) {
    const Choice& choice = choices_[i];
    shown.push_back({.index = static_cast<int>(i),
                     .text = texts[i],
                     .logprobs_json = logprobs[i],
                     .finish_reason = finish_reason_text(choice.finish_reason.value_or(FinishReason::kStop)),
                     .stop_reason = &choice.delta.stop_reason,
                     .token_ids = ids_if(options_.return_token_ids, choice.delta.token_ids),
                     .prompt_token_ids = ids_if(options_.return_token_ids, prompts_[choice.prompt].token_ids),
                     .prompt_logprobs_json = prompt_logprobs[i]});
  }
  return api::completion_body(head_, shown, usage);
}

}  // namespace vllm::serve
