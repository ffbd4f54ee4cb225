#include "cli/startup.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "base/env.h"
#include "base/log.h"
#include "cli/kv_size.h"
#include "cli/sampling_defaults.h"
#include "cli/text_files.h"
#include "engine/exec/cpu_executor.h"
#include "engine/make_engine.h"
#include "hub/checkpoint.h"
#include "hub/hub.h"
#include "model/config.h"
#include "model/model.h"
#include "tensor/cpu_info.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace vllm::cli {
namespace {

class PhaseTimer {
 public:
  /// Milliseconds since the last call.
  int64_t lap() {
    auto now = std::chrono::steady_clock::now();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

Result<DType> pick_dtype(const std::string& flag, const model::ModelConfig& config) {
  if (flag == "float32" || flag == "float") return DType::kFloat32;
  if (flag == "float16" || flag == "half") return DType::kFloat16;
  if (flag == "bfloat16") return DType::kBFloat16;
  // auto: GGUF files were made for a float16 cache; float32 checkpoints run in bfloat16, as in vLLM on CPUs.
  return config.from_gguf || config.torch_dtype == "float16" ? DType::kFloat16 : DType::kBFloat16;
}

Result<std::filesystem::path> locate(const std::string& model, const ServeArgs& args,
                                     const std::function<void(std::string)>& phase,
                                     const std::atomic<bool>& cancelled) {
  HubOptions options = hub_options_from_env();
  if (!args.revision.empty()) options.revision = args.revision;
  if (!args.hf_token.empty()) options.token = args.hf_token;
  options.download_dir = args.download_dir;
  options.ignore_patterns = args.ignore_patterns;
  options.cancelled = &cancelled;
  options.on_progress = [&phase](std::string_view name, double share) {
    phase(fmt::format("{} {:.0f}%", name, share * 100));
  };
  return find_model(model, options);
}

struct Text {
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::shared_ptr<const text::ChatTemplate> chat_template;  // null: a base model
};

Result<Text> load_text(const ServeArgs& args, const std::filesystem::path& model_path, const GgufFile* gguf,
                       const model::ModelConfig& config, const std::function<void(std::string)>& phase,
                       const std::atomic<bool>& cancelled) {
  Text out;
  std::filesystem::path dir = gguf ? model_path.parent_path() : model_path;
  if (!args.tokenizer.empty() && args.tokenizer != args.model) {
    ASSIGN_OR_RETURN(dir,
                     locate(args.tokenizer, args, phase, cancelled).with_context("--tokenizer {}", args.tokenizer));
    ASSIGN_OR_RETURN(out.tokenizer, text::load_tokenizer(dir).with_context("--tokenizer {}", args.tokenizer));
  } else if (gguf) {
    ASSIGN_OR_RETURN(out.tokenizer,
                     text::load_gguf_tokenizer(*gguf).with_context("tokenizer of {}", model_path.string()));
  } else {
    ASSIGN_OR_RETURN(out.tokenizer, text::load_tokenizer(dir).with_context("tokenizer of {}", dir.string()));
  }

  std::string source;
  std::string_view origin = "the checkpoint's";
  if (!args.chat_template.empty()) {
    ASSIGN_OR_RETURN(source, chat_template_argument(args.chat_template));
    origin = "--chat-template";
  } else if (gguf) {
    source = chat_template_of_gguf(*gguf);
  } else {
    ASSIGN_OR_RETURN(source, chat_template_of_folder(dir));
  }
  if (source.empty()) {
    source = text::builtin_chat_template(config.model_type, args.model);
    origin = "built in for this family";
  }
  LOG_INFO("Tokenizer: {}; chat template: {}", out.tokenizer->description(),
           source.empty() ? "none (a base model: /v1/chat/completions needs --chat-template)" : origin);
  if (!source.empty()) {
    ASSIGN_OR_RETURN(text::ChatTemplate compiled,
                     text::ChatTemplate::compile(source).with_context("chat template ({})", origin));
    out.chat_template = std::make_shared<const text::ChatTemplate>(std::move(compiled));
  }
  return out;
}

Result<KvSize> size_cache(const ServeArgs& args, const model::ModelConfig& config, const model::KvCacheSpec& spec) {
  KvSizeInput in{.model_max_len = config.max_position,
                 .requested_max_len = args.max_model_len,
                 .allow_longer = env_flag("VLLM_ALLOW_LONG_MAX_MODEL_LEN"),
                 .bytes_per_block = spec.bytes_per_block(static_cast<int>(args.block_size)),
                 .block_size = static_cast<int>(args.block_size),
                 .max_num_seqs = args.max_num_seqs.value_or(128),
                 .available_bytes = available_memory_bytes(),
                 .kv_bytes = args.kv_cache_memory_bytes,
                 .num_blocks = args.num_gpu_blocks_override};
  if (auto space = env("VLLM_CPU_KVCACHE_SPACE"); space && !in.kv_bytes) {
    char* end = nullptr;
    double gib = std::strtod(space->c_str(), &end);
    if (*end || !(gib >= 0) || gib > 1e6)
      return invalid_argument("VLLM_CPU_KVCACHE_SPACE={}: expected a number of GiB", *space);
    if (gib > 0) in.kv_bytes = static_cast<int64_t>(gib * (1 << 30));
  }
  return size_kv_cache(in);
}

serve::ServiceConfig service_config(const ServeArgs& args, const model::ModelConfig& config, int64_t max_model_len,
                                    const text::Tokenizer& tokenizer) {
  serve::ServiceConfig c;
  c.served_model_names =
      args.served_model_names.empty() ? std::vector<std::string>{args.model} : args.served_model_names;
  c.model_root = args.model;
  c.max_model_len = max_model_len;
  c.max_logprobs = static_cast<int>(args.max_logprobs);
  c.eos_token_ids = config.eos_token_ids;
  if (auto eos = tokenizer.eos_id();
      eos && std::find(c.eos_token_ids.begin(), c.eos_token_ids.end(), *eos) == c.eos_token_ids.end())
    c.eos_token_ids.push_back(*eos);
  c.response_role = args.response_role;
  c.return_tokens_as_token_ids = args.return_tokens_as_token_ids;
  c.enable_prompt_tokens_details = args.enable_prompt_tokens_details;
  c.enable_force_include_usage = args.enable_force_include_usage;
  c.enable_request_id_headers = args.enable_request_id_headers;
  c.enable_server_load_tracking = args.enable_server_load_tracking;
  c.trust_request_chat_template = args.trust_request_chat_template;
  c.enable_auto_tool_choice = args.enable_auto_tool_choice;
  c.tool_call_parser = args.tool_call_parser;
  c.enable_log_requests = args.enable_log_requests;
  c.default_chat_template_kwargs = args.default_chat_template_kwargs;
  c.vocab_size = config.vocab_size;
  c.priority_scheduling = args.scheduling_policy == "priority";
  return c;
}

}  // namespace

Result<RunningModel> start_model(const ServeArgs& args, const std::function<void(std::string)>& phase,
                                 const std::atomic<bool>& cancelled) {
  PhaseTimer timer;
  phase("finding the model");
  ASSIGN_OR_RETURN(std::filesystem::path path, locate(args.model, args, phase, cancelled));
  LOG_INFO("Model files: {} ({} ms)", path.string(), timer.lap());

  phase("reading the configuration");
  ASSIGN_OR_RETURN(std::unique_ptr<Checkpoint> opened, open_checkpoint(path));
  std::shared_ptr<const Checkpoint> checkpoint = std::move(opened);
  const GgufFile* gguf = checkpoint->gguf();
  model::ModelConfig config;
  model::GenerationConfig generation;
  if (gguf) {
    ASSIGN_OR_RETURN(config, model::config_from_gguf(*gguf).with_context("{}", path.string()));
  } else {
    ASSIGN_OR_RETURN(config, model::load_config(path).with_context("{}", path.string()));
  }
  std::filesystem::path generation_dir =
      args.generation_config == "auto" ? path : std::filesystem::path(args.generation_config);
  if (args.generation_config != "vllm" && !(gguf && args.generation_config == "auto")) {
    ASSIGN_OR_RETURN(generation, model::load_generation_config(generation_dir));
  }
  RETURN_IF_ERROR(override_generation(generation, args.temperature, args.override_generation_config));
  ASSIGN_OR_RETURN(DType dtype, pick_dtype(args.dtype, config));
  LOG_INFO("Architecture {}: {} layers, hidden size {}, {} heads, {} KV heads, context {}; dtype {}",
           config.architecture, config.num_layers, config.hidden_size, config.num_heads, config.num_kv_heads,
           config.max_position, info(dtype).name);

  phase("loading the tokenizer");
  ASSIGN_OR_RETURN(Text text, load_text(args, path, gguf, config, phase, cancelled));
  int64_t text_ms = timer.lap();

  phase("loading weights 0%");
  if (checkpoint->total_bytes() > available_memory_bytes()) {
    return error(
        ErrorCode::kResourceExhausted,
        "Out of memory: the weights have {:.2f} GiB and {:.2f} GiB are free; use a smaller or quantized model (GGUF)",
        static_cast<double>(checkpoint->total_bytes()) / (1 << 30),
        static_cast<double>(available_memory_bytes()) / (1 << 30));
  }
  std::unique_ptr<model::Model> loaded;
  {
    ThreadPool pool(args.threads > 0 ? static_cast<int>(args.threads) : usable_cpus(), false);
    model::LoadOptions options{.dtype = dtype, .kv_dtype = dtype, .dummy_weights = args.load_format == "dummy"};
    options.on_progress = [&phase](double share) { phase(fmt::format("loading weights {:.0f}%", share * 100)); };
    ASSIGN_OR_RETURN(loaded, model::load_model(config, checkpoint, options, pool).with_context("{}", path.string()));
  }
  LOG_INFO("Successfully loaded model {}: {:.2f} GiB of weights (tokenizer {} ms, weights {} ms)", args.model,
           static_cast<double>(loaded->weight_bytes()) / (1 << 30), text_ms, timer.lap());

  phase("starting the engine");
  ASSIGN_OR_RETURN(KvSize size, size_cache(args, config, loaded->kv_spec()));
  engine::EngineConfig engine_config{
      .max_num_seqs = static_cast<int>(args.max_num_seqs.value_or(128)),
      .max_num_batched_tokens = static_cast<int>(args.max_num_batched_tokens.value_or(2048)),
      .max_model_len = size.max_model_len,
      .block_size = static_cast<int>(args.block_size),
      .num_blocks = size.num_blocks,
      .enable_prefix_caching = args.enable_prefix_caching,
      .enable_chunked_prefill = args.enable_chunked_prefill,
      .policy = args.scheduling_policy == "priority" ? engine::EngineConfig::Policy::kPriority
                                                     : engine::EngineConfig::Policy::kFcfs,
      .long_prefill_token_threshold = args.long_prefill_token_threshold,
      .max_num_queued_reqs = static_cast<int>(args.max_num_queued_reqs)};
  engine_config.max_num_batched_tokens = std::max(engine_config.max_num_batched_tokens, engine_config.max_num_seqs);
  if (!args.enable_chunked_prefill)
    engine_config.max_num_batched_tokens =
        std::max<int>(engine_config.max_num_batched_tokens, static_cast<int>(size.max_model_len));
  std::vector<int64_t> windows;
  for (const model::KvGroup& group : loaded->kv_spec().groups) windows.push_back(group.sliding_window);
  int64_t bytes_per_block = loaded->kv_spec().bytes_per_block(engine_config.block_size);
  ASSIGN_OR_RETURN(std::unique_ptr<engine::Executor> executor,
                   engine::make_cpu_executor(std::move(loaded),
                                             {.engine = engine_config, .num_threads = static_cast<int>(args.threads)}));

  RunningModel running;
  serve::ServiceConfig config_of_service = service_config(args, config, size.max_model_len, *text.tokenizer);
  config_of_service.generation = generation;
  running.metrics = std::make_shared<serve::Metrics>(serve::Metrics::Options{
      .model_name = config_of_service.served_model_names.front(),
      .max_model_len = size.max_model_len,
      .cache_config = {{"block_size", std::to_string(engine_config.block_size)},
                       {"num_gpu_blocks", std::to_string(size.num_blocks - 1)},
                       {"enable_prefix_caching", engine_config.enable_prefix_caching ? "True" : "False"},
                       {"cache_dtype", "auto"}}});
  running.service = std::make_unique<serve::Service>(std::move(config_of_service), text.tokenizer, text.chat_template,
                                                     running.metrics);
  running.engine = engine::make_engine(engine_config, windows, std::move(executor), running.service->output_sink());
  running.service->set_engine(running.engine.get());
  LOG_INFO("KV cache: {} blocks of {} tokens ({:.2f} GiB), context {} tokens, up to {} sequences; {}",
           size.num_blocks - 1, engine_config.block_size,
           static_cast<double>(size.num_blocks * bytes_per_block) / (1 << 30), size.max_model_len,
           engine_config.max_num_seqs, cpu_description());
  return running;
}

}  // namespace vllm::cli
