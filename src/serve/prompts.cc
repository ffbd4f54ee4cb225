#include "serve/prompts.h"

#include <algorithm>
#include <ctime>

#include "api/messages.h"
#include "base/utf8.h"

namespace vllm::serve {
namespace {

constexpr size_t kMaxBadWords = 128;
constexpr std::string_view kBlanks = " \t\r\n\f\v";

std::string_view view(const json::value& value) {
  return value.is_string() ? std::string_view(value.get_string().data(), value.get_string().size())
                           : std::string_view();
}

std::string_view left_trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin);
}
std::string_view trim(std::string_view text) {
  text = left_trim(text);
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

std::string last_text(const json::object& message) {
  const json::value& content = message.at("content");
  if (!content.is_array()) return std::string(view(content));
  std::string out;
  for (const json::value& part : content.get_array()) {
    const json::value* text = part.get_object().if_contains("text");
    if (!out.empty()) out += '\n';
    if (text) out += view(*text);
  }
  return out;
}

// What the template wrote, cut after the last message's text: the model goes on there.
api::ApiResult<std::string> leave_open(std::string rendered, std::string_view last) {
  const std::string_view bare = trim(last);
  const size_t at = rendered.rfind(bare);
  if (at == std::string::npos) {
    return api::bad_request(
        "continue_final_message is set but the final message does not appear in the chat after applying the chat "
        "template!");
  }
  const std::string_view with_tail = left_trim(last);  // keeps trailing blanks if the template kept them too
  const bool kept = std::string_view(rendered).substr(at).starts_with(with_tail);
  rendered.resize(at + (kept ? with_tail.size() : bare.size()));
  return rendered;
}

}  // namespace

PromptMaker::PromptMaker(std::shared_ptr<const text::Tokenizer> tokenizer,
                         std::shared_ptr<const text::ChatTemplate> chat_template, std::string model_name,
                         json::object default_kwargs, bool trust_request_template)
    : tokenizer_(std::move(tokenizer)),
      template_(std::move(chat_template)),
      model_name_(std::move(model_name)),
      default_kwargs_(std::move(default_kwargs)),
      trust_request_template_(trust_request_template) {
  for (TokenId id = 0; id < tokenizer_->vocab_size(); ++id) {
    if (auto token = tokenizer_->id_to_token(id)) {
      max_token_chars_ = std::max(max_token_chars_, static_cast<int64_t>(count_chars(*token)));
    }
  }
}

api::MaybeError PromptMaker::cut(std::vector<TokenId>& ids, const PromptLimits& limits, bool from_text) const {
  if (limits.truncate_prompt_tokens) {
    int64_t keep = *limits.truncate_prompt_tokens;
    if (keep < 0) keep = std::max<int64_t>(0, limits.max_model_len - (limits.may_generate ? 1 : 0));
    if (keep < static_cast<int64_t>(ids.size())) {
      if (limits.truncate_left) ids.erase(ids.begin(), ids.end() - keep);
      ids.resize(static_cast<size_t>(keep));
    }
  }
  const auto count = static_cast<int64_t>(ids.size());
  if (limits.max_model_len > 0 && count > limits.max_model_len) {
    // A text is not tokenized further than needed to know that it is too long, as far as the client can tell.
    const int64_t shown = from_text ? limits.max_model_len + 1 : count;
    return api::bad_parameter(
        fmt::format("This model's maximum context length is {} tokens. However, your prompt contains {}{} input "
                    "tokens, which exceeds this "
                    "limit even without any output tokens. Please reduce the length of the input prompt.",
                    limits.max_model_len, shown == limits.max_model_len + 1 ? "at least " : "", shown),
        "input_tokens", std::to_string(shown));
  }
  return std::nullopt;
}

api::ApiResult<Prompt> PromptMaker::from_text(std::string text, const PromptLimits& limits) const {
  if (limits.max_model_len > 0) {
    const int64_t most = limits.max_model_len * max_token_chars_;
    const auto chars = static_cast<int64_t>(count_chars(text));
    if (chars > most && !limits.truncate_prompt_tokens) {
      return api::bad_parameter(
          fmt::format("This model's maximum context length is {} tokens. However, your prompt contains {} characters "
                      "(more than {} characters, "
                      "which is the upper bound for {} input tokens). Please reduce the length of the input prompt.",
                      limits.max_model_len, chars, most, limits.max_model_len),
          "input_text", std::to_string(chars));
    }
    if (chars > most) {  // only one end of it can matter
      if (limits.truncate_left) {
        text.erase(0, utf8_prefix_bytes(text, static_cast<size_t>(chars - most)));
      } else {
        text.resize(utf8_prefix_bytes(text, static_cast<size_t>(most)));
      }
    }
  }
  auto ids = tokenizer_->encode(text, {.add_special_tokens = limits.add_special_tokens});
  if (!ids) return api::from_error(ids.error());
  Prompt prompt{std::move(text), std::move(*ids)};
  if (api::MaybeError error = cut(prompt.token_ids, limits, true)) return std::move(*error);
  return prompt;
}

api::ApiResult<Prompt> PromptMaker::from_ids(const std::vector<int64_t>& ids, const PromptLimits& limits,
                                             bool want_text) const {
  for (int64_t id : ids) {
    if (id >= tokenizer_->vocab_size()) return api::bad_request(fmt::format("Token id {} is out of vocabulary", id));
  }
  Prompt prompt;
  prompt.token_ids.assign(ids.begin(), ids.end());
  if (api::MaybeError error = cut(prompt.token_ids, limits, false)) return std::move(*error);
  if (want_text) prompt.text = tokenizer_->decode(prompt.token_ids);
  return prompt;
}

api::ApiResult<RenderedChat> PromptMaker::render(api::ChatInput& chat, const api::ChatCompletionRequest* full) const {
  const json::value* kwargs_template = chat.chat_template_kwargs.if_contains("chat_template");
  const bool own_template = chat.chat_template || (kwargs_template && !kwargs_template->is_null());
  if (own_template && !trust_request_template_) {
    return api::bad_request(
        "Chat template is passed with request, but --trust-request-chat-template is not set. "
        "Refused request with untrusted chat template.");
  }
  std::shared_ptr<const text::ChatTemplate> used = template_;
  if (own_template) {
    auto compiled = text::ChatTemplate::compile(chat.chat_template ? std::string_view(*chat.chat_template)
                                                                   : view(*kwargs_template));
    if (!compiled) return api::from_error(compiled.error());
    used = std::make_shared<const text::ChatTemplate>(std::move(*compiled));
  }
  if (!used) {
    return api::bad_request(
        "As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat template if "
        "the tokenizer does not define one.");
  }
  auto conversation = api::to_conversation(std::move(chat.messages), used->content_format(), model_name_);
  if (!conversation) return conversation.error();
  if (conversation->empty()) {
    return api::bad_request("Cannot apply chat template to an empty conversation. Provide at least one message.");
  }
  if (chat.continue_final_message && chat.add_generation_prompt) {
    return api::bad_request(
        "continue_final_message and add_generation_prompt are not compatible. Use continue_final_message when you want "
        "the "
        "model to continue the final message, and add_generation_prompt when you want to add a header that will prompt "
        "it "
        "to start a new assistant message instead.");
  }
  RenderedChat out;
  const json::object& last = conversation->back().get_object();
  out.last_role = view(last.at("role"));
  out.last_content = last_text(last);
  const std::string& source = used->source();
  const bool knows_developer = source.find("\"developer\"") != source.npos || source.find("'developer'") != source.npos;
  if (!knows_developer) api::developer_to_system(*conversation);

  // Weakest first: the server's defaults, the request's kwargs, the request's own fields.
  json::object variables = default_kwargs_;
  for (auto& [key, value] : chat.chat_template_kwargs) variables[key] = std::move(value);
  variables.erase("chat_template");
  variables["messages"] = std::move(*conversation);
  variables["tools"] = chat.tools ? json::value(std::move(*chat.tools)) : json::value(nullptr);
  variables["documents"] = full && full->documents ? json::value(*full->documents) : json::value(nullptr);
  variables["add_generation_prompt"] = chat.add_generation_prompt;
  if (full && full->reasoning_effort) {
    variables["reasoning_effort"] = *full->reasoning_effort;
    if (!variables.contains("enable_thinking")) variables["enable_thinking"] = *full->reasoning_effort != "none";
  }
  for (auto [name, id] : {std::pair{"bos_token", tokenizer_->bos_id()}, {"eos_token", tokenizer_->eos_id()}}) {
    if (auto token = id ? tokenizer_->id_to_token(*id) : std::nullopt) variables[name] = *token;
  }
  auto rendered = used->render(variables, static_cast<double>(std::time(nullptr)));
  if (!rendered) return api::from_error(rendered.error());
  out.text = std::move(*rendered);
  if (chat.continue_final_message) {
    auto open = leave_open(std::move(out.text), out.last_content);
    if (!open) return open.error();
    out.text = std::move(*open);
  }
  return out;
}

api::ApiResult<std::vector<std::vector<TokenId>>> PromptMaker::bad_words(const std::vector<std::string>& words) const {
  std::vector<std::vector<TokenId>> out;
  std::vector<std::string> seen;
  for (const std::string& word : words) {
    if (std::find(seen.begin(), seen.end(), word) != seen.end()) continue;
    if (seen.size() < kMaxBadWords) seen.push_back(word);
    const std::string bare(left_trim(word));
    auto plain = tokenizer_->encode(bare, {.add_special_tokens = false});
    if (!plain) return api::from_error(plain.error());
    if (plain->empty())
      return api::bad_parameter("bad_words entries must tokenize to at least one token.", "bad_words");
    auto spaced = tokenizer_->encode(" " + bare, {.add_special_tokens = false});
    if (!spaced) return api::from_error(spaced.error());
    // The form after a blank counts if it is spelled with tokens of its own.
    const bool differs = !spaced->empty() && spaced->front() != plain->front() && spaced->size() == plain->size();
    out.push_back(std::move(*plain));
    if (differs) out.push_back(std::move(*spaced));
    if (out.size() > kMaxBadWords) {
      return api::bad_parameter(
          fmt::format("Too many bad words after tokenization: {}. The max number is {}.", out.size(), kMaxBadWords),
          "bad_words");
    }
  }
  return out;
}

}  // namespace vllm::serve
