// Mistral's tekken.json.
#include <limits>

#include "base/json.h"
#include "text/tokenizer/base64.h"
#include "text/tokenizer/raw_vocabularies.h"

namespace vllm::text {
namespace {

// What files of version v7 and before do not list.
constexpr std::string_view kOldSpecials[] = {"<unk>",
                                             "<s>",
                                             "</s>",
                                             "[INST]",
                                             "[/INST]",
                                             "[AVAILABLE_TOOLS]",
                                             "[/AVAILABLE_TOOLS]",
                                             "[TOOL_RESULTS]",
                                             "[/TOOL_RESULTS]",
                                             "[TOOL_CALLS]",
                                             "[IMG]",
                                             "<pad>",
                                             "[IMG_BREAK]",
                                             "[IMG_END]",
                                             "[PREFIX]",
                                             "[MIDDLE]",
                                             "[SUFFIX]",
                                             "[SYSTEM_PROMPT]",
                                             "[/SYSTEM_PROMPT]",
                                             "[TOOL_CONTENT]"};
constexpr int64_t kMaxTokens = 4'000'000;

Result<std::vector<std::string>> read_specials(const json::object& root, size_t count) {
  std::vector<std::string> out(count);
  const json::array* list = get_array(root, "special_tokens");
  if (list) {
    for (const json::value& value : *list) {
      const json::object* special = value.if_object();
      const auto rank = special ? get_int(*special, "rank") : std::nullopt;
      const auto text = special ? get_string(*special, "token_str") : std::nullopt;
      if (!rank || *rank < 0 || static_cast<size_t>(*rank) >= count || !text || text->empty())
        return invalid_argument("special_tokens: an entry has no `token_str` or no `rank` below {}", count);
      out[static_cast<size_t>(*rank)] = *text;
    }
  } else {
    for (size_t i = 0; i < std::min(count, std::size(kOldSpecials)); ++i) out[i] = kOldSpecials[i];
  }
  for (size_t i = 0; i < count; ++i) {
    if (out[i].empty()) out[i] = fmt::format("<SPECIAL_{}>", i);
  }
  return out;
}

Result<TokenizerParts> parse(std::string_view text) {
  ASSIGN_OR_RETURN(const json::value document, parse_json(text));
  const json::object* root = document.if_object();
  const json::object* config = root ? get_object(*root, "config") : nullptr;
  const json::array* vocab = root ? get_array(*root, "vocab") : nullptr;
  const auto pattern = config ? get_string(*config, "pattern") : std::nullopt;
  if (!vocab || !pattern) return invalid_argument("no list `vocab`, or no `config` with a `pattern`");
  const int64_t size = get_int(*config, "default_vocab_size").value_or(0);
  const int64_t num_specials = get_int(*config, "default_num_special_tokens").value_or(-1);
  if (num_specials < 0 || size <= num_specials || size > kMaxTokens ||
      static_cast<uint64_t>(size - num_specials) > vocab->size()) {
    return invalid_argument("config: default_vocab_size {} and default_num_special_tokens {} do not fit a list of {}",
                            size, num_specials, vocab->size());
  }
  std::vector<std::string> tokens(static_cast<size_t>(size - num_specials));
  for (size_t i = 0; i < tokens.size(); ++i) {
    const json::object* entry = (*vocab)[i].if_object();
    const json::value* bytes = entry ? entry->if_contains("token_bytes") : nullptr;
    const json::string* base64 = bytes ? bytes->if_string() : nullptr;
    if (!base64 || get_int(*entry, "rank") != static_cast<int64_t>(i) ||
        !from_base64({base64->data(), base64->size()}, tokens[i]) || tokens[i].empty()) {
      return invalid_argument("vocab: entry {} has no base64 `token_bytes`, or another `rank`", i);
    }
  }
  ASSIGN_OR_RETURN(std::vector<std::string> specials, read_specials(*root, static_cast<size_t>(num_specials)));
  ASSIGN_OR_RETURN(TokenizerParts parts, make_ranked_bpe(tokens, static_cast<TokenId>(num_specials), *pattern));
  for (size_t i = 0; i < specials.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (specials[i] == "<s>") parts.bos = id;
    if (specials[i] == "</s>") parts.eos = id;
    parts.added.push_back({.content = std::move(specials[i]), .id = id, .special = true, .in_text = false});
  }
  if (parts.bos) parts.post_processor.before = {*parts.bos};
  parts.kind = "Tekken";
  return parts;
}

}  // namespace

Result<TokenizerParts> parse_tekken(std::string_view text) { return parse(text).with_context("tekken.json"); }

}  // namespace vllm::text
