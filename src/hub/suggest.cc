#include "hub/suggest.h"

#include <algorithm>
#include <cctype>

namespace vllm {
namespace {

constexpr std::string_view kPopular[] = {"Qwen/Qwen3-0.6B",
                                         "Qwen/Qwen3-1.7B",
                                         "Qwen/Qwen3-4B",
                                         "Qwen/Qwen3-8B",
                                         "Qwen/Qwen3-14B",
                                         "Qwen/Qwen3-32B",
                                         "Qwen/Qwen3-8B-AWQ",
                                         "Qwen/QwQ-32B",
                                         "Qwen/Qwen2.5-0.5B-Instruct",
                                         "Qwen/Qwen2.5-1.5B-Instruct",
                                         "Qwen/Qwen2.5-3B-Instruct",
                                         "Qwen/Qwen2.5-7B-Instruct",
                                         "Qwen/Qwen2.5-Coder-7B-Instruct",
                                         "meta-llama/Meta-Llama-3-8B-Instruct",
                                         "meta-llama/Llama-3.1-8B-Instruct",
                                         "meta-llama/Llama-3.2-1B-Instruct",
                                         "meta-llama/Llama-3.2-3B-Instruct",
                                         "mistralai/Mistral-7B-v0.1",
                                         "mistralai/Mistral-7B-Instruct-v0.3",
                                         "google/gemma-3-270m-it",
                                         "google/gemma-3-1b-it",
                                         "HuggingFaceTB/SmolLM2-135M-Instruct",
                                         "HuggingFaceTB/SmolLM2-1.7B-Instruct",
                                         "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B",
                                         "deepseek-ai/DeepSeek-R1-Distill-Llama-8B",
                                         "01-ai/Yi-6B-Chat",
                                         "TinyLlama/TinyLlama-1.1B-Chat-v1.0"};

/// Levenshtein distance, letters compared without case; both at most 200 long.
size_t distance(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replaced = diagonal + (lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest_model(std::string_view model, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, model.size() / 5) + 1;  // farther is no misspelling
  auto consider = [&](std::string_view name) {
    if (name == model || name.size() > 200 || model.size() > 200) return;
    size_t d = distance(model, name);
    if (model.find('/') == model.npos)
      d = std::min(d, distance(model, name.substr(name.find('/') + 1)));  // the organisation left out
    if (d < best_distance) {
      best_distance = d;
      best = name;
    }
  };
  for (const std::string& name : known) consider(name);
  for (std::string_view name : kPopular) consider(name);
  return best;
}

}  // namespace vllm
