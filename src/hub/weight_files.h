#pragma once
// Which files of a folder hold the weights.
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vllm {

struct WeightFiles {
  bool is_gguf = false;
  std::vector<std::filesystem::path> files;    // of a split GGUF: in order, all of them
  std::map<std::string, std::string> file_of;  // tensor name -> file name, where an index.json says so
};

/// The weights in `path`, a folder or one file. kNotFound if there are none (the text says what was found instead),
/// kInvalidArgument for missing shards and hostile indexes, kUnimplemented for formats that are not supported.
Result<WeightFiles> list_weight_files(const std::filesystem::path& path);

/// True for the small text file that git leaves in place of a large one when git-lfs is not set up.
bool is_git_lfs_pointer(std::string_view start_of_file);

/// Refuse an empty file and a git-lfs pointer, saying what to do.
Status check_weight_file(const std::filesystem::path& path);

/// True if `name` can be nothing but a file inside the folder it is looked up in.
bool is_plain_file_name(std::string_view name);

}  // namespace vllm
