#pragma once
// The architectures that are built. All are one decoder (decoder.h) with quirks as fields of ModelConfig; a family is a
// file here that fills those fields from config.json or GGUF metadata, and a row of kArchs.
#include <span>
#include <string>
#include <string_view>

#include "model/config.h"
#include "model/config_fields.h"
#include "model/gguf_fields.h"
#include "model/model.h"
#include "model/weights/tensor_names.h"

namespace vllm::model {

struct ArchRow {
  std::string_view architecture;  // of config.json
  std::string_view gguf_arch;     // general.architecture of GGUF; empty: another row of the family has it
  Status (*read_config)(const ConfigFields& fields,
                        ModelConfig& config);                          // the family's own fields, after the common ones
  Status (*read_gguf)(const GgufFields& fields, ModelConfig& config);  // null where no GGUF architecture leads here
  const HfNames* names = nullptr;                                      // null: Llama's
};

std::span<const ArchRow> archs();
const ArchRow* find_arch(std::string_view architecture);
const ArchRow* find_gguf_arch(std::string_view gguf_arch);
/// "GemmaX, LlamaY": for error messages and the page of supported models.
std::string known_architectures();
/// What load_model and load_cuda_model refuse before they look at a tensor.
Status check_loadable(const ModelConfig& config, const Checkpoint* checkpoint, const LoadOptions& options);

Status read_llama(const ConfigFields& fields, ModelConfig& config);
Status read_llama_gguf(const GgufFields& fields, ModelConfig& config);
Status read_mistral(const ConfigFields& fields, ModelConfig& config);
Status read_qwen2(const ConfigFields& fields, ModelConfig& config);
Status read_qwen2_gguf(const GgufFields& fields, ModelConfig& config);
Status read_qwen3(const ConfigFields& fields, ModelConfig& config);
Status read_qwen3_gguf(const GgufFields& fields, ModelConfig& config);
Status read_gemma3(const ConfigFields& fields, ModelConfig& config);
Status read_gemma3_gguf(const GgufFields& fields, ModelConfig& config);
Status read_gemma2(const ConfigFields& fields, ModelConfig& config);
Status read_gemma2_gguf(const GgufFields& fields, ModelConfig& config);
Status read_phi3(const ConfigFields& fields, ModelConfig& config);
Status read_phi3_gguf(const GgufFields& fields, ModelConfig& config);
Status read_granite(const ConfigFields& fields, ModelConfig& config);
Status read_granite_gguf(const GgufFields& fields, ModelConfig& config);
Status read_olmo2(const ConfigFields& fields, ModelConfig& config);
Status read_olmo2_gguf(const GgufFields& fields, ModelConfig& config);
Status read_cohere(const ConfigFields& fields, ModelConfig& config);
Status read_cohere_gguf(const GgufFields& fields, ModelConfig& config);
Status read_cohere2(const ConfigFields& fields, ModelConfig& config);
Status read_cohere2_gguf(const GgufFields& fields, ModelConfig& config);
Status read_stablelm(const ConfigFields& fields, ModelConfig& config);
Status read_stablelm_gguf(const GgufFields& fields, ModelConfig& config);
Status read_internlm2(const ConfigFields& fields, ModelConfig& config);
Status read_internlm2_gguf(const GgufFields& fields, ModelConfig& config);
Status read_qwen(const ConfigFields& fields, ModelConfig& config);
Status read_qwen_gguf(const GgufFields& fields, ModelConfig& config);
Status read_gpt2(const ConfigFields& fields, ModelConfig& config);
Status read_gpt2_gguf(const GgufFields& fields, ModelConfig& config);
Status read_opt(const ConfigFields& fields, ModelConfig& config);
Status read_falcon(const ConfigFields& fields, ModelConfig& config);
Status read_falcon_gguf(const GgufFields& fields, ModelConfig& config);

extern const HfNames kPhi3Names, kStableLmNames, kInternLm2Names, kQwenNames, kGpt2Names, kOptNames, kFalconNames;

/// layer_is_sliding from layer_types, or from `fallback(layer)` where the config has none.
Status read_layer_types(const ConfigFields& fields, ModelConfig& config, bool (*fallback)(int layer, int64_t parameter),
                        int64_t parameter);

}  // namespace vllm::model
