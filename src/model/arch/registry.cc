#include "model/arch/registry.h"

#include <algorithm>
#include <iterator>

namespace vllm::model {
namespace {

constexpr ArchRow kArchs[] = {
    {"CohereForCausalLM", "command-r", read_cohere, read_cohere_gguf},
    {"Cohere2ForCausalLM", "cohere2", read_cohere2, read_cohere2_gguf},
    {"FalconForCausalLM", "falcon", read_falcon, read_falcon_gguf, &kFalconNames},
    {"GPT2LMHeadModel", "gpt2", read_gpt2, read_gpt2_gguf, &kGpt2Names},
    {"Gemma2ForCausalLM", "gemma2", read_gemma2, read_gemma2_gguf},
    {"Gemma3ForCausalLM", "gemma3", read_gemma3, read_gemma3_gguf},
    {"Gemma3ForConditionalGeneration", "", read_gemma3,
     read_gemma3_gguf},  // its language model; images are refused by the API
    {"GraniteForCausalLM", "granite", read_granite, read_granite_gguf},
    {"InternLM2ForCausalLM", "internlm2", read_internlm2, read_internlm2_gguf, &kInternLm2Names},
    {"LlamaForCausalLM", "llama", read_llama, read_llama_gguf},
    {"MistralForCausalLM", "", read_mistral, read_llama_gguf},
    {"OPTForCausalLM", "", read_opt, nullptr, &kOptNames},
    {"Olmo2ForCausalLM", "olmo2", read_olmo2, read_olmo2_gguf},
    {"Phi3ForCausalLM", "phi3", read_phi3, read_phi3_gguf, &kPhi3Names},
    {"QWenLMHeadModel", "qwen", read_qwen, read_qwen_gguf, &kQwenNames},
    {"Qwen2ForCausalLM", "qwen2", read_qwen2, read_qwen2_gguf},
    {"Qwen3ForCausalLM", "qwen3", read_qwen3, read_qwen3_gguf},
    {"RWForCausalLM", "", read_falcon, nullptr, &kFalconNames},  // Falcon's first name
    {"StableLMEpochForCausalLM", "", read_stablelm, nullptr, &kStableLmNames},
    {"StableLmForCausalLM", "stablelm", read_stablelm, read_stablelm_gguf, &kStableLmNames},
};

}  // namespace

std::span<const ArchRow> archs() { return kArchs; }

const ArchRow* find_arch(std::string_view architecture) {
  const auto* row = std::find_if(std::begin(kArchs), std::end(kArchs),
                                 [&](const ArchRow& r) { return r.architecture == architecture; });
  return row == std::end(kArchs) ? nullptr : row;
}

const ArchRow* find_gguf_arch(std::string_view gguf_arch) {
  if (gguf_arch.empty()) return nullptr;
  const auto* row =
      std::find_if(std::begin(kArchs), std::end(kArchs), [&](const ArchRow& r) { return r.gguf_arch == gguf_arch; });
  return row == std::end(kArchs) ? nullptr : row;
}

std::string known_architectures() {
  std::string names;
  for (const ArchRow& row : kArchs) names += (names.empty() ? "" : ", ") + std::string(row.architecture);
  return names;
}

Status read_layer_types(const ConfigFields& fields, ModelConfig& config, bool (*fallback)(int, int64_t),
                        int64_t parameter) {
  config.layer_is_sliding.clear();
  if (!fields.has("layer_types")) {
    for (int i = 0; i < config.num_layers; ++i)
      config.layer_is_sliding.push_back(config.sliding_window > 0 && fallback(i, parameter));
    return {};
  }
  const json::array* types = get_array(fields.object(), "layer_types");
  if (!types || types->size() != static_cast<size_t>(config.num_layers)) {
    return invalid_argument("layer_types is {}, expected a list of {} names",
                            types ? fmt::format("{} names long", types->size()) : "no list", config.num_layers);
  }
  for (const json::value& type : *types) {
    bool sliding = type == "sliding_attention";
    if (!sliding && type != "full_attention")
      return error(ErrorCode::kUnimplemented, "layer type {} is not built", brief(type));
    if (sliding && config.sliding_window <= 0)
      return invalid_argument("sliding_window is missing, but layer_types has sliding_attention");
    config.layer_is_sliding.push_back(sliding);
  }
  return {};
}

}  // namespace vllm::model
