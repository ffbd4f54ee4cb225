#include "cli/startup.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <optional>
#include <utility>

#include "base/env.h"
#include "base/log.h"
#include "cli/device_choice.h"
#include "cli/engine_parts.h"
#include "cli/profiling.h"
#include "cli/sampling_defaults.h"
#include "cli/text_files.h"
#include "engine/exec/cuda_executor.h"
#include "engine/make_engine.h"
#include "hub/checkpoint.h"
#include "hub/hub.h"
#include "model/config.h"
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

// `shapes_only`: a folder with a config.json whose weights will be random.
Result<ModelSource> open_source(const std::filesystem::path& path, bool shapes_only) {
  ModelSource source;
  if (!shapes_only) {
    ASSIGN_OR_RETURN(source.checkpoint, open_checkpoint(path));
  }
  const GgufFile* gguf = source.checkpoint ? source.checkpoint->gguf() : nullptr;
  if (gguf) {
    ASSIGN_OR_RETURN(source.config, model::config_from_gguf(*gguf).with_context("{}", path.string()));
  } else {
    ASSIGN_OR_RETURN(source.config, model::load_config(path).with_context("{}", path.string()));
  }
  return source;
}

struct Text {
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::shared_ptr<const text::ChatTemplate> chat_template;  // null: a base model
};

text::TokenizerMode tokenizer_mode(const ServeArgs& args) {
  if (args.tokenizer_mode == "mistral") return text::TokenizerMode::kMistral;
  return args.tokenizer_mode == "auto" ? text::TokenizerMode::kAuto : text::TokenizerMode::kHf;
}

Result<Text> load_text(const ServeArgs& args, const std::filesystem::path& model_path, const GgufFile* gguf,
                       const model::ModelConfig& config, const std::function<void(std::string)>& phase,
                       const std::atomic<bool>& cancelled) {
  Text out;
  std::filesystem::path dir = gguf ? model_path.parent_path() : model_path;
  if (!args.tokenizer.empty() && args.tokenizer != args.model) {
    ASSIGN_OR_RETURN(dir,
                     locate(args.tokenizer, args, phase, cancelled).with_context("--tokenizer {}", args.tokenizer));
    ASSIGN_OR_RETURN(out.tokenizer,
                     text::load_tokenizer(dir, tokenizer_mode(args)).with_context("--tokenizer {}", args.tokenizer));
  } else if (gguf) {
    ASSIGN_OR_RETURN(out.tokenizer,
                     text::load_gguf_tokenizer(*gguf).with_context("tokenizer of {}", model_path.string()));
  } else {
    ASSIGN_OR_RETURN(out.tokenizer,
                     text::load_tokenizer(dir, tokenizer_mode(args)).with_context("tokenizer of {}", dir.string()));
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

// Opening a GPU takes 0.3 s, so the question is asked while files are read.
class GpuQuestion {
 public:
  explicit GpuQuestion(const ServeArgs& args) : flag_(args.device), target_(env("VLLM_TARGET_DEVICE").value_or("")) {
    if (engine::built_with_cuda() && flag_ != "cpu") why_ = std::async(std::launch::async, engine::why_no_gpu, 0);
  }
  Result<DeviceChoice> answer() {
    return choose_device(
        {.flag = flag_, .target = target_, .built_with_cuda = engine::built_with_cuda(), .why_no_gpu = [&] {
           return why_.valid() ? why_.get() : engine::why_no_gpu(0);
         }});
  }

 private:
  std::string flag_, target_;
  std::future<std::string> why_;
};

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
                                 const std::atomic<bool>& cancelled, engine::OutputSink sink) {
  PhaseTimer timer;
  GpuQuestion gpu(args);
  if (!engine::built_with_cuda()) RETURN_IF_ERROR(gpu.answer());  // nothing to wait for: stop before a download
  phase("finding the model");
  std::filesystem::path path = args.model;
  // Random weights need the shapes of a folder only.
  const bool shapes_only = args.load_format == "dummy" && std::filesystem::is_regular_file(path / "config.json");
  if (!shapes_only) {
    ASSIGN_OR_RETURN(path, locate(args.model, args, phase, cancelled));
  }
  LOG_INFO("Model files: {} ({} ms)", path.string(), timer.lap());

  phase("reading the configuration");
  ASSIGN_OR_RETURN(ModelSource source, open_source(path, shapes_only));
  const GgufFile* gguf = source.checkpoint ? source.checkpoint->gguf() : nullptr;
  const model::ModelConfig& config = source.config;
  std::optional<ModelSource> draft;
  if (args.speculation.method == "draft_model") {
    ServeArgs draft_args = args;
    draft_args.revision.clear();  // --revision is the target's
    ASSIGN_OR_RETURN(std::filesystem::path draft_path, locate(args.speculation.model, draft_args, phase, cancelled)
                                                           .with_context("draft model {}", args.speculation.model));
    ASSIGN_OR_RETURN(draft, open_source(draft_path, false).with_context("draft model"));
    LOG_INFO("Speculative decoding: {} drafts {} tokens a step", draft_path.string(), args.speculation.num_tokens);
  } else if (args.speculation.method == "ngram") {
    LOG_INFO("Speculative decoding: up to {} tokens a step that followed the same words before",
             args.speculation.num_tokens);
  }
  model::GenerationConfig generation;
  std::filesystem::path generation_dir =
      args.generation_config == "auto" ? path : std::filesystem::path(args.generation_config);
  if (args.generation_config != "vllm" && !(gguf && args.generation_config == "auto")) {
    ASSIGN_OR_RETURN(generation, model::load_generation_config(generation_dir));
  }
  RETURN_IF_ERROR(override_generation(generation, args.temperature, args.override_generation_config));

  phase("loading the tokenizer");
  ASSIGN_OR_RETURN(Text text, load_text(args, path, gguf, config, phase, cancelled));
  int64_t text_ms = timer.lap();

  ASSIGN_OR_RETURN(DeviceChoice device, gpu.answer());
  if (!device.warning.empty()) LOG_WARNING("{}", device.warning);
  if (!device.cuda) {
    for (const std::string& warning : gpu_only_settings(args)) LOG_WARNING("{}", warning);
  }
  RunningModel running;
  if (args.profiler.enabled) {
    ASSIGN_OR_RETURN(running.profiler, make_profiler(args, device.cuda));
  }
  phase("loading weights 0%");
  ASSIGN_OR_RETURN(EngineParts parts,
                   make_engine_parts(args, device.cuda, source, draft, phase).with_context("{}", path.string()));
  LOG_INFO("Successfully loaded model {}: {:.2f} GiB of weights (tokenizer {} ms, weights and KV cache {} ms)",
           args.model, static_cast<double>(parts.weight_bytes) / (1 << 30), text_ms, timer.lap());
  const engine::EngineConfig& engine_config = parts.config;

  serve::ServiceConfig config_of_service = service_config(args, config, engine_config.max_model_len, *text.tokenizer);
  config_of_service.generation = generation;
  running.metrics = std::make_shared<serve::Metrics>(serve::Metrics::Options{
      .model_name = config_of_service.served_model_names.front(),
      .max_model_len = engine_config.max_model_len,
      .cache_config = {{"block_size", std::to_string(engine_config.block_size)},
                       {"num_gpu_blocks", std::to_string(engine_config.num_blocks - 1)},
                       {"enable_prefix_caching", engine_config.enable_prefix_caching ? "True" : "False"},
                       {"cache_dtype", args.kv_cache_dtype}}});
  running.service = std::make_unique<serve::Service>(std::move(config_of_service), text.tokenizer, text.chat_template,
                                                     running.metrics);
  if (!sink) sink = running.service->output_sink();
  running.engine =
      engine::make_engine(engine_config, parts.sliding_windows, std::move(parts.executor), std::move(sink));
  running.service->set_engine(running.engine.get());
  running.tokenizer = text.tokenizer;
  running.max_model_len = engine_config.max_model_len;
  running.vocab_size = config.vocab_size;
  LOG_INFO("KV cache: {} blocks of {} tokens ({:.2f} GiB), context {} tokens, up to {} sequences; {}",
           engine_config.num_blocks - 1, engine_config.block_size,
           static_cast<double>(engine_config.num_blocks * parts.bytes_per_block) / (1 << 30),
           engine_config.max_model_len, engine_config.max_num_seqs, parts.device);
  return running;
}

}  // namespace vllm::cli
