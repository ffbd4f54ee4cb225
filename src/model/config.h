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

enum class RopeType { kDefault, kLinear, kDynamic, kLlama3, kYarn, kLongRope, kQwenNtk };
enum class Activation { kSilu, kGeluTanh, kGelu, kRelu };
enum class NormType { kRms, kLayer };
/// Norms of Q and K before RoPE: none; one RMSNorm weight [head_dim] for all heads; an RMSNorm over all heads together;
/// a LayerNorm of each head with a weight of its own.
enum class QkNorm { kNone, kHead, kWhole, kEachHead };
enum class PositionType { kRope, kLearned };

struct RopeConfig {
  RopeType type = RopeType::kDefault;
  double theta = 10000;
  double factor = 1;
  double alpha = 0;                                  // dynamic: scales the base in place of the factor; 0 = absent
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
  double beta_fast = 32, beta_slow = 1;              // yarn
  bool truncate = true;                              // yarn: the ramp starts and ends at whole dimensions
  double mscale = 0, mscale_all_dim = 0;             // yarn, when attention_factor is derived; 0 = absent
  double attention_factor = 0;                       // yarn, longrope; 0 = derived
  double partial_rotary_factor = 1;                  // share of head_dim that turns
  int64_t original_max_position = 0;                 // qwen_ntk: the context of the training, seq_length
  std::vector<double> short_factor, long_factor;     // longrope
  std::vector<float> freq_factors;                   // GGUF rope_freqs.weight: divisors of the base frequencies
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
  NormType norm_type = NormType::kRms;
  bool norm_bias = false;
  double norm_eps = 1e-6;
  bool tie_word_embeddings = false;
  bool qkv_bias = false, o_bias = false, mlp_bias = false;
  QkNorm qk_norm = QkNorm::kNone;
  bool norm_weight_plus_one = false;  // Gemma: (1 + w); GGUF files store 1 + w already
  // Where a block is normed: its input (most models), its output before it is added (OLMo 2; Gemma both), or the
  // residual stream after the addition (the first transformers).
  bool pre_norms = true, post_norms = false, norm_after_add = false;
  bool parallel_blocks = false;  // attention and MLP start from the same residual stream
  bool shared_norm = false;      // and have one norm in front of them
  bool final_norm = true;
  bool gated_mlp = true;  // act(gate) * up; else act(up)
  Activation activation = Activation::kSilu;
  double embedding_scale = 1;  // Gemma: sqrt(hidden_size)
  double residual_scale = 1;   // Granite: of what a block adds
  double logits_scale = 1;     // before the soft cap
  double attention_scale = 0;  // 0 = 1/sqrt(head_dim)
  int64_t embedding_size = 0;  // width of embedding and lm_head where it isn't hidden_size: projections lie between
  PositionType position = PositionType::kRope;
  int64_t position_offset = 0;         // rows in front of position 0 in a learned table
  bool rope_on_sliding_only = false;   // Cohere 2: full-attention layers see no positions
  int64_t log_n_attention_length = 0;  // first Qwen: queries beyond it are scaled by log(position + 1, length)
  double attn_logit_softcap = 0, final_logit_softcap = 0;
  int64_t sliding_window = 0;          // of the layers marked in layer_is_sliding
  std::vector<bool> layer_is_sliding;  // [num_layers]
  RopeConfig rope;                     // full-attention layers
  RopeConfig rope_local;               // sliding-window layers, where they differ (Gemma 3)
  std::string torch_dtype;             // "bfloat16": what --dtype auto means
  std::vector<int32_t> eos_token_ids;  // config and generation_config joined
  std::optional<int32_t> bos_token_id;
  bool from_gguf = false;       // GGUF tensor names
  bool interleaved_qk = false;  // Q and K rows in the interleaved rotary order (Cohere, GGUF's llama); undone at load
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
