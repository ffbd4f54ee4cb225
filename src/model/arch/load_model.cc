#include "kernels/kv_layout/kv_dtypes.h"
#include "model/arch/decoder.h"
#include "model/arch/registry.h"
#include "model/weights/convert.h"

namespace vllm::model {

Status check_loadable(const ModelConfig& config, const Checkpoint* checkpoint, const LoadOptions& options) {
  if (!find_arch(config.architecture)) {
    return error(ErrorCode::kUnimplemented, "model architecture {} is not built; these are: {}", config.architecture,
                 known_architectures());
  }
  if (!is_cpu_kv_dtype(options.kv_dtype)) {
    return error(ErrorCode::kUnimplemented, "a KV cache of {} is not built (float32, float16, bfloat16, fp8, int8 are)",
                 info(options.kv_dtype).name);
  }
  if (!is_plain_float(options.dtype))
    return invalid_argument("dtype {} is not one of float32, float16, bfloat16", info(options.dtype).name);
  if (config.position == PositionType::kLearned && options.max_model_len > config.max_position) {
    return invalid_argument("a context of {} tokens is longer than the model's table of {} learned positions",
                            options.max_model_len, config.max_position);
  }
  if (!checkpoint && !options.dummy_weights) return invalid_argument("no checkpoint to load weights from");
  return {};
}

Result<std::unique_ptr<Model>> load_model(const ModelConfig& config, std::shared_ptr<const Checkpoint> checkpoint,
                                          const LoadOptions& options, ThreadPool& pool) {
  RETURN_IF_ERROR(check_loadable(config, checkpoint.get(), options));
  ASSIGN_OR_RETURN(DecoderWeights weights, load_weights(config, std::move(checkpoint), options, pool));
  return std::unique_ptr<Model>(std::make_unique<Decoder>(config, options, std::move(weights), pool.num_threads()));
}

}  // namespace vllm::model
