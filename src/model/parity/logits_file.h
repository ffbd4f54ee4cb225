#pragma once
// Files of model_logits and cuda_logits: the list of prompts they read and the rows they write.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/mapped_file.h"
#include "base/result.h"
#include "hub/checkpoint.h"
#include "model/config.h"
#include "tensor/dtype.h"

namespace vllm::model {

using Prompts = std::vector<std::vector<int32_t>>;
using LogitRows = std::vector<std::vector<std::vector<float>>>;  // [prompt][position][vocab]

/// PROMPTS.json: a list of lists of token ids.
inline Result<Prompts> read_prompts(const std::string& path, int64_t vocab_size) {
  ASSIGN_OR_RETURN(std::string text, read_file(path));
  ASSIGN_OR_RETURN(json::value value, parse_json(text));
  Prompts prompts;
  if (!value.is_array()) return invalid_argument("{}: expected a list of lists of token ids", path);
  for (const json::value& prompt : value.get_array()) {
    prompts.emplace_back();
    if (!prompt.is_array()) return invalid_argument("{}: expected a list of lists of token ids", path);
    for (const json::value& id : prompt.get_array()) {
      if (!id.is_int64() || id.get_int64() < 0 || id.get_int64() >= vocab_size)
        return invalid_argument("{}: bad token id", path);
      prompts.back().push_back(static_cast<int32_t>(id.get_int64()));
    }
  }
  return prompts;
}

/// float32, bfloat16 or float16.
inline Result<DType> read_dtype(const std::string& name) {
  for (DType t : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
    if (info(t).name == name) return t;
  }
  return invalid_argument("--dtype {} is unknown", name);
}

inline Result<ModelConfig> read_config(const Checkpoint& checkpoint, const std::string& path) {
  return checkpoint.gguf() ? config_from_gguf(*checkpoint.gguf()) : load_config(path);
}

/// Write float32 log probabilities [rows, vocab] of all prompts, row after row; returns the count of rows.
inline Result<size_t> write_log_probs(const std::string& path, LogitRows rows) {
  std::unique_ptr<FILE, int (*)(FILE*)> out(std::fopen(path.c_str(), "wb"), std::fclose);
  if (!out) return invalid_argument("cannot write {}", path);
  size_t tokens = 0;
  for (auto& prompt : rows) {
    for (auto& row : prompt) {
      const float highest = *std::max_element(row.begin(), row.end());
      double sum = 0;
      for (float x : row) sum += std::exp(static_cast<double>(x) - double{highest});
      const auto shift = static_cast<float>(double{highest} + std::log(sum));
      for (float& x : row) x -= shift;
      if (std::fwrite(row.data(), sizeof(float), row.size(), out.get()) != row.size())
        return invalid_argument("cannot write {}", path);
      ++tokens;
    }
  }
  return tokens;
}

}  // namespace vllm::model
