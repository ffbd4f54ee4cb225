// The flags of `vllm serve` that have a meaning in this version. A new flag is a row here and a field in ServeArgs.
#include <algorithm>
#include <iterator>

#include "cli/flag_groups.h"
#include "cli/setters.h"

namespace vllm::cli {
namespace {

constexpr Effect B = Effect::kBuilt;

std::string unquoted(std::string text) {
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
    return text.substr(1, text.size() - 2);
  return text;
}

// Origins in the shapes that reach us through shells and YAML: *, "*", ["*"], '["*"]', a,b.
Status set_origins(ServeArgs& args, const FlagValue& value) {
  std::vector<std::string> origins;
  for (const std::string& item : value.list) {
    std::string text = unquoted(item);
    if (text.starts_with('[')) {
      auto parsed = parse_json(text);
      if (!parsed || !parsed->is_array())
        return invalid_argument("invalid value '{}': expected a JSON list, such as '[\"*\"]'", text);
      for (const json::value& origin : parsed->get_array()) {
        if (!origin.is_string()) return invalid_argument("expected a list of strings");
        origins.emplace_back(origin.get_string());
      }
      continue;
    }
    for (std::string_view rest = text; !rest.empty();) {
      size_t comma = std::min(rest.find(','), rest.size());
      if (std::string origin = unquoted(std::string(rest.substr(0, comma))); !origin.empty())
        origins.push_back(std::move(origin));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  args.allowed_origins = std::move(origins);
  return {};
}

Status set_served_names(ServeArgs& args, const FlagValue& value) {
  args.served_model_names = value.list;
  std::erase(args.served_model_names, "");
  return {};
}

Status set_quiet_paths(ServeArgs& args, const FlagValue& value) {
  args.disable_access_log_for_endpoints.clear();
  for (std::string_view item : value.list) {
    for (size_t comma; !item.empty(); item = comma == item.npos ? "" : item.substr(comma + 1)) {
      comma = item.find(',');
      args.disable_access_log_for_endpoints.emplace_back(item.substr(0, comma));
    }
  }
  return {};
}

Status set_shutdown_timeout(ServeArgs& args, const FlagValue& value) {
  if (!(value.number >= 0)) return invalid_argument("expected 0 or more seconds");
  return set<&ServeArgs::shutdown_timeout_s>(args, value);
}

Status set_model(ServeArgs& args, const FlagValue& value) {
  if (value.text.empty())
    return invalid_argument("empty; expected a hub id such as Qwen/Qwen3-0.6B, a folder or a .gguf file");
  return set<&ServeArgs::model>(args, value);
}

Status set_max_model_len(ServeArgs& args, const FlagValue& value) {
  const bool is_auto = value.text == "auto" || value.integer == -1;
  if (!is_auto && value.integer < 1) return invalid_argument("expected 1 or more, or auto");
  args.max_model_len = is_auto ? -1 : value.integer;
  return {};
}

Status set_temperature(ServeArgs& args, const FlagValue& value) {
  if (!(value.number >= 0 && value.number <= 2)) return invalid_argument("expected 0 to 2");
  return set<&ServeArgs::temperature>(args, value);
}

Status set_block_size(ServeArgs& args, const FlagValue& value) {
  for (int64_t size : {8, 16, 32, 64, 128}) {
    if (value.integer == size) return set<&ServeArgs::block_size>(args, value);
  }
  return invalid_argument("expected 8, 16, 32, 64 or 128");
}

constexpr Flag kFrontend[] = {
    {"host", FlagType::kString, "all interfaces",
     "Address to listen on; several with commas, \"::\" for IPv6 and IPv4.", B, set<&ServeArgs::host>},
    {"port", FlagType::kInt, "8000", "Port to listen on.", B, set_int<&ServeArgs::port, 0, 65535>},
    {"uds", FlagType::kString, "", "Path of a Unix domain socket to listen on instead of a port.", B,
     set<&ServeArgs::uds>},
    {"ssl-keyfile", FlagType::kString, "in --ssl-certfile", "PEM file of the TLS key, without a passphrase.", B,
     set<&ServeArgs::ssl_keyfile>},
    {"ssl-certfile", FlagType::kString, "",
     "PEM file of the TLS certificate, the server's own first: with it the server speaks https only.", B,
     set<&ServeArgs::ssl_certfile>},
    {"ssl-ca-certs", FlagType::kString, "", "PEM file of the certificates that clients' must be signed by.", B,
     set<&ServeArgs::ssl_ca_certs>},
    {"ssl-cert-reqs", FlagType::kInt, "0",
     "Client certificates: 0 not asked for, 1 checked if there is one, 2 required.", B,
     set_int<&ServeArgs::ssl_cert_reqs, 0, 2>},
    {"ssl-ciphers", FlagType::kString, "OpenSSL's",
     "Ciphers for TLS 1.2 in OpenSSL's notation; those of 1.3 are fixed.", B, set<&ServeArgs::ssl_ciphers>},
    {"enable-ssl-refresh", FlagType::kBool, "false", "New connections use the TLS files as they are now.", B,
     set<&ServeArgs::enable_ssl_refresh>},
    {"api-key", FlagType::kList, "$VLLM_API_KEY",
     "Keys that clients may send as `Authorization: Bearer KEY`. With one set, all but /health, /ping, /version, "
     "/metrics and / is guarded.",
     B, set<&ServeArgs::api_keys>},
    {"served-model-name", FlagType::kList, "the --model value",
     "Names under which the model answers; the first one is written in responses.", B, set_served_names},
    {"chat-template", FlagType::kString, "the checkpoint's",
     "Jinja chat template: a file, or the template itself in one line.", B, set<&ServeArgs::chat_template>},
    {"chat-template-content-format", FlagType::kString, "auto",
     "How message content reaches the template: as a string, or as OpenAI's list of parts.", B,
     set<&ServeArgs::chat_template_content_format>, "auto|string|openai"},
    {"default-chat-template-kwargs", FlagType::kJson, "{}",
     "Template variables used where a request sets none, e.g. '{\"enable_thinking\": false}'.", B,
     set<&ServeArgs::default_chat_template_kwargs>},
    {"response-role", FlagType::kString, "assistant", "Role name of generated chat messages.", B,
     set<&ServeArgs::response_role>},
    {"root-path", FlagType::kString, "", "Path prefix that a proxy in front leaves on requests.", B,
     set<&ServeArgs::root_path>},
    {"allowed-origins", FlagType::kList, "loopback and null",
     "CORS: origins whose pages may call the server, as a JSON list; '[\"*\"]' for all.", B, set_origins},
    {"cors-allow-origins", FlagType::kList, "",
     "Older spelling of --allowed-origins; also \"*\" alone, or several with commas.", B, set_origins},
    {"allowed-methods", FlagType::kList, "[\"*\"]", "CORS: allowed methods, as a JSON list.", B,
     set<&ServeArgs::allowed_methods>},
    {"allowed-headers", FlagType::kList, "[\"*\"]", "CORS: allowed headers, as a JSON list.", B,
     set<&ServeArgs::allowed_headers>},
    {"allow-credentials", FlagType::kBool, "false", "CORS: allow credentials.", B, set<&ServeArgs::allow_credentials>},
    {"enable-auto-tool-choice", FlagType::kBool, "false",
     "Let requests use tool_choice \"auto\"; needs --tool-call-parser.", B, set<&ServeArgs::enable_auto_tool_choice>},
    {"tool-call-parser", FlagType::kString, "",
     "Parser of the model's tool calls. Tools are rendered into the prompt; parsing the answer is not built yet.", B,
     set<&ServeArgs::tool_call_parser>},
    {"return-tokens-as-token-ids", FlagType::kBool, "false", "Write logprob tokens as token_id:N.", B,
     set<&ServeArgs::return_tokens_as_token_ids>},
    {"enable-prompt-tokens-details", FlagType::kBool, "false", "Report cached prompt tokens in usage.", B,
     set<&ServeArgs::enable_prompt_tokens_details>},
    {"enable-force-include-usage", FlagType::kBool, "false", "Send usage at the end of every stream.", B,
     set<&ServeArgs::enable_force_include_usage>},
    {"enable-server-load-tracking", FlagType::kBool, "false", "Count open requests for /load.", B,
     set<&ServeArgs::enable_server_load_tracking>},
    {"enable-request-id-headers", FlagType::kBool, "false", "Answer with an X-Request-Id header.", B,
     set<&ServeArgs::enable_request_id_headers>},
    {"trust-request-chat-template", FlagType::kBool, "false", "Let requests bring their own chat template.", B,
     set<&ServeArgs::trust_request_chat_template>},
    {"disable-uvicorn-access-log", FlagType::kBool, "false", "No access log lines.", B,
     set<&ServeArgs::disable_uvicorn_access_log>},
    {"disable-access-log-for-endpoints", FlagType::kList, "", "Paths without access log lines, e.g. /health,/metrics.",
     B, set_quiet_paths},
    {"disable-fastapi-docs", FlagType::kBool, "false", "No /docs and /openapi.json.", B,
     set<&ServeArgs::disable_fastapi_docs>},
    {"enable-log-requests", FlagType::kBool, "false", "Log each request's id, prompt length and sampling parameters.",
     B, set<&ServeArgs::enable_log_requests>},
    {"sse-keep-alive-interval", FlagType::kFloat, "0",
     "Seconds of silence after which a stream gets an SSE comment; 0 = never.", B,
     set<&ServeArgs::sse_keep_alive_interval_s>},
    {"shutdown-timeout", FlagType::kFloat, "0",
     "Seconds that open requests may go on after SIGTERM; 0 aborts them at once.", B, set_shutdown_timeout},
    {"h11-max-incomplete-event-size", FlagType::kInt, "4194304", "Largest request head in bytes.", B,
     set_int<&ServeArgs::h11_max_incomplete_event_size, 1>},
    {"h11-max-header-count", FlagType::kInt, "256", "Most headers in a request.", B,
     set_int<&ServeArgs::h11_max_header_count, 1>},
    {"ui", FlagType::kBool, "true", "Serve the built-in chat page at /; --no-ui turns it off.", B, set<&ServeArgs::ui>},
    {"config", FlagType::kString, "/etc/vllm/config.yaml if it exists",
     "YAML file with flag names as keys; the command line wins over it.", B,
     [](ServeArgs&, const FlagValue&) { return Status(); }},
};

constexpr Flag kModel[] = {
    {"model", FlagType::kString, "Qwen/Qwen3-0.6B",
     "Hub id, folder or .gguf file; better given without a flag: vllm serve MODEL.", B, set_model},
    {"tokenizer", FlagType::kString, "the model's", "Hub id or folder of another tokenizer.", B,
     set<&ServeArgs::tokenizer>},
    {"tokenizer-mode", FlagType::kString, "auto",
     "Which files make the tokenizer: hf takes tokenizer.json or tokenizer.model, mistral tekken.json or "
     "tokenizer.model "
     "without looking for control tokens in texts; auto is mistral for folders in Mistral's own format, else hf (slow "
     "means hf).",
     B, set<&ServeArgs::tokenizer_mode>, "auto|hf|slow|mistral"},
    {"revision", FlagType::kString, "main", "Branch, tag or commit of the hub repository.", B,
     set<&ServeArgs::revision>},
    {"hf-token", FlagType::kString, "$HF_TOKEN", "Token for gated or private repositories.", B,
     set<&ServeArgs::hf_token>},
    {"dtype", FlagType::kString, "auto",
     "Type of weights and activations; auto follows the checkpoint, float32 becoming bfloat16.", B,
     set<&ServeArgs::dtype>, "auto|half|float16|bfloat16|float|float32"},
    {"max-model-len", FlagType::kHumanInt, "the model's context",
     "Longest prompt plus answer in tokens; auto or -1 takes the largest that fits into memory.", B, set_max_model_len,
     "auto"},
    {"seed", FlagType::kInt, "0", "Seed of the server's own random draws; requests may bring their own.", B,
     set<&ServeArgs::seed>},
    {"max-logprobs", FlagType::kInt, "20", "Most logprobs a request may ask for; -1 = the whole vocabulary.", B,
     set_int<&ServeArgs::max_logprobs, -1>},
    {"trust-remote-code", FlagType::kBool, "false", "Accepted; nothing of a checkpoint's Python is ever run.", B,
     set<&ServeArgs::trust_remote_code>},
    {"generation-config", FlagType::kString, "auto",
     "Where sampling defaults come from: auto (the checkpoint), vllm (none) or a folder.", B,
     set<&ServeArgs::generation_config>},
    {"override-generation-config", FlagType::kJson, "{}",
     "Sampling defaults that win over the checkpoint's, e.g. '{\"temperature\": 0.5}'.", B,
     set<&ServeArgs::override_generation_config>},
    {"temperature", FlagType::kFloat, "", "Default temperature of requests that set none.", B, set_temperature},
    {"device", FlagType::kString, "auto", "Where to compute; auto takes the GPU if there is a usable one.", B,
     set<&ServeArgs::device>, "auto|cuda|cpu"},
    {"threads", FlagType::kInt, "0", "Compute threads of the CPU engine; 0 = every CPU this process may use.", B,
     set_int<&ServeArgs::threads, 0, 1024>},
};

constexpr Flag kLoad[] = {
    {"load-format", FlagType::kString, "auto", "Format of the weights; dummy makes random ones.", B,
     set<&ServeArgs::load_format>, "auto|hf|safetensors|gguf|dummy"},
    {"download-dir", FlagType::kString, "the hub cache", "Folder to download into.", B, set<&ServeArgs::download_dir>},
    {"ignore-patterns", FlagType::kList, "original/**/*", "Repository files that are not downloaded.", B,
     set<&ServeArgs::ignore_patterns>},
    {"use-tqdm-on-load", FlagType::kBool, "true", "Progress bar while loading.", B, set<&ServeArgs::use_tqdm_on_load>},
};

constexpr Flag kCache[] = {
    {"block-size", FlagType::kInt, "16", "Tokens in a block of the KV cache.", B, set_block_size},
    {"enable-prefix-caching", FlagType::kBool, "true", "Reuse the KV cache of equal prompt beginnings.", B,
     set<&ServeArgs::enable_prefix_caching>},
    {"kv-cache-memory-bytes", FlagType::kHumanInt, "",
     "Size of the KV cache in bytes; wins over --gpu-memory-utilization and VLLM_CPU_KVCACHE_SPACE.", B,
     set_int<&ServeArgs::kv_cache_memory_bytes, 1, kAnyInt>},
    {"num-gpu-blocks-override", FlagType::kInt, "", "Number of KV blocks, whatever the memory says (tests).", B,
     set_int<&ServeArgs::num_gpu_blocks_override, 1>},
};

constexpr Flag kScheduler[] = {
    {"max-num-seqs", FlagType::kHumanInt, "by the device", "Most sequences that run at once.", B,
     set_int<&ServeArgs::max_num_seqs, 1>},
    {"max-batch-size", FlagType::kHumanInt, "", "Older spelling of --max-num-seqs.", B,
     set_int<&ServeArgs::max_batch_size, 1>},
    {"max-num-batched-tokens", FlagType::kHumanInt, "by the device",
     "Most tokens in one step. On CPUs the default is 128 for each thread, 256 to 2048.", B,
     set_int<&ServeArgs::max_num_batched_tokens, 1>},
    {"enable-chunked-prefill", FlagType::kBool, "true", "Split long prompts over several steps.", B,
     set<&ServeArgs::enable_chunked_prefill>},
    {"scheduling-policy", FlagType::kString, "fcfs",
     "Order of waiting requests: first come first served, or by their priority field.", B,
     set<&ServeArgs::scheduling_policy>, "fcfs|priority"},
    {"long-prefill-token-threshold", FlagType::kInt, "0", "Most prompt tokens of one request in a step; 0 = no limit.",
     B, set_int<&ServeArgs::long_prefill_token_threshold, 0>},
    {"max-num-queued-reqs", FlagType::kInt, "0",
     "Sequences that may wait or run at once; more are refused with 503. 0 = no limit.", B,
     set_int<&ServeArgs::max_num_queued_reqs, 0, INT32_MAX>},
    {"max-num-queued-tokens", FlagType::kHumanInt, "0",
     "Prompt tokens of requests without a first token yet, from which on more requests are refused with 503: the time "
     "to the first token that is bearable, times the tokens that are prefilled in it. 0 = no limit.",
     B, set_int<&ServeArgs::max_num_queued_tokens, 0>},
};

constexpr Flag kLogging[] = {
    {"log-file", FlagType::kString, "", "Log there too; folders are made; reopened on SIGHUP and when moved.", B,
     set<&ServeArgs::log_file>},
    {"log-format", FlagType::kString, "text", "Log lines as text or as JSON objects.", B, set<&ServeArgs::log_format>,
     "text|json"},
    {"log-level", FlagType::kString, "info", "Least important level that is logged.", B, set<&ServeArgs::log_level>,
     "debug|info|warning|error"},
    {"disable-log-stats", FlagType::kBool, "false", "No throughput lines in the log.", B,
     set<&ServeArgs::disable_log_stats>},
};

}  // namespace

const FlagGroup kBuiltGroups[] = {
    {"Frontend", "The HTTP server and the OpenAI-compatible API.", kFrontend},
    {"ModelConfig", "Which model, and how it is run.", kModel},
    {"LoadConfig", "Where the weights come from.", kLoad},
    {"CacheConfig", "The KV cache.", kCache},
    {"SchedulerConfig", "How requests share the engine.", kScheduler},
    {"LoggingConfig", "The log.", kLogging},
};
const size_t kNumBuiltGroups = std::size(kBuiltGroups);

}  // namespace vllm::cli
