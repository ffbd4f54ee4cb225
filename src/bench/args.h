#pragma once
// What the `vllm bench` commands were told. Each extends ServeArgs, because the commands that run an engine take
// all engine flags of `vllm serve`; the others use the few fields they share (model, tokenizer, host, port, seed).
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/serve_args.h"

namespace vllm::bench {

/// Which prompts: `bench serve` and `bench throughput`.
struct DatasetArgs : cli::ServeArgs {
  std::string dataset_name = "random", dataset_path;
  int64_t num_prompts = 1000;
  std::optional<int64_t> input_len, output_len;  // short forms of the data sets' own flags
  int64_t random_input_len = 1024, random_output_len = 128, random_prefix_len = 0;
  std::string random_range_ratio = "0.0";
  int64_t random_vocab_size = 10000;  // for prompts of token ids, when no tokenizer says better
  std::optional<int64_t> sharegpt_output_len;
  int64_t custom_output_len = 256;
  bool skip_chat_template = false, disable_shuffle = false, no_oversample = false;
};

struct ServeBenchArgs : DatasetArgs {
  std::string backend = "openai", base_url, endpoint;
  std::vector<std::string> headers, metadata, goodput;
  std::optional<int64_t> max_concurrency;
  std::optional<int64_t> logprobs;
  double request_rate = 0;  // requests/s; 0: all at once ("inf")
  double burstiness = 1;
  int64_t num_warmups = 0;
  int64_t ready_check_timeout_s = 0;
  bool profile = false;
  bool ignore_eos = false, disable_tqdm = false, skip_tokenizer_init = false, insecure = false;
  bool save_result = false, save_detailed = false, append_result = false;
  std::string result_dir, result_filename, label;
  std::string percentile_metrics = "ttft,tpot,itl", metric_percentiles = "99";
  std::string request_id_prefix;
  std::optional<double> top_p, min_p, frequency_penalty, presence_penalty, repetition_penalty;
  std::optional<int64_t> top_k;
  json::object extra_body;
};

struct LatencyArgs : cli::ServeArgs {
  int64_t input_len = 32, output_len = 128, batch_size = 8, n = 1;
  int64_t num_iters_warmup = 10, num_iters = 30;
  bool disable_detokenize = false, profile = false;
  std::string output_json;
};

struct ThroughputArgs : DatasetArgs {
  int64_t n = 1, num_warmups = 0;
  bool disable_detokenize = false, profile = false;
  std::string output_json;
};

struct RooflineArgs : cli::ServeArgs {
  int64_t context_len = 512, prefill_len = 512, batch_size = 32;
  std::string output_json;
};

struct StartupArgs : cli::ServeArgs {
  int64_t num_iters_cold = 3, num_iters_warmup = 1, num_iters_warm = 3;
  int64_t start_timeout_s = 600;
  std::string output_json;
};

}  // namespace vllm::bench
