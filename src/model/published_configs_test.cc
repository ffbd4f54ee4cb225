// config.json in the forms that the hub's older files have, which transformers writes no more.
#include <gtest/gtest.h>

#include "base/json.h"
#include "model/config.h"
#include "model/rope_config.h"

namespace vllm::model {
namespace {

ModelConfig read(std::string_view text) {
  json::value value = parse_json(text).value();
  auto config = parse_config(value.get_object());
  EXPECT_TRUE(config) << config.error().message;
  return config ? std::move(config).value() : ModelConfig();
}

TEST(PublishedConfigs, Gpt2) {
  ModelConfig c = read(R"({"activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
    "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12,
    "n_positions": 1024, "resid_pdrop": 0.1, "summary_type": "cls_index", "vocab_size": 50257})");
  EXPECT_EQ(c.hidden_size, 768);
  EXPECT_EQ(c.intermediate_size, 3072);
  EXPECT_EQ(c.num_layers, 12);
  EXPECT_EQ(c.num_kv_heads, 12);
  EXPECT_EQ(c.head_dim, 64);
  EXPECT_EQ(c.max_position, 1024);
  EXPECT_EQ(c.norm_eps, 1e-5);
  EXPECT_EQ(c.activation, Activation::kGeluTanh);
  EXPECT_TRUE(c.tie_word_embeddings && c.position == PositionType::kLearned && !c.gated_mlp);
}

TEST(PublishedConfigs, Opt350m) {
  ModelConfig c =
      read(R"({"activation_dropout": 0.0, "activation_function": "relu", "architectures": ["OPTForCausalLM"],
    "attention_dropout": 0.0, "bos_token_id": 2, "do_layer_norm_before": false, "dropout": 0.1, "eos_token_id": 2,
    "ffn_dim": 4096, "hidden_size": 1024, "init_std": 0.02, "layerdrop": 0.0, "max_position_embeddings": 2048,
    "model_type": "opt", "num_attention_heads": 16, "num_hidden_layers": 24, "pad_token_id": 1, "prefix": "</s>",
    "torch_dtype": "float16", "use_cache": true, "vocab_size": 50272, "word_embed_proj_dim": 512})");
  EXPECT_EQ(c.intermediate_size, 4096);
  EXPECT_EQ(c.embedding_size, 512);
  EXPECT_EQ(c.position_offset, 2);
  EXPECT_TRUE(c.norm_after_add && !c.pre_norms && !c.final_norm && c.tie_word_embeddings && c.mlp_bias);
  EXPECT_EQ(c.torch_dtype, "float16");
}

TEST(PublishedConfigs, Falcon) {
  ModelConfig c = read(R"({"alibi": false, "architectures": ["FalconForCausalLM"], "bias": false, "bos_token_id": 11,
    "eos_token_id": 11, "hidden_size": 8192, "layer_norm_epsilon": 1e-05, "model_type": "falcon",
    "new_decoder_architecture": true, "num_attention_heads": 128, "num_hidden_layers": 60, "num_kv_heads": 8,
    "parallel_attn": true, "vocab_size": 65024, "multi_query": true, "torch_dtype": "bfloat16"})");
  EXPECT_EQ(c.num_kv_heads, 8);
  EXPECT_EQ(c.head_dim, 64);
  EXPECT_EQ(c.intermediate_size, 32768);
  EXPECT_TRUE(c.parallel_blocks && !c.shared_norm && c.tie_word_embeddings && !c.qkv_bias);
  ModelConfig old = read(R"({"alibi": false, "architectures": ["RWForCausalLM"], "bias": false, "hidden_size": 4544,
    "layer_norm_epsilon": 1e-05, "model_type": "RefinedWebModel", "multi_query": true, "n_head": 71, "n_layer": 32,
    "parallel_attn": true, "vocab_size": 65024})");
  EXPECT_EQ(old.num_kv_heads, 1);
  EXPECT_EQ(old.num_heads, 71);
  EXPECT_EQ(old.max_position, 2048);
  EXPECT_TRUE(old.shared_norm);
}

TEST(PublishedConfigs, FirstQwen) {
  ModelConfig c = read(R"({"architectures": ["QWenLMHeadModel"], "attn_dropout_prob": 0.0, "bf16": false,
    "emb_dropout_prob": 0.0, "fp16": false, "fp32": false, "hidden_size": 4096, "intermediate_size": 22016,
    "initializer_range": 0.02, "kv_channels": 128, "layer_norm_epsilon": 1e-06, "max_position_embeddings": 32768,
    "model_type": "qwen", "no_bias": true, "num_attention_heads": 32, "num_hidden_layers": 32, "onnx_safe": null,
    "rotary_emb_base": 10000, "rotary_pct": 1.0, "scale_attn_weights": true, "seq_length": 8192,
    "tie_word_embeddings": false, "tokenizer_class": "QWenTokenizer", "use_cache": true, "use_dynamic_ntk": true,
    "use_flash_attn": "auto", "use_logn_attn": true, "vocab_size": 151936})");
  EXPECT_EQ(c.intermediate_size, 11008);
  EXPECT_EQ(c.head_dim, 128);
  EXPECT_EQ(c.max_position, 32768);
  EXPECT_EQ(c.rope.original_max_position, 8192);
  EXPECT_EQ(c.log_n_attention_length, 8192);
  EXPECT_TRUE(c.qkv_bias && !c.o_bias && c.norm_type == NormType::kRms);
}

TEST(PublishedConfigs, Phi3OfTwoContexts) {
  ModelConfig c = read(R"({"architectures": ["Phi3ForCausalLM"], "attention_bias": false, "bos_token_id": 1,
    "eos_token_id": 32000, "hidden_act": "silu", "hidden_size": 3072, "intermediate_size": 8192,
    "max_position_embeddings": 4096, "model_type": "phi3", "num_attention_heads": 32, "num_hidden_layers": 32,
    "num_key_value_heads": 32, "original_max_position_embeddings": 4096, "rms_norm_eps": 1e-05, "rope_scaling": null,
    "rope_theta": 10000.0, "sliding_window": 2047, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
    "vocab_size": 32064})");
  EXPECT_EQ(c.head_dim, 96);
  EXPECT_EQ(c.sliding_window, 2047);
  EXPECT_EQ(c.layer_is_sliding, std::vector<bool>(32, true));
  ModelConfig mini = read(R"({"architectures": ["Phi3ForCausalLM"], "hidden_size": 64, "intermediate_size": 96,
    "max_position_embeddings": 131072, "model_type": "phi3", "num_attention_heads": 2, "num_hidden_layers": 2,
    "num_key_value_heads": 1, "original_max_position_embeddings": 4096, "partial_rotary_factor": 0.75,
    "rope_scaling": {"long_factor": [1,1,1,1,1,1,1,1,1,2,3,4], "short_factor": [1,1,1,1,1,1,1,1,1,1,1,1], "type": "su"},
    "rope_theta": 10000.0, "sliding_window": 262144, "tie_word_embeddings": true, "vocab_size": 200})");
  EXPECT_EQ(mini.rope.type, RopeType::kLongRope);
  EXPECT_EQ(rotary_dim(mini.rope, mini.head_dim), 24);
  EXPECT_EQ(mini.max_position, 131072);
  EXPECT_EQ(mini.sliding_window, 0);
  EXPECT_NE(rope_frequencies(mini.rope, 32, 4096).inv_freq, rope_frequencies(mini.rope, 32, 4097).inv_freq);
  EXPECT_NEAR(rope_frequencies(mini.rope, 32, 4096).scale, 1.19024, 1e-5);
}

TEST(PublishedConfigs, CommandR) {
  ModelConfig c = read(R"({"architectures": ["CohereForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
    "bos_token_id": 5, "eos_token_id": 255001, "hidden_act": "silu", "hidden_size": 8192, "intermediate_size": 22528,
    "layer_norm_eps": 1e-05, "logit_scale": 0.0625, "max_position_embeddings": 8192, "model_max_length": 131072,
    "model_type": "cohere", "num_attention_heads": 64, "num_hidden_layers": 40, "num_key_value_heads": 64,
    "pad_token_id": 0, "rope_theta": 8000000.0, "torch_dtype": "float16", "use_cache": true, "vocab_size": 256000})");
  EXPECT_EQ(c.max_position, 131072);
  EXPECT_EQ(c.logits_scale, 0.0625);
  EXPECT_TRUE(c.tie_word_embeddings && c.interleaved_qk && c.shared_norm && !c.norm_bias);
  EXPECT_EQ(c.qk_norm, QkNorm::kNone);
}

TEST(PublishedConfigs, InternLm2AndStableLm) {
  ModelConfig c = read(R"({"architectures": ["InternLM2ForCausalLM"], "auto_map": {}, "bias": false, "bos_token_id": 1,
    "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
    "max_position_embeddings": 32768, "model_type": "internlm2", "num_attention_heads": 32, "num_hidden_layers": 32,
    "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_scaling": {"type": "dynamic", "factor": 2.0},
    "rope_theta": 1000000, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "vocab_size": 92544})");
  EXPECT_EQ(c.rope.type, RopeType::kDynamic);
  EXPECT_EQ(c.max_position, 65536);
  ModelConfig stable = read(R"({"architectures": ["StableLMEpochForCausalLM"], "bos_token_id": 0, "eos_token_id": 0,
    "hidden_act": "silu", "hidden_size": 2560, "intermediate_size": 6912, "max_position_embeddings": 4096,
    "model_type": "stablelm_epoch", "norm_eps": 1e-05, "num_attention_heads": 32, "num_heads": 32,
    "num_hidden_layers": 32, "num_key_value_heads": 32, "rope_pct": 0.25, "rope_theta": 10000,
    "tie_word_embeddings": false, "vocab_size": 50304})");
  EXPECT_EQ(rotary_dim(stable.rope, stable.head_dim), 20);
  EXPECT_EQ(stable.norm_eps, 1e-5);
  EXPECT_FALSE(stable.qkv_bias || stable.parallel_blocks);
}

}  // namespace
}  // namespace vllm::model
