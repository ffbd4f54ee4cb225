// Which file of a checkpoint folder is its tokenizer.
#include <algorithm>

#include "base/mapped_file.h"
#include "text/tokenizer/raw_vocabularies.h"
#include "text/tokenizer/tokenizer_config.h"

namespace vllm::text {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> list_files(const fs::path& dir) {
  std::vector<std::string> names;
  std::error_code code;
  for (fs::directory_iterator it(dir, code), end; !code && it != end; it.increment(code))
    names.push_back(it->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::binary_search(names.begin(), names.end(), name);
}

// The last (newest) of tokenizer.model.v1, .v2, ..., as mistral-common names them.
std::string versioned_model(const std::vector<std::string>& names) {
  std::string found;
  for (const std::string& name : names) {
    if (name.starts_with("tokenizer.model.v")) found = name;
  }
  return found;
}

Result<std::string> read_optional(const fs::path& path) {
  auto text = read_file(path);
  if (!text && text.error().code == ErrorCode::kNotFound) return std::string();
  return text;
}

// tokenizer_config.json joins what a raw vocabulary says, where there is one.
Result<std::shared_ptr<const Tokenizer>> finish(TokenizerParts parts, const fs::path& dir) {
  ASSIGN_OR_RETURN(const std::string config, read_optional(dir / "tokenizer_config.json"));
  if (!config.empty()) {
    ASSIGN_OR_RETURN(const json::value value, parse_json(config).with_context("tokenizer_config.json"));
    if (!value.is_object()) return invalid_argument("tokenizer_config.json is no object");
    const auto bos = parts.bos, eos = parts.eos;
    RETURN_IF_ERROR(apply_tokenizer_config(value.get_object(), parts).with_context("tokenizer_config.json"));
    if (!parts.bos) parts.bos = bos;
    if (!parts.eos) parts.eos = eos;
  }
  return SubwordTokenizer::make(std::move(parts));
}

Result<std::shared_ptr<const Tokenizer>> load_mistral(const fs::path& dir, const std::vector<std::string>& names) {
  const std::string model = has(names, "tokenizer.model") ? "tokenizer.model" : versioned_model(names);
  const bool tekken = has(names, "tekken.json");
  if (!tekken && model.empty()) {
    return error(ErrorCode::kNotFound,
                 "{}: no tekken.json, tokenizer.model or tokenizer.model.v* (--tokenizer-mode mistral)", dir.string());
  }
  const std::string name = tekken ? "tekken.json" : model;
  ASSIGN_OR_RETURN(const std::string bytes, read_file(dir / name));
  auto parts = tekken ? parse_tekken(bytes) : parse_sentencepiece(bytes, false);
  if (!parts) return std::move(parts).with_context("{}", (dir / name).string()).error();
  if (parts->bos) parts->post_processor.before = {*parts->bos};
  return SubwordTokenizer::make(*std::move(parts));
}

Result<TokenizerParts> load_tokenizer_model(const fs::path& path) {
  ASSIGN_OR_RETURN(const std::string bytes, read_file(path));
  if (looks_like_tiktoken(bytes)) return parse_tiktoken(bytes);
  ASSIGN_OR_RETURN(TokenizerParts parts, parse_sentencepiece(bytes, true));
  // LlamaTokenizer's default; tokenizer_config.json may say otherwise.
  if (parts.bos && !fs::exists(path.parent_path() / "tokenizer_config.json"))
    parts.post_processor.before = {*parts.bos};
  return parts;
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> load_tokenizer(const fs::path& dir, TokenizerMode mode) {
  const std::vector<std::string> names = list_files(dir);
  if (mode == TokenizerMode::kAuto) {
    const bool mistral = std::any_of(names.begin(), names.end(), [](const std::string& name) {
      return name.starts_with("consolidated") && name.ends_with(".safetensors");
    });
    if (mistral && (has(names, "tekken.json") || !versioned_model(names).empty())) mode = TokenizerMode::kMistral;
  }
  if (mode == TokenizerMode::kMistral) return load_mistral(dir, names);
  if (has(names, "tokenizer.json")) return load_tokenizer_json(dir);
  for (const std::string& name : names) {
    const bool raw = name == "tokenizer.model" || name == "tiktoken.model" || name.ends_with(".tiktoken");
    if (!raw) continue;
    auto parts = load_tokenizer_model(dir / name);
    if (!parts) return std::move(parts).with_context("{}", (dir / name).string()).error();
    return finish(*std::move(parts), dir);
  }
  if (has(names, "vocab.json") && has(names, "merges.txt")) return load_vocab_and_merges(dir);
  if (has(names, "tekken.json") || !versioned_model(names).empty()) return load_mistral(dir, names);
  return error(ErrorCode::kNotFound,
               "{}: no tokenizer (known: tokenizer.json, tokenizer.model, tekken.json, *.tiktoken, tiktoken.model, "
               "vocab.json with merges.txt)",
               dir.string());
}

}  // namespace vllm::text
