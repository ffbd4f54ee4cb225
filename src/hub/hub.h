#pragma once
// From what the user typed to files on disk: a folder, a .gguf file, or a hub id in the cache layout of
// huggingface_hub.
#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace vllm {

struct HubOptions {
  std::string revision;      // --revision; empty = "main"
  std::string token;         // --hf-token; else HF_TOKEN, HUGGING_FACE_HUB_TOKEN, the token file of HF_HOME
  std::string download_dir;  // --download-dir: another cache folder
  bool offline = false;      // HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE
  std::vector<std::string> ignore_patterns = {"original/**/*"};  // --ignore-patterns
  int max_parallel_files = 4;
  /// Called now and then from a downloading thread: "downloading" and a share in [0, 1].
  std::function<void(std::string_view phase, double share)> on_progress;
  const std::atomic<bool>* cancelled = nullptr;  // stop early if it turns true
};

/// The options that the environment gives (HF_HOME, HF_HUB_CACHE, HF_ENDPOINT are read by find_model itself).
HubOptions hub_options_from_env();

/// Where the model's files are: a folder holding config.json and weights, or the path of one .gguf file.
/// `model` may be a folder, a file, "org/name", or "org/name:QUANT" / "org/name/file.gguf" for GGUF repositories.
/// Every error starts with "Model download failed" and says the reason and what to do; kCancelled if options.cancelled
/// turned true. With a network, a cached model is brought up to date first, and used as it is if that fails.
Result<std::filesystem::path> find_model(const std::string& model, const HubOptions& options);

}  // namespace vllm
