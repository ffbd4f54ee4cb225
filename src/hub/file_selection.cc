#include "hub/file_selection.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "hub/shard_name.h"

namespace vllm {
namespace {

// Shell patterns of the files beside the weights; '/' must be matched by a '/'.
constexpr const char* kSmallFiles[] = {"*.json",
                                       "*.txt",
                                       "*.model",
                                       "*.jinja",
                                       "*.tiktoken",
                                       "additional_chat_templates/*.jinja",
                                       "[0-9]_*/config.json",
                                       "[0-9]_*/*.safetensors"};
constexpr const char* kPyTorchWeights[] = {"*.bin", "*.pt", "*.pth"};

bool matches(const char* pattern, const std::string& path) { return fnmatch(pattern, path.c_str(), FNM_PATHNAME) == 0; }

template <size_t N>
bool matches_any(const char* const (&patterns)[N], const std::string& path) {
  return std::any_of(std::begin(patterns), std::end(patterns),
                     [&](const char* pattern) { return matches(pattern, path); });
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// True if `quant` stands in the file's own name as a whole word: Q4_K in "m-Q4_K.gguf", not in "m-Q4_K_M" or
/// "m-IQ4_K".
bool has_quant(const std::string& path, const std::string& quant) {
  std::string name = lower(base_name(path)), word = lower(quant);
  auto alnum = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  for (size_t at = name.find(word); at != name.npos; at = name.find(word, at + 1)) {
    size_t end = at + word.size();
    if ((at == 0 || !alnum(name[at - 1])) && (end == name.size() || (!alnum(name[end]) && name[end] != '_')))
      return true;
  }
  return false;
}

std::string listing(const std::vector<std::string>& names) {
  constexpr size_t kShown = 30;
  std::string text = fmt::format(
      "{}", fmt::join(names.begin(), names.begin() + static_cast<ptrdiff_t>(std::min(names.size(), kShown)), ", "));
  return names.size() > kShown ? text + ", ..." : text;
}

const RepoFile* find_file(const std::vector<RepoFile>& files, const std::string& path) {
  auto found = std::find_if(files.begin(), files.end(), [&](const RepoFile& file) { return file.path == path; });
  return found == files.end() ? nullptr : &*found;
}

Result<FileSelection> select_gguf(const std::vector<RepoFile>& files, const std::string& path) {
  std::vector<std::string> set{path};
  if (auto shard = parse_shard_name(path)) set = whole_set(*shard);
  FileSelection selection;
  for (const std::string& name : set) {
    const RepoFile* file = find_file(files, name);
    if (!file) return error(ErrorCode::kNotFound, "the repository has no file {}", name);
    selection.files.push_back(*file);
  }
  if (set.empty()) return error(ErrorCode::kNotFound, "{} is numbered as one of no files", path);
  selection.gguf = set[0];
  return selection;
}

}  // namespace

Result<std::string> choose_gguf(const std::vector<std::string>& paths, const std::string& quant) {
  std::vector<std::string> models;  // one path for each model: of a split set the first file
  for (const std::string& path : paths) {
    std::string name = lower(base_name(path));
    if (!name.ends_with(".gguf") || name.starts_with("mmproj") || name.find("imatrix") != name.npos) continue;
    auto shard = parse_shard_name(path);
    if (shard && !whole_set(*shard).empty() && whole_set(*shard)[0] != path) continue;
    models.push_back(path);
  }
  if (models.empty()) return error(ErrorCode::kNotFound, "there is no GGUF file");
  if (quant.empty() && models.size() == 1) return models[0];
  for (const std::string& wanted :
       quant.empty() ? std::vector<std::string>{"Q4_K_M", "Q8_0"} : std::vector<std::string>{quant}) {
    std::vector<std::string> found;
    std::copy_if(models.begin(), models.end(), std::back_inserter(found),
                 [&](const std::string& path) { return has_quant(path, wanted); });
    if (found.size() == 1) return found[0];
    if (found.size() > 1) return invalid_argument("several files are {}; name one of them: {}", wanted, listing(found));
  }
  return error(ErrorCode::kNotFound, "no GGUF file is {}; there are: {}", quant.empty() ? "Q4_K_M or Q8_0" : quant,
               listing(models));
}

Result<FileSelection> select_files(const std::vector<RepoFile>& files, const ModelSpec& spec,
                                   const std::vector<std::string>& ignore_patterns) {
  std::vector<RepoFile> kept;
  std::copy_if(files.begin(), files.end(), std::back_inserter(kept), [&](const RepoFile& file) {
    return std::none_of(ignore_patterns.begin(), ignore_patterns.end(), [&](const std::string& pattern) {
      return fnmatch(pattern.c_str(), file.path.c_str(), 0) == 0;
    });
  });
  std::vector<std::string> ggufs;
  for (const RepoFile& file : kept) {
    if (file.path.ends_with(".gguf")) ggufs.push_back(file.path);
  }
  if (!spec.file.empty()) return select_gguf(kept, spec.file);
  if (!spec.quant.empty()) {
    ASSIGN_OR_RETURN(std::string path, choose_gguf(ggufs, spec.quant));
    return select_gguf(kept, path);
  }

  FileSelection selection;
  bool hugging_face = find_file(kept, "model.safetensors") || find_file(kept, "model.safetensors.index.json");
  bool whole = find_file(kept, "model.safetensors") != nullptr;
  bool weights = false, pytorch = false;
  for (const RepoFile& file : kept) {
    pytorch |= matches_any(kPyTorchWeights, file.path);
    bool weight = matches("*.safetensors", file.path);
    if (weight && hugging_face && file.path.starts_with("consolidated"))
      continue;  // the same weights in Mistral's own form
    if (weight && whole && file.path != "model.safetensors") continue;
    if (weight && file.path.starts_with("adapter_")) continue;
    if (weight || matches_any(kSmallFiles, file.path)) selection.files.push_back(file);
    weights |= weight;
  }
  if (weights) return selection;
  if (!ggufs.empty()) {
    ASSIGN_OR_RETURN(std::string path, choose_gguf(ggufs, ""));
    return select_gguf(kept, path);
  }
  if (pytorch) {
    return error(ErrorCode::kUnimplemented,
                 "the repository holds PyTorch weights (.bin, .pt) only, which are not supported; use one "
                 "with *.safetensors or *.gguf files, or convert it");
  }
  return error(ErrorCode::kNotFound, "the repository holds no *.safetensors and no *.gguf file");
}

}  // namespace vllm
