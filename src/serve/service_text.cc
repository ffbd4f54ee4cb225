// /tokenize and /detokenize: text and tokens, without the engine.
#include "serve/service_impl.h"

namespace vllm::serve {
namespace {

api::MaybeError answer(Call& call, std::string body) {
  call.open.reset();
  call.writer->respond({.body = std::move(body)});
  return std::nullopt;
}

}  // namespace

api::MaybeError Service::Impl::tokenize(Call call) {
  auto request = api::parse_tokenize(std::move(call.body));
  if (!request) return request.error();
  if (auto error = check_model(request->model)) return error;
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
  return answer(
      call, api::tokenize_body(prompt->token_ids, config.max_model_len, request->return_token_strs ? &strs : nullptr));
}

api::MaybeError Service::Impl::detokenize(Call call) {
  auto request = api::parse_detokenize(std::move(call.body));
  if (!request) return request.error();
  if (auto error = check_model(request->model)) return error;
  std::vector<TokenId> ids;
  for (int64_t id : request->tokens) {
    if (id > std::numeric_limits<uint32_t>::max()) return api::bad_request("number too large to fit in target type");
    if (id < tokenizer->vocab_size()) ids.push_back(static_cast<TokenId>(id));  // others stand for no text
  }
  return answer(call, api::detokenize_body(tokenizer->decode(ids)));
}

}  // namespace vllm::serve
