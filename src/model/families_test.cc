// What makes a family differ from Llama: each quirk changes the logits, is refused where it is not built, and is read
// from its own fields.
#include <algorithm>

#include "base/json.h"
#include "model/arch/cuda_support.h"
#include "model/rope_config.h"
#include "model/testing/golden.h"

namespace vllm::model::testing {
namespace {

// A golden test proves nothing about a quirk that its numbers do not feel.
TEST(Families, EveryQuirkIsFeltByItsGolden) {
  struct Quirk {
    const char *golden, *what;
    void (*undo)(ModelConfig& c);
  };
  const Quirk quirks[] = {
      {"gemma2", "soft cap of scores", [](ModelConfig& c) { c.attn_logit_softcap = 0; }},
      {"gemma2", "soft cap of logits", [](ModelConfig& c) { c.final_logit_softcap = 0; }},
      {"gemma2", "window", [](ModelConfig& c) { c.sliding_window = 64; }},
      {"gemma2", "query_pre_attn_scalar", [](ModelConfig& c) { c.attention_scale = 0; }},
      {"phi3", "window", [](ModelConfig& c) { c.sliding_window = 64; }},
      {"phi3", "partial rotation",
       [](ModelConfig& c) {
         c.rope.partial_rotary_factor = 1;
         for (auto* factors : {&c.rope.short_factor, &c.rope.long_factor}) factors->resize(8, 1.0);
       }},
      {"phi3", "longrope", [](ModelConfig& c) { c.rope.type = RopeType::kDefault; }},
      {"granite", "residual multiplier", [](ModelConfig& c) { c.residual_scale = 1; }},
      {"granite", "logits divisor", [](ModelConfig& c) { c.logits_scale = 1; }},
      {"granite", "embedding multiplier", [](ModelConfig& c) { c.embedding_scale = 1; }},
      {"granite", "attention multiplier", [](ModelConfig& c) { c.attention_scale = 0; }},
      {"cohere", "interleaved pairs", [](ModelConfig& c) { c.interleaved_qk = false; }},
      {"falcon-groups", "side by side", [](ModelConfig& c) { c.parallel_blocks = false; }},
      {"cohere-qk-norm", "norms of heads", [](ModelConfig& c) { c.qk_norm = QkNorm::kNone; }},
      {"cohere2", "layers without positions", [](ModelConfig& c) { c.rope_on_sliding_only = false; }},
      {"stablelm", "partial rotation", [](ModelConfig& c) { c.rope.partial_rotary_factor = 1; }},
      {"stablelm", "LayerNorm", [](ModelConfig& c) { c.norm_type = NormType::kRms; }},
      {"stablelm", "bias of norms", [](ModelConfig& c) { c.norm_bias = false; }},
      {"stablelm-parallel", "norms of heads", [](ModelConfig& c) { c.qk_norm = QkNorm::kNone; }},
      {"gpt2", "tanh form of gelu", [](ModelConfig& c) { c.activation = Activation::kRelu; }},
      {"gpt2", "biases", [](ModelConfig& c) { c.mlp_bias = false; }},
      {"opt", "relu", [](ModelConfig& c) { c.activation = Activation::kGelu; }},
      {"falcon", "gelu", [](ModelConfig& c) { c.activation = Activation::kSilu; }},
      {"olmo2", "norms of Q and K", [](ModelConfig& c) { c.qk_norm = QkNorm::kNone; }},
      {"internlm2", "dynamic NTK", [](ModelConfig& c) { c.rope.type = RopeType::kDefault; }},
      {"qwen", "dynamic NTK", [](ModelConfig& c) { c.rope.type = RopeType::kDefault; }},
      {"qwen", "log-n", [](ModelConfig& c) { c.log_n_attention_length = 0; }},
  };
  for (const Quirk& q : quirks) {
    Golden g = load_golden(q.golden);
    q.undo(g.config);
    g.config.rope_local = g.config.rope;
    EXPECT_GT(largest_difference(g, g.config, g.weights, DType::kFloat32), 3e-3) << q.golden << " without " << q.what;
  }
}

TEST(Families, WhatGpusLackIsRefusedByName) {
  struct Case {
    const char *golden, *feature;  // null: built
  };
  const Case cases[] = {
      {"llama", nullptr},
      {"gemma2", nullptr},
      {"gemma3", nullptr},
      {"phi3", nullptr},
      {"internlm2", nullptr},
      {"qwen3", nullptr},
      {"qwen", "log-n attention"},
      {"granite", nullptr},
      {"olmo2", "blocks without a norm of their input, norms of Q and K"},
      {"cohere", "LayerNorm, attention and MLP side by side"},
      {"cohere2", "layers without positions"},
      {"stablelm", "LayerNorm"},
      {"gpt2", "an MLP without a gate, learned positions"},
      {"opt", "relu"},
      {"opt-projected", "no last norm"},
      {"opt-projected", "an embedding of another width"},
      {"falcon", "attention and MLP side by side, an MLP without a gate"},
  };
  for (const Case& c : cases) {
    Status status = check_cuda_support(load_golden(c.golden).config);
    ASSERT_EQ(status.has_value(), c.feature == nullptr) << c.golden;
    if (!c.feature) continue;
    EXPECT_EQ(status.error().code, ErrorCode::kUnimplemented);
    EXPECT_NE(status.error().message.find(c.feature), std::string::npos) << status.error().message;
    EXPECT_NE(status.error().message.find("--device cpu"), std::string::npos);
  }
}

// A golden's config.json with fields replaced; a field set to "DROP" goes.
Result<ModelConfig> changed(const char* golden, std::string_view changes) {
  json::object object = parse_json(read_file(kGoldens / golden / "config.json").value()).value().get_object();
  json::value fields = parse_json(changes).value();
  for (const auto& item : fields.get_object()) {
    if (item.value() == "DROP") {
      object.erase(item.key());
    } else {
      object[item.key()] = item.value();
    }
  }
  return parse_config(object);
}

TEST(Families, HostileFieldsAreNamed) {
  struct Bad {
    const char *golden, *changes, *message;
  };
  const Bad bad[] = {
      {"falcon", R"({"alibi": true})", "alibi (positions as a bias of attention scores) is not built"},
      {"falcon", R"({"num_ln_in_parallel_attn": 3})", "num_ln_in_parallel_attn is 3, expected 1 to 2"},
      {"falcon-groups", R"({"num_kv_heads": 3})", "no multiple of num_key_value_heads 3"},
      {"falcon-groups", R"({"num_kv_heads": 0})", "num_key_value_heads is 0"},
      {"falcon-groups", R"({"parallel_attn": false})", "new_decoder_architecture without parallel_attn"},
      {"gpt2", R"({"n_embd": 33})", "hidden_size 33 is no multiple of num_attention_heads 4"},
      {"gpt2", R"({"n_inner": -5})", "intermediate_size is -5"},
      {"gpt2", R"({"n_embd": "DROP"})", "hidden_size is missing"},
      {"gpt2", R"({"scale_attn_by_inverse_layer_idx": true})", "scale_attn_by_inverse_layer_idx is not built"},
      {"gpt2", R"({"add_cross_attention": true})", "add_cross_attention is not built"},
      {"gpt2", R"({"n_positions": 99999999999})", "max_position_embeddings is 99999999999"},
      {"opt", R"({"layer_norm_elementwise_affine": false})", "layer_norm_elementwise_affine false is not built"},
      {"opt", R"({"word_embed_proj_dim": 0})", "word_embed_proj_dim is 0"},
      {"opt", R"({"activation_function": "mish"})", "activation 'mish' is not built"},
      {"granite", R"({"logits_scaling": 0})", "logits_scaling is 0"},
      {"granite", R"({"residual_multiplier": "x"})", "residual_multiplier is \"x\", expected a number"},
      {"cohere", R"({"logit_scale": -1})", "logit_scale is -1"},
      {"cohere2", R"({"layer_types": ["full_attention"]})", "layer_types is 1 names long, expected a list of 4"},
      {"cohere2", R"({"layer_types": "DROP", "sliding_window_pattern": 0})", "sliding_window_pattern is 0"},
      {"stablelm", R"({"rope_parameters": null, "partial_rotary_factor": 2})", "partial_rotary_factor is 2"},
      {"qwen", R"({"intermediate_size": 95})", "intermediate_size is 95, expected an even number"},
      {"qwen", R"({"seq_length": 1})", "seq_length is 1"},
      {"internlm2", R"({"bias": "yes"})", "bias is \"yes\", expected true or false"},
      {"gemma2", R"({"query_pre_attn_scalar": 0})", "query_pre_attn_scalar is 0"},
      {"gemma2", R"({"final_logit_softcapping": -3})", "final_logit_softcapping is -3"},
      {"phi3", R"({"rope_parameters": {"rope_type": "longrope", "short_factor": [1], "long_factor": [1]}})",
       "short_factor and long_factor have 1 and 1 values"},
      {"phi3", R"({"sliding_window": 0})", "sliding_window is 0"},
  };
  for (const Bad& b : bad) {
    auto config = changed(b.golden, b.changes);
    std::string message = config ? "no error" : config.error().message;
    EXPECT_NE(message.find(b.message), std::string::npos) << b.golden << " " << b.changes << " gave: " << message;
  }
}

TEST(Families, FieldsOfPublishedFiles) {
  // What the golden files leave to transformers' new names and defaults.
  EXPECT_EQ(changed("stablelm", R"({"rope_parameters": null})")->rope.partial_rotary_factor, 0.25);
  EXPECT_EQ(
      changed("stablelm", R"({"rope_parameters": null, "partial_rotary_factor": 0.5})")->rope.partial_rotary_factor,
      0.5);
  ModelConfig falcon7b = changed("falcon", R"({"num_kv_heads": 4, "num_hidden_layers": "DROP", "n_layer": 3,
    "num_attention_heads": "DROP", "n_head": 4, "activation": "DROP", "tie_word_embeddings": "DROP"})")
                             .value();
  EXPECT_EQ(falcon7b.num_kv_heads, 1);
  EXPECT_EQ(falcon7b.num_layers, 3);
  EXPECT_EQ(falcon7b.intermediate_size, 128);
  EXPECT_EQ(falcon7b.activation, Activation::kGelu);
  EXPECT_TRUE(falcon7b.tie_word_embeddings && falcon7b.shared_norm);
  EXPECT_FALSE(changed("falcon-groups", "{}")->shared_norm);
  EXPECT_TRUE(changed("falcon-groups", R"({"num_ln_in_parallel_attn": 1})")->shared_norm);
  ModelConfig qwen = changed("qwen", R"({"use_dynamic_ntk": false, "use_logn_attn": false})").value();
  EXPECT_EQ(qwen.max_position, 16);  // the context of the training
  EXPECT_EQ(qwen.rope.type, RopeType::kDefault);
  EXPECT_EQ(qwen.log_n_attention_length, 0);
  EXPECT_EQ(changed("phi3", R"({"sliding_window": 64})")->sliding_window, 0);  // no narrower than the context
  EXPECT_EQ(changed("gemma2", R"({"attn_logit_softcapping": "DROP"})")->attn_logit_softcap, 50);
  EXPECT_EQ(changed("gemma2", R"({"attn_logit_softcapping": null})")->attn_logit_softcap, 0);
  EXPECT_EQ(changed("cohere2", R"({"layer_types": "DROP"})")->layer_is_sliding,
            (std::vector<bool>{true, true, true, false}));
  EXPECT_EQ(changed("gpt2", R"({"n_inner": 96})")->intermediate_size, 96);
  EXPECT_EQ(changed("gpt2", R"({"scale_attn_weights": false})")->attention_scale, 1);
}

TEST(Families, FirstNamesOfAnArchitecture) {
  ModelConfig rw = changed("falcon", R"({"architectures": ["RWForCausalLM"], "tie_word_embeddings": "DROP"})").value();
  EXPECT_TRUE(rw.parallel_blocks && rw.tie_word_embeddings);
  EXPECT_TRUE(changed("stablelm", R"({"architectures": ["StableLMEpochForCausalLM"]})")->norm_bias);
}

TEST(Families, LearnedPositionsBoundTheContext) {
  Golden g = load_golden("opt");
  ThreadPool pool(1);
  auto model = load_model(g.config, g.weights, {.max_model_len = 65}, pool);
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().message, "a context of 65 tokens is longer than the model's table of 64 learned positions");
  EXPECT_TRUE(load_model(g.config, g.weights, {.max_model_len = 64}, pool));
  g.config.max_position = int64_t{1} << 30, g.config.hidden_size = 1 << 16;
  auto huge = load_model(g.config, nullptr, {.dummy_weights = true}, pool);
  ASSERT_FALSE(huge);
  EXPECT_NE(huge.error().message.find("available memory"), std::string::npos) << huge.error().message;
}

// The first Qwen's base grows with the context asked for, not with the prompt; other dynamic ropes take an alpha.
TEST(Families, RotaryBaseByContext) {
  ModelConfig qwen = load_golden("qwen").config;
  auto slowest = [](const ModelConfig& c, int64_t length) {
    return rope_frequencies(c.rope, c.head_dim, length).inv_freq.back();
  };
  EXPECT_EQ(slowest(qwen, 8), slowest(qwen, 16));
  EXPECT_NEAR(slowest(qwen, 16) / slowest(qwen, 17), 3, 1e-9);
  EXPECT_NEAR(slowest(qwen, 16) / slowest(qwen, 32), 3, 1e-9);
  EXPECT_NEAR(slowest(qwen, 16) / slowest(qwen, 64), 7, 1e-9);
  auto alpha = changed("llama", R"({"rope_parameters": null, "rope_scaling": {"type": "dynamic", "alpha": 5.0}})");
  ASSERT_TRUE(alpha) << alpha.error().message;
  EXPECT_NEAR(slowest(*changed("llama", "{}"), 64) / slowest(*alpha, 64), 5, 1e-9);
}

// Prefixes of the hub's files, which differ from what transformers writes.
TEST(Families, PrefixesAreFound) {
  for (auto [golden, from, to] : {std::tuple{"gpt2", "transformer.", ""}, {"opt", "model.decoder.", "decoder."}}) {
    Golden g = load_golden(golden);
    auto weights = std::make_shared<MemoryCheckpoint>();
    for (std::string_view name : g.weights->names()) {
      std::string renamed(name);
      if (renamed.starts_with(from)) renamed = to + renamed.substr(std::string_view(from).size());
      weights->add(renamed, *g.weights->find(name));
    }
    EXPECT_LT(largest_difference(g, g.config, weights, DType::kFloat32), 1e-4) << golden;
  }
}

TEST(Families, PackedTensorsAreCheckedWhole) {
  auto message = [](const char* golden, const char* tensor, std::vector<int64_t> shape) {
    Golden g = load_golden(golden);
    size_t bytes = 2;
    for (int64_t n : shape) bytes *= static_cast<size_t>(n);
    g.weights->add(tensor, DType::kBFloat16, shape, std::string(bytes, '\0'));
    ThreadPool pool(1);
    auto model = load_model(g.config, g.weights, {}, pool);
    return model ? "no error" : model.error().message;
  };
  EXPECT_EQ(message("phi3", "model.layers.1.self_attn.qkv_proj.weight", {32, 32}),
            "tensor model.layers.1.self_attn.qkv_proj.weight has shape [32, 32], expected [64, 32]");
  EXPECT_EQ(message("phi3", "model.layers.0.mlp.gate_up_proj.weight", {48, 32}),
            "tensor model.layers.0.mlp.gate_up_proj.weight has shape [48, 32], expected [96, 32]");
  EXPECT_EQ(message("gpt2", "transformer.h.0.attn.c_attn.weight", {96, 32}),
            "tensor transformer.h.0.attn.c_attn.weight has shape [96, 32], expected [32, 96]");
  EXPECT_EQ(message("gpt2", "transformer.wpe.weight", {63, 32}),
            "tensor transformer.wpe.weight has shape [63, 32], expected [64, 32]");
  EXPECT_EQ(message("falcon-groups", "transformer.h.0.self_attention.query_key_value.weight", {60, 32}),
            "tensor transformer.h.0.self_attention.query_key_value.weight has shape [60, 32], expected [64, 32]");
  EXPECT_EQ(message("stablelm-parallel", "model.layers.0.self_attn.q_layernorm.norms.3.weight", {7}),
            "tensor model.layers.0.self_attn.q_layernorm.norms.3.weight has shape [7], expected [8]");
}

}  // namespace
}  // namespace vllm::model::testing
