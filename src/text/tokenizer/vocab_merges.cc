// vocab.json with merges.txt: GPT-2's form of a byte-level BPE, which transformers makes a tokenizer.json of.
#include <algorithm>
#include <set>

#include "base/mapped_file.h"
#include "text/tokenizer/raw_vocabularies.h"
#include "text/tokenizer/splitters.h"

namespace vllm::text {
namespace {

namespace fs = std::filesystem;

// What the files leave to the class of transformers that reads them; its name may end in "Fast".
struct TokenizerClass {
  std::string_view name;
  bool nfc = false;
  std::string_view pattern = {};  // empty: GPT-2's
  bool has_bos = true;            // <|endoftext|> is not only what ends a text, but also what begins one
};
constexpr TokenizerClass kClasses[] = {
    {.name = "GPT2Tokenizer"},
    {.name = "CodeGenTokenizer"},
    {.name = "GPTNeoXTokenizer", .nfc = true},
    {.name = "Qwen2Tokenizer", .nfc = true, .pattern = kQwen2Pattern, .has_bos = false},
};
// Without a tokenizer_class, the model_type of config.json names it.
constexpr std::pair<std::string_view, std::string_view> kModelTypes[] = {
    {"gpt2", "GPT2Tokenizer"}, {"opt", "GPT2Tokenizer"}, {"qwen2", "Qwen2Tokenizer"}, {"qwen3", "Qwen2Tokenizer"}};
constexpr const char* kNamedTokens[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                        "pad_token", "cls_token", "mask_token"};

// Empty if there is no such file.
Result<json::object> read_object(const fs::path& path) {
  auto text = read_file(path);
  if (!text && text.error().code == ErrorCode::kNotFound) return json::object();
  if (!text) return std::move(text).error();
  ASSIGN_OR_RETURN(json::value value, parse_json(*text).with_context("{}", path.filename().string()));
  if (!value.is_object()) return invalid_argument("{} is no object", path.filename().string());
  return std::move(value.get_object());
}

Result<std::string> class_name(const fs::path& dir, const json::object& config) {
  if (auto name = get_string(config, "tokenizer_class")) return *name;
  ASSIGN_OR_RETURN(const json::object model, read_object(dir / "config.json"));
  const std::string type = get_string(model, "model_type").value_or("");
  for (const auto& [model_type, name] : kModelTypes) {
    if (type == model_type) return std::string(name);
  }
  return std::string();
}

Result<const TokenizerClass*> find_class(std::string_view name) {
  std::string_view plain = name;
  if (plain.ends_with("Fast")) plain.remove_suffix(4);
  std::string known;
  for (const TokenizerClass& row : kClasses) {
    if (row.name == plain) return &row;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", row.name);
  }
  return error(ErrorCode::kUnimplemented,
               "the split rule of tokenizer_class \"{:.60}\" is not known (known: {}); a tokenizer.json would say it",
               name, known);
}

// Folders without added_tokens_decoder have the tokens' names and ids in files of their own.
Status add_older_files(const fs::path& dir, json::object& config) {
  if (config.contains("added_tokens_decoder")) return Status::ok();
  ASSIGN_OR_RETURN(const json::object names, read_object(dir / "special_tokens_map.json"));
  for (const auto& [key, value] : names) config[key] = value;
  ASSIGN_OR_RETURN(const json::object ids, read_object(dir / "added_tokens.json"));

  std::set<std::string, std::less<>> special;
  const auto add_special = [&](const json::value& token) {
    if (const json::string* text = token.if_string()) special.emplace(text->data(), text->size());
    if (const json::object* object = token.if_object()) special.insert(get_string(*object, "content").value_or(""));
  };
  for (const char* key : kNamedTokens) {
    if (const json::value* token = config.if_contains(key)) add_special(*token);
  }
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    if (const json::array* list = get_array(config, key)) std::for_each(list->begin(), list->end(), add_special);
  }
  json::object decoder;
  for (const auto& [text, id] : ids) {
    if (!id.is_int64())
      return invalid_argument("added_tokens.json: the id of \"{:.40}\" is no integer", std::string_view(text));
    const bool is_special = special.contains(std::string_view(text));
    decoder[std::to_string(id.get_int64())] = {{"content", text}, {"special", is_special}, {"normalized", !is_special}};
  }
  config["added_tokens_decoder"] = std::move(decoder);
  return Status::ok();
}

json::object pre_tokenizer(const TokenizerClass& row, bool add_prefix_space) {
  json::object bytes;
  bytes["type"] = "ByteLevel";
  bytes["add_prefix_space"] = add_prefix_space;
  bytes["use_regex"] = row.pattern.empty();
  if (row.pattern.empty()) return bytes;
  json::object split;
  split["type"] = "Split";
  split["pattern"].emplace_object()["Regex"] = json::string_view(row.pattern.data(), row.pattern.size());
  split["behavior"] = "Isolated";
  json::object both;
  both["type"] = "Sequence";
  both["pretokenizers"] = json::array{std::move(split), std::move(bytes)};
  return both;
}

// A line a merge; lines that start with "#version" are none.
json::array read_merges(std::string_view text) {
  json::array merges;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty() && !line.starts_with("#version"))
      merges.emplace_back(json::string_view(line.data(), line.size()));
  }
  return merges;
}

Result<std::shared_ptr<const Tokenizer>> load(const fs::path& dir) {
  ASSIGN_OR_RETURN(json::object config, read_object(dir / "tokenizer_config.json"));
  ASSIGN_OR_RETURN(const std::string name, class_name(dir, config));
  ASSIGN_OR_RETURN(const TokenizerClass* row, find_class(name));
  RETURN_IF_ERROR(add_older_files(dir, config));
  for (const char* key : {"bos_token", "eos_token", "unk_token"}) {
    const bool is_default = row->has_bos || key != std::string_view("bos_token");
    if (is_default && !config.contains(key)) config[key] = "<|endoftext|>";
  }
  ASSIGN_OR_RETURN(const std::string vocab, read_file(dir / "vocab.json"));
  ASSIGN_OR_RETURN(const std::string merges, read_file(dir / "merges.txt"));
  const bool add_prefix_space = get_bool(config, "add_prefix_space").value_or(false);
  ASSIGN_OR_RETURN(const std::string text, join_vocab_and_merges(vocab, merges, name, add_prefix_space));
  return parse_tokenizer_json(text, json::serialize(config));
}

}  // namespace

Result<std::string> join_vocab_and_merges(std::string_view vocab_json, std::string_view merges_txt,
                                          std::string_view tokenizer_class, bool add_prefix_space) {
  ASSIGN_OR_RETURN(const TokenizerClass* row, find_class(tokenizer_class));
  ASSIGN_OR_RETURN(json::value vocab, parse_json(vocab_json).with_context("vocab.json"));
  json::object document;
  json::object& model = document["model"].emplace_object();
  model["type"] = "BPE";
  model["vocab"] = std::move(vocab);
  model["merges"] = read_merges(merges_txt);
  if (row->nfc) document["normalizer"].emplace_object()["type"] = "NFC";
  document["pre_tokenizer"] = pre_tokenizer(*row, add_prefix_space);
  document["decoder"].emplace_object()["type"] = "ByteLevel";
  return json::serialize(document);
}

Result<std::shared_ptr<const Tokenizer>> load_vocab_and_merges(const fs::path& dir) {
  return load(dir).with_context("{} (vocab.json, merges.txt)", dir.string());
}

}  // namespace vllm::text
