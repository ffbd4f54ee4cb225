#include "text/tokenizer/tokenizer_config.h"

#include <charconv>
#include <limits>
#include <unordered_map>

namespace vllm::text {
namespace {

// "<s>" or {"content": "<s>", ...}; empty if absent.
std::string token_text(const json::object& config, std::string_view key) {
  if (auto text = get_string(config, key)) return *text;
  const json::object* object = get_object(config, key);
  return object ? get_string(*object, "content").value_or("") : "";
}

Status read_added_tokens_decoder(const json::object& config, TokenizerParts& parts,
                                 std::unordered_map<std::string, TokenId>& known) {
  const json::object* decoder = get_object(config, "added_tokens_decoder");
  if (!decoder) return Status::ok();
  for (const auto& [key, value] : *decoder) {
    int64_t id = -1;
    const auto [end, code] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (code != std::errc() || end != key.data() + key.size()) {
      return invalid_argument("added_tokens_decoder: \"{:.40}\" is no id", std::string_view(key));
    }
    ASSIGN_OR_RETURN(AddedToken token, parse_added_token(value, id));
    if (known.try_emplace(token.content, token.id).second) parts.added.push_back(std::move(token));
  }
  return Status::ok();
}

}  // namespace

Result<AddedToken> parse_added_token(const json::value& value, int64_t id) {
  if (id < 0 || id > std::numeric_limits<TokenId>::max())
    return invalid_argument("an added token's id {} is out of range", id);
  AddedToken token;
  token.id = static_cast<TokenId>(id);
  if (const json::string* text = value.if_string()) {
    token.content = {text->data(), text->size()};
    token.special = true;
    return token;
  }
  const json::object* object = value.if_object();
  auto content = object ? get_string(*object, "content") : std::nullopt;
  if (!content) return invalid_argument("added token {} has no string `content`", id);
  token.content = std::move(*content);
  token.special = get_bool(*object, "special").value_or(false);
  token.single_word = get_bool(*object, "single_word").value_or(false);
  token.lstrip = get_bool(*object, "lstrip").value_or(false);
  token.rstrip = get_bool(*object, "rstrip").value_or(false);
  token.normalized = get_bool(*object, "normalized").value_or(!token.special);
  return token;
}

Status apply_tokenizer_config(const json::object& config, TokenizerParts& parts) {
  std::unordered_map<std::string, TokenId> known;  // added tokens
  for (const AddedToken& token : parts.added) known.try_emplace(token.content, token.id);
  RETURN_IF_ERROR(read_added_tokens_decoder(config, parts, known));

  const auto find = [&](std::string_view text) -> std::optional<TokenId> {
    if (const TokenId id = parts.model->find(text); id >= 0) return id;
    const auto it = known.find(std::string(text));
    return it == known.end() ? std::nullopt : std::optional(it->second);
  };
  // transformers makes every named special token an added one.
  const auto name = [&](const std::string& text) -> std::optional<TokenId> {
    if (text.empty()) return std::nullopt;
    const auto id = find(text);
    if (id && known.try_emplace(text, *id).second) parts.added.push_back({.content = text, .id = *id, .special = true});
    return id;
  };
  parts.bos = name(token_text(config, "bos_token"));
  parts.eos = name(token_text(config, "eos_token"));
  for (const char* key : {"unk_token", "pad_token", "sep_token", "cls_token", "mask_token"})
    name(token_text(config, key));

  if (!parts.post_processor.decides) {
    if (get_bool(config, "add_bos_token") == true && parts.bos) parts.post_processor.before.push_back(*parts.bos);
    if (get_bool(config, "add_eos_token") == true && parts.eos) parts.post_processor.after.push_back(*parts.eos);
  }
  return Status::ok();
}

}  // namespace vllm::text
