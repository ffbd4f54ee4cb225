#pragma once
// From requests to prompts: chat template, tokenizer, truncation and the length checks, in vLLM's order and words.
#include <memory>
#include <string>
#include <vector>

#include "api/requests.h"
#include "api/sampling.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace vllm::serve {

struct Prompt {
  std::string text;  // of a text prompt or a rendered chat; of token ids only if asked for
  std::vector<TokenId> token_ids;
};

/// A chat's prompt, and what an answer may need of the conversation.
struct RenderedChat {
  std::string text;
  std::string last_role, last_content;
};

struct PromptLimits {
  int64_t max_model_len = 0;  // 0 = no limit (/tokenize)
  std::optional<int64_t> truncate_prompt_tokens = {};
  bool truncate_left = true;
  bool add_special_tokens = true;
  bool may_generate = true;  // truncation to "the context" leaves a token of room
};

class PromptMaker {
 public:
  PromptMaker(std::shared_ptr<const text::Tokenizer> tokenizer, std::shared_ptr<const text::ChatTemplate> chat_template,
              std::string model_name, json::object default_kwargs, bool trust_request_template);

  api::ApiResult<Prompt> from_text(std::string text, const PromptLimits& limits) const;
  /// `want_text`: also decode (echo).
  api::ApiResult<Prompt> from_ids(const std::vector<int64_t>& ids, const PromptLimits& limits, bool want_text) const;
  /// `chat` loses its messages.
  api::ApiResult<RenderedChat> render(api::ChatInput& chat, const api::ChatCompletionRequest* full) const;
  /// Tokens that must not be completed, with and without a leading blank.
  api::ApiResult<std::vector<std::vector<TokenId>>> bad_words(const std::vector<std::string>& words) const;

 private:
  api::MaybeError cut(std::vector<TokenId>& ids, const PromptLimits& limits, bool from_text) const;

  std::shared_ptr<const text::Tokenizer> tokenizer_;
  std::shared_ptr<const text::ChatTemplate> template_;  // may be null: a base model
  std::string model_name_;
  json::object default_kwargs_;
  bool trust_request_template_;
  int64_t max_token_chars_ = 1;  // of the vocabulary: bounds how many tokens a text must have
};

}  // namespace vllm::serve
