#include "hub/repo_id.h"

#include <fmt/format.h>

#include <algorithm>

namespace vllm {
namespace {

bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

/// One half of a hub id: letters, digits, '_', '-', '.', neither first nor last of the last two, nothing doubled.
bool is_id_part(std::string_view part) {
  if (part.empty() || part.front() == '.' || part.front() == '-' || part.back() == '.' || part.back() == '-')
    return false;
  if (part.find("..") != part.npos || part.find("--") != part.npos) return false;
  return std::all_of(part.begin(), part.end(), [](char c) { return is_word(c) || c == '-' || c == '.'; });
}

}  // namespace

Result<ModelSpec> parse_model_spec(std::string_view model) {
  ModelSpec spec;
  std::string_view id = model;
  if (id.ends_with(".gguf")) {
    size_t org = id.find('/'), name = org == id.npos ? id.npos : id.find('/', org + 1);
    if (name != id.npos) {
      spec.file = id.substr(name + 1);
      id = id.substr(0, name);
    }
    if (!is_safe_repo_path(spec.file)) {
      return error(ErrorCode::kNotFound, "there is no file {}, and as a hub file it would read org/name/file.gguf",
                   model);
    }
  } else if (size_t colon = id.rfind(':'); colon != id.npos) {
    spec.quant = id.substr(colon + 1);
    id = id.substr(0, colon);
    if (!is_id_part(spec.quant))
      return invalid_argument("\"{}\" names no quantization after the colon (as in org/name:Q4_K_M)", model);
  }
  size_t slash = id.find('/');
  bool valid =
      id.size() <= 96 &&
      (slash == id.npos ? is_id_part(id) : is_id_part(id.substr(0, slash)) && is_id_part(id.substr(slash + 1)));
  if (!valid) {
    return invalid_argument(
        "there is no folder or file \"{}\", and it is no hub id either (org/name, of letters, digits, '-', '_' and "
        "'.'). If it is a "
        "path inside a container, check that the folder is mounted there (-v host-folder:container-folder)",
        model.substr(0, 300));
  }
  spec.repo_id = id;
  return spec;
}

bool is_safe_repo_path(std::string_view path) {
  if (path.empty() || path.size() > 1000) return false;
  for (char c : path) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\') return false;
  }
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find('/', begin), path.size());
    std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == ".." || part.size() > 200) return false;
    begin = end + 1;
  }
  return true;
}

bool is_commit_hash(std::string_view text) {
  return text.size() == 40 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string percent_encode(std::string_view path, bool keep_slashes) {
  std::string encoded;
  for (char c : path) {
    if (is_word(c) || c == '-' || c == '.' || c == '~' || (c == '/' && keep_slashes))
      encoded += c;
    else
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

}  // namespace vllm
