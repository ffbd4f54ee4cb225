#pragma once
// Which of a repository's files a model needs.
#include <string>
#include <vector>

#include "base/result.h"
#include "hub/hub_api.h"
#include "hub/repo_id.h"

namespace vllm {

struct FileSelection {
  std::vector<RepoFile> files;
  std::string gguf;  // the (first) GGUF file if that is the model; empty: config.json and safetensors
};

/// For safetensors repositories the weights and the small files beside them (config, tokenizer, templates); for GGUF
/// ones the one file (or split set) that `spec` names. `ignore_patterns` are shell patterns whose '*' also matches '/'.
/// kNotFound lists what there is; kUnimplemented if there are PyTorch weights only.
Result<FileSelection> select_files(const std::vector<RepoFile>& files, const ModelSpec& spec,
                                   const std::vector<std::string>& ignore_patterns);

/// The GGUF file of `quant` among `paths` (the first of a split set). No quant: the only one, or Q4_K_M, or Q8_0.
Result<std::string> choose_gguf(const std::vector<std::string>& paths, const std::string& quant);

}  // namespace vllm
