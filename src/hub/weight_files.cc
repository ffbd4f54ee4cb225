#include "hub/weight_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/json.h"
#include "base/mapped_file.h"
#include "hub/shard_name.h"

namespace vllm {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxFolderEntries = 100'000;

Result<std::vector<std::string>> list_folder(const fs::path& folder) {
  std::error_code failed;
  std::vector<std::string> names;
  for (fs::directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed)) {
    if (names.size() == kMaxFolderEntries)
      return invalid_argument("{} holds more than {} files", folder.string(), kMaxFolderEntries);
    names.push_back(it->path().filename().string());
  }
  if (failed) return error(ErrorCode::kPermissionDenied, "cannot list {}: {}", folder.string(), failed.message());
  std::sort(names.begin(), names.end());
  return names;
}

std::string some_of(const std::vector<std::string>& names) {
  constexpr size_t kShown = 8;
  std::string text = fmt::format(
      "{}", fmt::join(names.begin(), names.begin() + static_cast<ptrdiff_t>(std::min(names.size(), kShown)), ", "));
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  return text;
}

Status require_all(const fs::path& folder, const std::vector<std::string>& names) {
  std::vector<std::string> missing;
  std::error_code ignored;
  for (const std::string& name : names) {
    if (!fs::exists(folder / name, ignored)) missing.push_back(name);
  }
  if (missing.empty()) return Status::ok();
  return invalid_argument("{} lacks {} of the {} weight files: {}. Download the model again, or copy them there",
                          folder.string(), missing.size(), names.size(), some_of(missing));
}

Result<WeightFiles> gguf_files(const fs::path& file) {
  std::vector<std::string> names{file.filename().string()};
  if (auto shard = parse_shard_name(names[0])) {
    names = whole_set(*shard);
    RETURN_IF_ERROR(require_all(file.parent_path(), names));
  }
  WeightFiles weights{.is_gguf = true, .files = {}, .file_of = {}};
  for (const std::string& name : names) weights.files.push_back(file.parent_path() / name);
  return weights;
}

Result<WeightFiles> indexed_files(const fs::path& folder) {
  const std::string index_name = (folder / "model.safetensors.index.json").string();
  ASSIGN_OR_RETURN(std::string text, read_file(index_name));
  if (is_git_lfs_pointer(text))
    return invalid_argument("{} is a git-lfs pointer: run `git lfs pull` in that folder", index_name);
  auto parsed = parse_json(text).with_context("{}", index_name);
  ASSIGN_OR_RETURN(json::value index, std::move(parsed));
  const json::object* map = index.is_object() ? get_object(index.get_object(), "weight_map") : nullptr;
  if (!map || map->empty()) return invalid_argument("{} has no \"weight_map\"", index_name);
  WeightFiles weights;
  std::set<std::string> names;
  for (const auto& [tensor, value] : *map) {
    if (!value.is_string())
      return invalid_argument("{}: the file of \"{}\" is no text", index_name, std::string_view(tensor));
    std::string file(value.get_string().data(), value.get_string().size());
    if (!is_plain_file_name(file))
      return invalid_argument("{}: \"{}\" is no file name inside the model's folder", index_name, file);
    names.insert(file);
    weights.file_of.emplace(tensor, std::move(file));
  }
  RETURN_IF_ERROR(require_all(folder, {names.begin(), names.end()}));
  for (const std::string& name : names) weights.files.push_back(folder / name);
  return weights;
}

/// *.safetensors without an index: one file, or the numbered files of one set.
Result<WeightFiles> loose_safetensors(const fs::path& folder, std::vector<std::string> names) {
  if (names.size() >
      1) {  // Mistral's repositories hold the weights twice; the ones under Hugging Face's names are taken
    auto consolidated = [](const std::string& name) { return name.starts_with("consolidated"); };
    if (!std::all_of(names.begin(), names.end(), consolidated)) std::erase_if(names, consolidated);
  }
  if (auto shard = parse_shard_name(names[0])) {
    std::vector<std::string> set = whole_set(*shard);
    RETURN_IF_ERROR(require_all(folder, set));
    names = set;
  } else if (names.size() > 1) {
    return invalid_argument(
        "{} holds several weight files and no model.safetensors.index.json that says how they belong together: {}",
        folder.string(), some_of(names));
  }
  WeightFiles weights;
  for (const std::string& name : names) weights.files.push_back(folder / name);
  return weights;
}

Error no_weights(const fs::path& folder, const std::vector<std::string>& names) {
  auto ends_with_any = [&](std::initializer_list<std::string_view> endings) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return std::any_of(endings.begin(), endings.end(),
                         [&](std::string_view ending) { return name.ends_with(ending); });
    });
  };
  if (names.empty()) {
    return error(ErrorCode::kNotFound,
                 "{} is empty. If it is a mounted volume, check the path on the left of -v (or the volume's "
                 "claim): a path that does not exist on the host is mounted as an empty folder",
                 folder.string());
  }
  if (ends_with_any({".bin", ".pt", ".pth"})) {
    return error(ErrorCode::kUnimplemented,
                 "{} holds PyTorch weights (.bin, .pt) only, which are not supported; convert them to "
                 "safetensors, or use a repository that has *.safetensors or *.gguf files",
                 folder.string());
  }
  return error(ErrorCode::kNotFound, "{} holds no *.safetensors and no *.gguf file, only: {}", folder.string(),
               some_of(names));
}

}  // namespace

bool is_git_lfs_pointer(std::string_view start_of_file) { return start_of_file.starts_with("version https://git-lfs"); }

Status check_weight_file(const fs::path& path) {
  ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  std::string_view start(reinterpret_cast<const char*>(file.bytes().data()), std::min<size_t>(file.bytes().size(), 64));
  if (start.empty()) return invalid_argument("{} is empty; download it again", path.string());
  if (is_git_lfs_pointer(start)) {
    return invalid_argument(
        "{} is a git-lfs pointer, not the weights themselves: run `git lfs install && git lfs pull` in that "
        "folder, or download the model with huggingface-cli",
        path.string());
  }
  return Status::ok();
}

bool is_plain_file_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." && name.find('/') == name.npos &&
         name.find('\\') == name.npos && name.find('\0') == name.npos;
}

Result<WeightFiles> list_weight_files(const fs::path& path) {
  std::error_code failed;
  fs::file_status status = fs::status(path, failed);
  if (!fs::exists(status)) return error(ErrorCode::kNotFound, "cannot open {}: {}", path.string(), failed.message());
  if (!fs::is_directory(status)) {
    if (path.extension() == ".safetensors") return WeightFiles{.is_gguf = false, .files = {path}, .file_of = {}};
    return gguf_files(path);  // whatever its name: the reader looks at the magic number
  }
  ASSIGN_OR_RETURN(std::vector<std::string> names, list_folder(path));
  auto has = [&](std::string_view name) { return std::binary_search(names.begin(), names.end(), name); };
  if (has("model.safetensors"))
    return WeightFiles{.is_gguf = false, .files = {path / "model.safetensors"}, .file_of = {}};
  if (has("model.safetensors.index.json")) return indexed_files(path);

  std::vector<std::string> safetensors, ggufs;
  bool adapter = false;
  for (const std::string& name : names) {
    if (name.starts_with("adapter_"))
      adapter |= name.ends_with(".safetensors");
    else if (name.ends_with(".safetensors"))
      safetensors.push_back(name);
    else if (name.ends_with(".gguf") && !name.starts_with("mmproj"))
      ggufs.push_back(name);
  }
  if (!safetensors.empty()) return loose_safetensors(path, safetensors);
  if (!ggufs.empty()) {
    auto first = parse_shard_name(ggufs[0]);
    auto same_set = [&](const std::string& name) { return first && parse_shard_name(name) == first; };
    if (ggufs.size() > 1 && !std::all_of(ggufs.begin(), ggufs.end(), same_set)) {
      return invalid_argument("{} holds several GGUF files; name one of them: {}", path.string(), some_of(ggufs));
    }
    return gguf_files(path / ggufs[0]);
  }
  if (adapter) return invalid_argument("{} holds a LoRA adapter and no model; serve its base model", path.string());
  return no_weights(path, names);
}

}  // namespace vllm
