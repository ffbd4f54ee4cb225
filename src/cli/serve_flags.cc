// The flags of `vllm serve` that have a meaning in this version. A new flag is a row here and a field in ServeArgs.
#include <algorithm>
#include <iterator>

#include "cli/flag_groups.h"
#include "cli/serve_args.h"

namespace vllm::cli {
namespace {

using V = const FlagValue&;
using A = ServeArgs&;
constexpr Effect B = Effect::kBuilt;

Error bad(std::string_view flag, std::string_view what) {
  Error e = invalid_argument("argument --{}: {}", flag, what);
  e.param = std::string(flag);
  return e;
}
Status positive(std::string_view flag, int64_t value) {
  if (value < 1) return bad(flag, fmt::format("{} is too small: expected 1 or more", value));
  return {};
}

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
        return bad("allowed-origins", fmt::format("invalid value '{}': expected a JSON list, such as '[\"*\"]'", text));
      for (const json::value& origin : parsed->get_array()) {
        if (!origin.is_string()) return bad("allowed-origins", "expected a list of strings");
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

constexpr Flag kFrontend[] = {
    {"host", FlagType::kString, "all interfaces",
     "Address to listen on; several with commas, \"::\" for IPv6 and IPv4.", B,
     [](A a, V v) {
       a.host = v.text;
       return Status();
     }},
    {"port", FlagType::kInt, "8000", "Port to listen on.", B,
     [](A a, V v) -> Status {
       if (v.integer < 0 || v.integer > 65535) return bad("port", "expected 0 to 65535");
       a.port = v.integer;
       return {};
     }},
    {"uds", FlagType::kString, "", "Path of a Unix domain socket to listen on instead of a port.", B,
     [](A a, V v) {
       a.uds = v.text;
       return Status();
     }},
    {"ssl-keyfile", FlagType::kString, "in --ssl-certfile", "PEM file of the TLS key, without a passphrase.", B,
     [](A a, V v) {
       a.ssl_keyfile = v.text;
       return Status();
     }},
    {"ssl-certfile", FlagType::kString, "",
     "PEM file of the TLS certificate, the server's own first: with it the server speaks https only.", B,
     [](A a, V v) {
       a.ssl_certfile = v.text;
       return Status();
     }},
    {"ssl-ca-certs", FlagType::kString, "", "PEM file of the certificates that clients' must be signed by.", B,
     [](A a, V v) {
       a.ssl_ca_certs = v.text;
       return Status();
     }},
    {"ssl-cert-reqs", FlagType::kInt, "0",
     "Client certificates: 0 not asked for, 1 checked if there is one, 2 required.", B,
     [](A a, V v) -> Status {
       if (v.integer < 0 || v.integer > 2) return bad("ssl-cert-reqs", "expected 0, 1 or 2");
       a.ssl_cert_reqs = v.integer;
       return {};
     }},
    {"ssl-ciphers", FlagType::kString, "OpenSSL's",
     "Ciphers for TLS 1.2 in OpenSSL's notation; those of 1.3 are fixed.", B,
     [](A a, V v) {
       a.ssl_ciphers = v.text;
       return Status();
     }},
    {"enable-ssl-refresh", FlagType::kBool, "false", "New connections use the TLS files as they are now.", B,
     [](A a, V v) {
       a.enable_ssl_refresh = v.boolean;
       return Status();
     }},
    {"api-key", FlagType::kList, "$VLLM_API_KEY",
     "Keys that clients may send as `Authorization: Bearer KEY`. With one set, all but /health, /ping, /version, "
     "/metrics and / is guarded.",
     B,
     [](A a, V v) {
       a.api_keys = v.list;
       return Status();
     }},
    {"served-model-name", FlagType::kList, "the --model value",
     "Names under which the model answers; the first one is written in responses.", B,
     [](A a, V v) {
       a.served_model_names = v.list;
       std::erase(a.served_model_names, "");
       return Status();
     }},
    {"chat-template", FlagType::kString, "the checkpoint's",
     "Jinja chat template: a file, or the template itself in one line.", B,
     [](A a, V v) {
       a.chat_template = v.text;
       return Status();
     }},
    {"chat-template-content-format", FlagType::kString, "auto",
     "How message content reaches the template: as a string, or as OpenAI's list of parts.", B,
     [](A a, V v) {
       a.chat_template_content_format = v.text;
       return Status();
     },
     "auto|string|openai"},
    {"default-chat-template-kwargs", FlagType::kJson, "{}",
     "Template variables used where a request sets none, e.g. '{\"enable_thinking\": false}'.", B,
     [](A a, V v) {
       a.default_chat_template_kwargs = v.object;
       return Status();
     }},
    {"response-role", FlagType::kString, "assistant", "Role name of generated chat messages.", B,
     [](A a, V v) {
       a.response_role = v.text;
       return Status();
     }},
    {"root-path", FlagType::kString, "", "Path prefix that a proxy in front leaves on requests.", B,
     [](A a, V v) {
       a.root_path = v.text;
       return Status();
     }},
    {"allowed-origins", FlagType::kList, "loopback and null",
     "CORS: origins whose pages may call the server, as a JSON list; '[\"*\"]' for all.", B, set_origins},
    {"cors-allow-origins", FlagType::kList, "",
     "Older spelling of --allowed-origins; also \"*\" alone, or several with commas.", B, set_origins},
    {"allowed-methods", FlagType::kList, "[\"*\"]", "CORS: allowed methods, as a JSON list.", B,
     [](A a, V v) {
       a.allowed_methods = v.list;
       return Status();
     }},
    {"allowed-headers", FlagType::kList, "[\"*\"]", "CORS: allowed headers, as a JSON list.", B,
     [](A a, V v) {
       a.allowed_headers = v.list;
       return Status();
     }},
    {"allow-credentials", FlagType::kBool, "false", "CORS: allow credentials.", B,
     [](A a, V v) {
       a.allow_credentials = v.boolean;
       return Status();
     }},
    {"enable-auto-tool-choice", FlagType::kBool, "false",
     "Let requests use tool_choice \"auto\"; needs --tool-call-parser.", B,
     [](A a, V v) {
       a.enable_auto_tool_choice = v.boolean;
       return Status();
     }},
    {"tool-call-parser", FlagType::kString, "",
     "Parser of the model's tool calls. Tools are rendered into the prompt; parsing the answer is not built yet.", B,
     [](A a, V v) {
       a.tool_call_parser = v.text;
       return Status();
     }},
    {"return-tokens-as-token-ids", FlagType::kBool, "false", "Write logprob tokens as token_id:N.", B,
     [](A a, V v) {
       a.return_tokens_as_token_ids = v.boolean;
       return Status();
     }},
    {"enable-prompt-tokens-details", FlagType::kBool, "false", "Report cached prompt tokens in usage.", B,
     [](A a, V v) {
       a.enable_prompt_tokens_details = v.boolean;
       return Status();
     }},
    {"enable-force-include-usage", FlagType::kBool, "false", "Send usage at the end of every stream.", B,
     [](A a, V v) {
       a.enable_force_include_usage = v.boolean;
       return Status();
     }},
    {"enable-server-load-tracking", FlagType::kBool, "false", "Count open requests for /load.", B,
     [](A a, V v) {
       a.enable_server_load_tracking = v.boolean;
       return Status();
     }},
    {"enable-request-id-headers", FlagType::kBool, "false", "Answer with an X-Request-Id header.", B,
     [](A a, V v) {
       a.enable_request_id_headers = v.boolean;
       return Status();
     }},
    {"trust-request-chat-template", FlagType::kBool, "false", "Let requests bring their own chat template.", B,
     [](A a, V v) {
       a.trust_request_chat_template = v.boolean;
       return Status();
     }},
    {"disable-uvicorn-access-log", FlagType::kBool, "false", "No access log lines.", B,
     [](A a, V v) {
       a.disable_uvicorn_access_log = v.boolean;
       return Status();
     }},
    {"disable-access-log-for-endpoints", FlagType::kList, "", "Paths without access log lines, e.g. /health,/metrics.",
     B,
     [](A a, V v) {
       a.disable_access_log_for_endpoints.clear();
       for (std::string_view item : v.list) {
         for (size_t comma; !item.empty(); item = comma == std::string_view::npos ? "" : item.substr(comma + 1)) {
           comma = item.find(',');
           a.disable_access_log_for_endpoints.emplace_back(item.substr(0, comma));
         }
       }
       return Status();
     }},
    {"disable-fastapi-docs", FlagType::kBool, "false", "No /docs and /openapi.json.", B,
     [](A a, V v) {
       a.disable_fastapi_docs = v.boolean;
       return Status();
     }},
    {"enable-log-requests", FlagType::kBool, "false", "Log each request's id, prompt length and sampling parameters.",
     B,
     [](A a, V v) {
       a.enable_log_requests = v.boolean;
       return Status();
     }},
    {"sse-keep-alive-interval", FlagType::kFloat, "0",
     "Seconds of silence after which a stream gets an SSE comment; 0 = never.", B,
     [](A a, V v) {
       a.sse_keep_alive_interval_s = v.number;
       return Status();
     }},
    {"shutdown-timeout", FlagType::kFloat, "0",
     "Seconds that open requests may go on after SIGTERM; 0 aborts them at once.", B,
     [](A a, V v) -> Status {
       if (v.number < 0) return bad("shutdown-timeout", "expected 0 or more seconds");
       a.shutdown_timeout_s = v.number;
       return {};
     }},
    {"h11-max-incomplete-event-size", FlagType::kInt, "4194304", "Largest request head in bytes.", B,
     [](A a, V v) -> Status {
       RETURN_IF_ERROR(positive("h11-max-incomplete-event-size", v.integer));
       a.h11_max_incomplete_event_size = v.integer;
       return {};
     }},
    {"h11-max-header-count", FlagType::kInt, "256", "Most headers in a request.", B,
     [](A a, V v) -> Status {
       RETURN_IF_ERROR(positive("h11-max-header-count", v.integer));
       a.h11_max_header_count = v.integer;
       return {};
     }},
    {"ui", FlagType::kBool, "true", "Serve the built-in chat page at /; --no-ui turns it off.", B,
     [](A a, V v) {
       a.ui = v.boolean;
       return Status();
     }},
    {"config", FlagType::kString, "/etc/vllm/config.yaml if it exists",
     "YAML file with flag names as keys; the command line wins over it.", B, [](A, V) { return Status(); }},
};

constexpr Flag kModel[] = {
    {"model", FlagType::kString, "Qwen/Qwen3-0.6B",
     "Hub id, folder or .gguf file; better given without a flag: vllm serve MODEL.", B,
     [](A a, V v) -> Status {
       if (v.text.empty())
         return bad("model", "empty; expected a hub id such as Qwen/Qwen3-0.6B, a folder or a .gguf file");
       a.model = v.text;
       return {};
     }},
    {"tokenizer", FlagType::kString, "the model's", "Hub id or folder of another tokenizer.", B,
     [](A a, V v) {
       a.tokenizer = v.text;
       return Status();
     }},
    {"tokenizer-mode", FlagType::kString, "auto",
     "Which files make the tokenizer: hf takes tokenizer.json or tokenizer.model, mistral tekken.json or "
     "tokenizer.model "
     "without looking for control tokens in texts; auto is mistral for folders in Mistral's own format, else hf (slow "
     "means hf).",
     B,
     [](A a, V v) {
       a.tokenizer_mode = v.text;
       return Status();
     },
     "auto|hf|slow|mistral"},
    {"revision", FlagType::kString, "main", "Branch, tag or commit of the hub repository.", B,
     [](A a, V v) {
       a.revision = v.text;
       return Status();
     }},
    {"hf-token", FlagType::kString, "$HF_TOKEN", "Token for gated or private repositories.", B,
     [](A a, V v) {
       a.hf_token = v.text;
       return Status();
     }},
    {"dtype", FlagType::kString, "auto",
     "Type of weights and activations; auto follows the checkpoint, float32 becoming bfloat16.", B,
     [](A a, V v) {
       a.dtype = v.text;
       return Status();
     },
     "auto|half|float16|bfloat16|float|float32"},
    {"max-model-len", FlagType::kHumanInt, "the model's context",
     "Longest prompt plus answer in tokens; auto or -1 takes the largest that fits into memory.", B,
     [](A a, V v) -> Status {
       if (v.text != "auto" && v.integer != -1 && v.integer < 1)
         return bad("max-model-len", "expected 1 or more, or auto");
       a.max_model_len = v.text == "auto" ? -1 : v.integer;
       return {};
     },
     "auto"},
    {"seed", FlagType::kInt, "0", "Seed of the server's own random draws; requests may bring their own.", B,
     [](A a, V v) {
       a.seed = v.integer;
       return Status();
     }},
    {"max-logprobs", FlagType::kInt, "20", "Most logprobs a request may ask for; -1 = the whole vocabulary.", B,
     [](A a, V v) -> Status {
       if (v.integer < -1) return bad("max-logprobs", "expected -1 or more");
       a.max_logprobs = v.integer;
       return {};
     }},
    {"trust-remote-code", FlagType::kBool, "false", "Accepted; nothing of a checkpoint's Python is ever run.", B,
     [](A a, V v) {
       a.trust_remote_code = v.boolean;
       return Status();
     }},
    {"generation-config", FlagType::kString, "auto",
     "Where sampling defaults come from: auto (the checkpoint), vllm (none) or a folder.", B,
     [](A a, V v) {
       a.generation_config = v.text;
       return Status();
     }},
    {"override-generation-config", FlagType::kJson, "{}",
     "Sampling defaults that win over the checkpoint's, e.g. '{\"temperature\": 0.5}'.", B,
     [](A a, V v) {
       a.override_generation_config = v.object;
       return Status();
     }},
    {"temperature", FlagType::kFloat, "", "Default temperature of requests that set none.", B,
     [](A a, V v) -> Status {
       if (v.number < 0 || v.number > 2) return bad("temperature", "expected 0 to 2");
       a.temperature = v.number;
       return {};
     }},
    {"device", FlagType::kString, "auto", "Where to compute; auto takes the GPU if there is a usable one.", B,
     [](A a, V v) {
       a.device = v.text;
       return Status();
     },
     "auto|cuda|cpu"},
    {"threads", FlagType::kInt, "0", "Compute threads of the CPU engine; 0 = every CPU this process may use.", B,
     [](A a, V v) -> Status {
       if (v.integer < 0 || v.integer > 1024) return bad("threads", "expected 0 to 1024");
       a.threads = v.integer;
       return {};
     }},
};

constexpr Flag kLoad[] = {
    {"load-format", FlagType::kString, "auto", "Format of the weights; dummy makes random ones.", B,
     [](A a, V v) {
       a.load_format = v.text;
       return Status();
     },
     "auto|hf|safetensors|gguf|dummy"},
    {"download-dir", FlagType::kString, "the hub cache", "Folder to download into.", B,
     [](A a, V v) {
       a.download_dir = v.text;
       return Status();
     }},
    {"ignore-patterns", FlagType::kList, "original/**/*", "Repository files that are not downloaded.", B,
     [](A a, V v) {
       a.ignore_patterns = v.list;
       return Status();
     }},
    {"use-tqdm-on-load", FlagType::kBool, "true", "Progress bar while loading.", B,
     [](A a, V v) {
       a.use_tqdm_on_load = v.boolean;
       return Status();
     }},
};

constexpr Flag kCache[] = {
    {"block-size", FlagType::kInt, "16", "Tokens in a block of the KV cache.", B,
     [](A a, V v) -> Status {
       if (v.integer != 8 && v.integer != 16 && v.integer != 32 && v.integer != 64 && v.integer != 128)
         return bad("block-size", "expected 8, 16, 32, 64 or 128");
       a.block_size = v.integer;
       return {};
     }},
    {"enable-prefix-caching", FlagType::kBool, "true", "Reuse the KV cache of equal prompt beginnings.", B,
     [](A a, V v) {
       a.enable_prefix_caching = v.boolean;
       return Status();
     }},
    {"kv-cache-memory-bytes", FlagType::kHumanInt, "",
     "Size of the KV cache in bytes; wins over --gpu-memory-utilization and VLLM_CPU_KVCACHE_SPACE.", B,
     [](A a, V v) -> Status {
       RETURN_IF_ERROR(positive("kv-cache-memory-bytes", v.integer));
       a.kv_cache_memory_bytes = v.integer;
       return {};
     }},
    {"num-gpu-blocks-override", FlagType::kInt, "", "Number of KV blocks, whatever the memory says (tests).", B,
     [](A a, V v) -> Status {
       RETURN_IF_ERROR(positive("num-gpu-blocks-override", v.integer));
       a.num_gpu_blocks_override = v.integer;
       return {};
     }},
};

constexpr Flag kScheduler[] = {
    {"max-num-seqs", FlagType::kHumanInt, "by the device", "Most sequences that run at once.", B,
     [](A a, V v) -> Status {
       RETURN_IF_ERROR(positive("max-num-seqs", v.integer));
       a.max_num_seqs = v.integer;
       return {};
     }},
    {"max-batch-size", FlagType::kHumanInt, "", "Older spelling of --max-num-seqs.", B,
     [](A a, V v) -> Status {
       RETURN_IF_ERROR(positive("max-batch-size", v.integer));
       a.max_batch_size = v.integer;
       return {};
     }},
    {"max-num-batched-tokens", FlagType::kHumanInt, "by the device", "Most tokens in one step.", B,
     [](A a, V v) -> Status {
       RETURN_IF_ERROR(positive("max-num-batched-tokens", v.integer));
       a.max_num_batched_tokens = v.integer;
       return {};
     }},
    {"enable-chunked-prefill", FlagType::kBool, "true", "Split long prompts over several steps.", B,
     [](A a, V v) {
       a.enable_chunked_prefill = v.boolean;
       return Status();
     }},
    {"scheduling-policy", FlagType::kString, "fcfs",
     "Order of waiting requests: first come first served, or by their priority field.", B,
     [](A a, V v) {
       a.scheduling_policy = v.text;
       return Status();
     },
     "fcfs|priority"},
    {"long-prefill-token-threshold", FlagType::kInt, "0", "Most prompt tokens of one request in a step; 0 = no limit.",
     B,
     [](A a, V v) -> Status {
       if (v.integer < 0) return bad("long-prefill-token-threshold", "expected 0 or more");
       a.long_prefill_token_threshold = v.integer;
       return {};
     }},
    {"max-num-queued-reqs", FlagType::kInt, "0", "Requests that may wait; more are refused with 503. 0 = no limit.", B,
     [](A a, V v) -> Status {
       if (v.integer < 0) return bad("max-num-queued-reqs", "expected 0 or more");
       a.max_num_queued_reqs = v.integer;
       return {};
     }},
};

constexpr Flag kLogging[] = {
    {"log-file", FlagType::kString, "", "Log there too; folders are made; reopened on SIGHUP and when moved.", B,
     [](A a, V v) {
       a.log_file = v.text;
       return Status();
     }},
    {"log-format", FlagType::kString, "text", "Log lines as text or as JSON objects.", B,
     [](A a, V v) {
       a.log_format = v.text;
       return Status();
     },
     "text|json"},
    {"log-level", FlagType::kString, "info", "Least important level that is logged.", B,
     [](A a, V v) {
       a.log_level = v.text;
       return Status();
     },
     "debug|info|warning|error"},
    {"disable-log-stats", FlagType::kBool, "false", "No throughput lines in the log.", B,
     [](A a, V v) {
       a.disable_log_stats = v.boolean;
       return Status();
     }},
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
