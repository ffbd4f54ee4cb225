#include "cli/engine_parts.h"

#include <algorithm>
#include <cstdlib>

#include "base/env.h"
#include "base/log.h"
#include "cli/dtypes.h"
#include "cli/kv_size.h"
#include "engine/exec/cpu_binding.h"
#include "engine/exec/cpu_executor.h"
#include "engine/exec/cuda_executor.h"
#include "model/model.h"
#include "tensor/cpu_info.h"

namespace vllm::cli {
namespace {

model::LoadOptions load_options(const ServeArgs& args, DType dtype, const std::function<void(std::string)>& phase) {
  model::LoadOptions options{.dtype = dtype,
                             .kv_dtype = dtype,
                             .dummy_weights = args.load_format == "dummy",
                             .max_model_len = std::max<int64_t>(args.max_model_len, 0)};
  options.on_progress = [&phase](double share) { phase(fmt::format("loading weights {:.0f}%", share * 100)); };
  return options;
}

// 0 stands for the device's own choice.
engine::EngineConfig engine_config(const ServeArgs& args, int default_num_seqs, int default_num_batched_tokens) {
  return {.max_num_seqs = static_cast<int>(args.max_num_seqs.value_or(default_num_seqs)),
          .max_num_batched_tokens = static_cast<int>(args.max_num_batched_tokens.value_or(default_num_batched_tokens)),
          .block_size = static_cast<int>(args.block_size),
          .enable_prefix_caching = args.enable_prefix_caching,
          .enable_chunked_prefill = args.enable_chunked_prefill,
          .policy = args.scheduling_policy == "priority" ? engine::EngineConfig::Policy::kPriority
                                                         : engine::EngineConfig::Policy::kFcfs,
          .long_prefill_token_threshold = args.long_prefill_token_threshold,
          .max_num_queued_reqs = static_cast<int>(args.max_num_queued_reqs),
          .max_num_queued_tokens = args.max_num_queued_tokens,
          .num_speculative_tokens = static_cast<int>(args.speculation.num_tokens)};
}

std::vector<int64_t> windows_of(const model::KvCacheSpec& spec) {
  std::vector<int64_t> windows;
  for (const model::KvGroup& group : spec.groups) windows.push_back(group.sliding_window);
  return windows;
}

Result<KvSize> size_cache(const ServeArgs& args, const model::ModelConfig& config, int64_t bytes_per_block) {
  KvSizeInput in{.model_max_len = config.max_position,
                 .requested_max_len = args.max_model_len,
                 .allow_longer = env_flag("VLLM_ALLOW_LONG_MAX_MODEL_LEN"),
                 .bytes_per_block = bytes_per_block,
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

Result<std::unique_ptr<model::Model>> load_on_cpu(const ServeArgs& args, DType dtype, const ModelSource& source,
                                                  const std::function<void(std::string)>& phase) {
  if (source.checkpoint && source.checkpoint->total_bytes() > available_memory_bytes()) {
    return error(
        ErrorCode::kResourceExhausted,
        "Out of memory: the weights have {:.2f} GiB and {:.2f} GiB are free; use a smaller or quantized model (GGUF)",
        static_cast<double>(source.checkpoint->total_bytes()) / (1 << 30),
        static_cast<double>(available_memory_bytes()) / (1 << 30));
  }
  ThreadPool pool(args.threads > 0 ? static_cast<int>(args.threads) : usable_cpus(), false);
  model::LoadOptions options = load_options(args, dtype, phase);
  ASSIGN_OR_RETURN(options.kv_dtype, pick_kv_dtype(args.kv_cache_dtype, dtype, false));
  return model::load_model(source.config, source.checkpoint, options, pool);
}

engine::NgramOptions ngram_options(const ServeArgs::Speculation& s) {
  // vLLM's defaults: 5 for both, or both what the one that is set says.
  const int64_t low = s.prompt_lookup_min.value_or(s.prompt_lookup_max.value_or(5));
  return {.min_length = static_cast<int>(low), .max_length = static_cast<int>(s.prompt_lookup_max.value_or(low))};
}

Result<EngineParts> make_cpu_parts(const ServeArgs& args, DType dtype, const ModelSource& source,
                                   const std::optional<ModelSource>& draft,
                                   const std::function<void(std::string)>& phase) {
  ASSIGN_OR_RETURN(std::unique_ptr<model::Model> model, load_on_cpu(args, dtype, source, phase));
  engine::SpeculationOptions speculation;
  if (draft) {
    const DType draft_dtype = pick_dtype(args.dtype, draft->config);
    ASSIGN_OR_RETURN(
        speculation.draft_model,
        load_on_cpu(args, draft_dtype, *draft, phase).with_context("draft model {}", args.speculation.model));
  } else if (args.speculation.method == "ngram") {
    speculation.ngram = ngram_options(args.speculation);
  }
  phase("starting the engine");
  const int block_size = static_cast<int>(args.block_size);
  int64_t bytes_per_block = model->kv_spec().bytes_per_block(block_size);
  if (speculation.draft_model) bytes_per_block += speculation.draft_model->kv_spec().bytes_per_block(block_size);
  ASSIGN_OR_RETURN(KvSize size, size_cache(args, source.config, bytes_per_block));
  ASSIGN_OR_RETURN(std::vector<int> cpus, engine::parse_cpu_list(env("VLLM_CPU_OMP_THREADS_BIND").value_or("auto")));
  const int threads = engine::num_compute_threads(static_cast<int>(args.threads), cpus);
  EngineParts parts{.config = engine_config(args, 128, engine::default_step_tokens(threads)),
                    .sliding_windows = windows_of(model->kv_spec()),
                    .bytes_per_block = bytes_per_block,
                    .weight_bytes = model->weight_bytes(),
                    .device = cpu_description()};
  engine::EngineConfig& c = parts.config;
  c.max_model_len = size.max_model_len;
  c.num_blocks = size.num_blocks;
  c.max_num_batched_tokens = std::max(c.max_num_batched_tokens, c.max_num_seqs);
  if (speculation.draft_model) parts.weight_bytes += speculation.draft_model->weight_bytes();
  if (!c.enable_chunked_prefill)
    c.max_num_batched_tokens = std::max(c.max_num_batched_tokens, static_cast<int>(c.max_model_len));
  ASSIGN_OR_RETURN(parts.executor, engine::make_cpu_executor(
                                       std::move(model), {.engine = c, .num_threads = threads, .cpus = std::move(cpus)},
                                       std::move(speculation)));
  return parts;
}

Result<EngineParts> make_cuda_parts(const ServeArgs& args, DType dtype, const ModelSource& source,
                                    const std::function<void(std::string)>& phase) {
  if (!args.speculation.method.empty()) {
    return error(ErrorCode::kUnimplemented,
                 "--speculative-config works on the CPU only in this version; leave it out, or choose --device cpu");
  }
  engine::CudaExecutorOptions options{
      .engine = engine_config(args, 0, 0),
      .fit_max_model_len = args.max_model_len == -1,
      .enforce_eager = args.enforce_eager || args.optimization_level == 0 || args.max_cudagraph_capture_size == 0,
      .max_graph_batch = static_cast<int>(args.max_cudagraph_capture_size),
      .gpu_memory_utilization = args.gpu_memory_utilization,
      .kv_cache_bytes = static_cast<size_t>(args.kv_cache_memory_bytes.value_or(0)),
      .batch_invariant = env_flag("VLLM_BATCH_INVARIANT"),
      .on_phase = phase};
  ASSIGN_OR_RETURN(options.engine.max_model_len, context_length(source.config.max_position, args.max_model_len,
                                                                env_flag("VLLM_ALLOW_LONG_MAX_MODEL_LEN")));
  options.engine.max_mixed_batch_tokens = args.max_mixed_batch_tokens;
  if (args.num_gpu_blocks_override) options.engine.num_blocks = *args.num_gpu_blocks_override + 1;
  model::LoadOptions load = load_options(args, dtype, phase);
  ASSIGN_OR_RETURN(load.kv_dtype, pick_kv_dtype(args.kv_cache_dtype, dtype, true));
  ASSIGN_OR_RETURN(engine::CudaEngineParts cuda,
                   engine::make_cuda_executor(source.config, source.checkpoint, load, options));
  // Reading a small model's weights once for decodes and prompts saves less than each further mixed step costs.
  constexpr size_t kSmallWeights = size_t{4} << 30;
  if (cuda.weight_bytes < kSmallWeights) cuda.engine.min_mixed_batch_tokens = cuda.engine.max_mixed_batch_tokens;
  return EngineParts{.executor = std::move(cuda.executor),
                     .config = cuda.engine,
                     .sliding_windows = windows_of(cuda.kv_spec),
                     .bytes_per_block = cuda.kv_spec.bytes_per_block(cuda.engine.block_size),
                     .weight_bytes = cuda.weight_bytes,
                     .device = cuda.device};
}

}  // namespace

Result<std::unique_ptr<model::Model>> load_cpu_model(const ServeArgs& args, const ModelSource& source,
                                                     const std::function<void(std::string)>& phase) {
  const DType dtype = pick_dtype(args.dtype, source.config);
  return load_on_cpu(args, dtype, source, phase);
}

Result<EngineParts> make_engine_parts(const ServeArgs& args, bool cuda, const ModelSource& source,
                                      const std::optional<ModelSource>& draft,
                                      const std::function<void(std::string)>& phase) {
  const model::ModelConfig& config = source.config;
  const DType dtype = pick_dtype(args.dtype, config);
  LOG_INFO("Architecture {}: {} layers, hidden size {}, {} heads, {} KV heads, context {}; dtype {}",
           config.architecture, config.num_layers, config.hidden_size, config.num_heads, config.num_kv_heads,
           config.max_position, info(dtype).name);
  return cuda ? make_cuda_parts(args, dtype, source, phase) : make_cpu_parts(args, dtype, source, draft, phase);
}

}  // namespace vllm::cli
