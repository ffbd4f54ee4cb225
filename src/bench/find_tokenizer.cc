#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/json.h"
#include "bench/dataset.h"
#include "hub/checkpoint.h"
#include "hub/hub.h"

namespace vllm::bench {
namespace {

namespace fs = std::filesystem;

// A token's spelling, as a string or as an object with its `content`.
void add_id(const json::value& token, const text::Tokenizer& tokenizer, std::vector<TokenId>& out) {
  std::optional<TokenId> id;
  if (token.is_string()) id = tokenizer.token_to_id(std::string_view(token.get_string()));
  if (token.is_object()) {
    if (auto content = get_string(token.get_object(), "content")) id = tokenizer.token_to_id(*content);
  }
  if (id) out.push_back(*id);
}

// The tokens that tokenizer_config.json and special_tokens_map.json name: what transformers calls all_special_ids.
// (tokenizer.json marks more tokens as special: fillers and the like, which vLLM's random prompts do use.)
std::vector<TokenId> named_special_ids(const fs::path& dir, const text::Tokenizer& tokenizer) {
  std::vector<TokenId> out;
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    std::ifstream file(dir / name);
    std::ostringstream text;
    text << file.rdbuf();
    auto parsed = parse_json(text.str());
    if (!parsed || !parsed->is_object()) continue;
    for (const auto& field : parsed->get_object()) {
      const std::string_view key = field.key();
      if (key.ends_with("_token")) add_id(field.value(), tokenizer, out);
      if (!key.ends_with("_special_tokens") || !field.value().is_array()) continue;
      for (const json::value& token : field.value().get_array()) add_id(token, tokenizer, out);
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

// The entries of the model in tokenizer.json: added tokens are apart.
int64_t model_size(const fs::path& dir) {
  std::ifstream file(dir / "tokenizer.json");
  std::ostringstream text;
  text << file.rdbuf();
  auto parsed = parse_json(text.str());
  const json::object* root = parsed && parsed->is_object() ? &parsed->get_object() : nullptr;
  const json::object* model = root ? get_object(*root, "model") : nullptr;
  if (!model) return 0;
  if (const json::object* vocab = get_object(*model, "vocab")) return static_cast<int64_t>(vocab->size());
  const json::array* pieces = get_array(*model, "vocab");
  return pieces ? static_cast<int64_t>(pieces->size()) : 0;
}

Result<PromptTokenizer> from_folder(const fs::path& dir) {
  PromptTokenizer out;
  ASSIGN_OR_RETURN(out.tokenizer, text::load_tokenizer(dir));
  out.vocabulary = {model_size(dir), named_special_ids(dir, *out.tokenizer)};
  return out;
}

}  // namespace

Result<PromptTokenizer> find_tokenizer(const std::string& name, const std::string& hf_token) {
  std::error_code ignored;  // a folder with a tokenizer alone will do
  if (fs::exists(fs::path(name) / "tokenizer.json", ignored))
    return from_folder(name).with_context("--tokenizer {}", name);
  HubOptions options = hub_options_from_env();
  if (!hf_token.empty()) options.token = hf_token;
  ASSIGN_OR_RETURN(fs::path path, find_model(name, options).with_context("--tokenizer {}", name));
  if (path.extension() != ".gguf") return from_folder(path).with_context("--tokenizer {}", name);
  ASSIGN_OR_RETURN(std::unique_ptr<Checkpoint> checkpoint, open_checkpoint(path));
  PromptTokenizer out;
  ASSIGN_OR_RETURN(out.tokenizer, text::load_gguf_tokenizer(*checkpoint->gguf()).with_context("--tokenizer {}", name));
  return out;
}

}  // namespace vllm::bench
