#pragma once
// Real models' shapes, for benches with dummy weights.
namespace vllm::model::testing {

struct BenchModel {
  const char *name, *config;
};
inline constexpr BenchModel kBenchModels[] = {
    {"Qwen3-0.6B", R"({"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 1024,
        "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
        "head_dim": 128, "vocab_size": 151936, "tie_word_embeddings": true, "rms_norm_eps": 1e-6,
        "rope_theta": 1000000, "max_position_embeddings": 40960, "hidden_act": "silu"})"},
    {"Qwen3-8B", R"({"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 4096,
        "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8,
        "head_dim": 128, "vocab_size": 151936, "tie_word_embeddings": false, "rms_norm_eps": 1e-6,
        "rope_theta": 1000000, "max_position_embeddings": 40960, "hidden_act": "silu"})"},
};

}  // namespace vllm::model::testing
