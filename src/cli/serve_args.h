#pragma once
// What `vllm serve` was told, after command line, --config, environment and /etc/vllm/config.yaml were joined.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "cli/flag.h"

namespace vllm::cli {

struct ServeArgs {
  // Model and load
  std::string model = "Qwen/Qwen3-0.6B";
  std::string tokenizer, revision, hf_token, download_dir;
  std::string tokenizer_mode = "auto";
  std::string dtype = "auto", load_format = "auto", device = "auto";
  std::vector<std::string> ignore_patterns = {"original/**/*"};
  int64_t max_model_len = 0;  // 0: the model's own; -1: the largest that fits
  int64_t seed = 0;
  int64_t max_logprobs = 20;
  bool trust_remote_code = false;
  bool use_tqdm_on_load = true;
  std::string generation_config = "auto";
  json::object override_generation_config;
  std::optional<double> temperature;
  // Cache and scheduler
  int64_t block_size = 16;
  bool enable_prefix_caching = true, enable_chunked_prefill = true;
  std::optional<int64_t> max_num_seqs, max_batch_size, max_num_batched_tokens;
  std::optional<int64_t> kv_cache_memory_bytes, num_gpu_blocks_override;
  std::string scheduling_policy = "fcfs";
  int64_t long_prefill_token_threshold = 0;
  double gpu_memory_utilization = 0.92;
  std::string kv_cache_dtype = "auto";
  bool enforce_eager = false;
  int64_t max_mixed_batch_tokens = 2048;
  int64_t max_cudagraph_capture_size = 512, optimization_level = 2;
  int64_t max_num_queued_reqs = 0, max_num_queued_tokens = 0;  // 0: no limit
  struct Profiler {
    bool enabled = false;              // the server has /start_profile
    std::string dir = "vllm-profile";  // of traces
  } profiler;
  // Speculative decoding: off while the method is empty
  struct Speculation {
    std::string method;  // "draft_model" or "ngram"
    std::string model;
    int64_t num_tokens = 0;
    std::optional<int64_t> prompt_lookup_min, prompt_lookup_max;
  } speculation;
  // Frontend
  std::string host, uds, root_path, chat_template, response_role = "assistant";
  std::string chat_template_content_format = "auto";
  int64_t port = 8000;
  std::vector<std::string> api_keys, served_model_names;
  std::optional<std::vector<std::string>> allowed_origins;  // nullopt: loopback and null
  std::vector<std::string> allowed_methods = {"*"}, allowed_headers = {"*"};
  bool allow_credentials = false;
  std::string ssl_certfile, ssl_keyfile, ssl_ca_certs, ssl_ciphers;
  int64_t ssl_cert_reqs = 0;  // of clients: 0 none, 1 optional, 2 required
  bool enable_ssl_refresh = false;
  bool enable_auto_tool_choice = false;
  std::string tool_call_parser;
  bool return_tokens_as_token_ids = false, enable_prompt_tokens_details = false, enable_force_include_usage = false;
  bool enable_server_load_tracking = false, enable_request_id_headers = false, trust_request_chat_template = false;
  bool disable_uvicorn_access_log = false, disable_fastapi_docs = false, enable_log_requests = false,
       disable_log_stats = false;
  std::vector<std::string> disable_access_log_for_endpoints;
  json::object default_chat_template_kwargs;
  double sse_keep_alive_interval_s = 0;
  double shutdown_timeout_s = 0;
  int64_t h11_max_incomplete_event_size = 4194304, h11_max_header_count = 256;
  // Ours
  std::string log_file, log_format = "text", log_level = "info";
  bool ui = true;
  int64_t threads = 0;  // compute threads; 0: every CPU this process may use

  struct Setting {
    std::string source;  // "command line", a file, "environment (NAME)"
    std::string value;   // as the log shows it; keys and tokens are hidden
  };
  std::map<std::string, Setting, std::less<>> settings;  // by flag name; flags that nobody set are absent
};

/// A command whose flags fill `args`, or a struct derived from it that the rows of `flags` know. Join command line,
/// --config, environment and `system_config` (may be empty: none) and check what no single flag can see.
struct CommandLine {
  const FlagTable& flags;
  ServeArgs& args;
  std::string help_topic;
  std::vector<std::string> warnings;  // for the log
};
Status read_command_line(CommandLine& line, const std::vector<std::string>& argv, const std::string& system_config);

/// The same for `vllm serve`.
struct ServeCommandLine {
  ServeArgs args;
  std::string help_topic;
  std::vector<std::string> warnings;
};
Result<ServeCommandLine> read_serve_command_line(const std::vector<std::string>& argv,
                                                 const std::string& system_config = "/etc/vllm/config.yaml");

/// One line per source, such as `Set by command line: --model x --port 8001`.
std::vector<std::string> describe_settings(const ServeArgs& args);

}  // namespace vllm::cli
