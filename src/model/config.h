#pragma once
// What a model is, from config.json (and generation_config.json) or from a GGUF file's metadata. Quirks of a family are
// fields.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "hub/gguf.h"

namespace vllm::model {

enum class RopeType { kDefault, kLinear, kDynamic, kLlama3, kYarn, kLongRope };
enum class Activation { kSilu, kGeluTanh, kGelu };

struct RopeConfig {
  RopeType type = RopeType::kDefault;
  double theta = 10000;
  double factor = 1;
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
  double beta_fast = 32, beta_slow = 1;              // yarn
  bool truncate = true;                              // yarn: the ramp starts and ends at whole dimensions
  double mscale = 0, mscale_all_dim = 0;             // yarn, when attention_factor is derived; 0 = absent
  double attention_factor = 0;                       // yarn, longrope; 0 = derived
  double partial_rotary_factor = 1;                  // share of head_dim that turns
  int64_t original_max_position = 0;
  std::vector<double> short_factor, long_factor;  // longrope
  std::vector<float> freq_factors;                // GGUF rope_freqs.weight: divisors of the base frequencies
};

struct ModelConfig {
  std::string architecture;  // "LlamaForCausalLM"
  std::string model_type;    // "llama"
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int num_layers = 0;
  int num_heads = 0;
  int num_kv_heads = 0;
  int head_dim = 0;
  int64_t max_position = 0;  // the context the checkpoint was made for, rope scaling included
  double rms_norm_eps = 1e-6;
  bool tie_word_embeddings = false;
  bool qkv_bias = false, o_bias = false, mlp_bias = false;
  bool qk_norm = false;               // per-head RMSNorm of Q and K before RoPE
  bool norm_weight_plus_one = false;  // Gemma: (1 + w); GGUF files store 1 + w already
  bool post_norms = false;            // Gemma: norms after attention and MLP too
  Activation activation = Activation::kSilu;
  double embedding_scale = 1;  // Gemma: sqrt(hidden_size)
  double attention_scale = 0;  // 0 = 1/sqrt(head_dim)
  double attn_logit_softcap = 0, final_logit_softcap = 0;
  int64_t sliding_window = 0;          // of the layers marked in layer_is_sliding
  std::vector<bool> layer_is_sliding;  // [num_layers]
  RopeConfig rope;                     // full-attention layers
  RopeConfig rope_local;               // sliding-window layers, where they differ (Gemma 3)
  std::string torch_dtype;             // "bfloat16": what --dtype auto means
  std::vector<int32_t> eos_token_ids;  // config and generation_config joined
  std::optional<int32_t> bos_token_id;
  bool from_gguf = false;       // GGUF tensor names
  bool interleaved_qk = false;  // Q and K rows in the interleaved rotary order of GGUF's llama files; undone at load
  std::string weight_prefix = "model.";  // of HF names; "language_model.model." in multimodal checkpoints
};

/// Defaults of sampling from generation_config.json; only the fields that are present.
struct GenerationConfig {
  std::optional<double> temperature, top_p, min_p, repetition_penalty;
  std::optional<int> top_k, max_new_tokens;
};

/// Readers of one family's fields look up the architecture in kArchs (model/arch/registry.h).
/// From a folder. Unknown architectures are kUnimplemented by name; absurd or missing fields kInvalidArgument by field.
Result<ModelConfig> load_config(const std::filesystem::path& dir);
Result<ModelConfig> parse_config(const json::object& config);
Result<ModelConfig> config_from_gguf(const GgufFile& file);
Result<GenerationConfig> load_generation_config(const std::filesystem::path& dir);  // empty if there is no such file

}  // namespace vllm::model
