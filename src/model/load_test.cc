// Weights: names of both formats, shapes, types, errors.
#include "model/arch/registry.h"
#include "model/rope_config.h"
#include "model/testing/gguf_form.h"
#include "model/testing/golden.h"

namespace vllm::model::testing {
namespace {

TEST(Load, GgufFormsGiveTheSameLogits) {
  for (const char* name : {"llama", "llama-mqa-tied-biases", "qwen2", "qwen3"}) {
    Golden g = load_golden(name);
    bool llama = g.config.architecture == "LlamaForCausalLM";
    Gguf plain = as_gguf(g, llama, false);
    EXPECT_LT(largest_difference(g, plain.config, plain.weights, DType::kFloat32), 1e-4) << name;
    plain.config.interleaved_qk = !llama;  // the test can tell the orders apart
    EXPECT_GT(largest_difference(g, plain.config, plain.weights, DType::kFloat32), 0.5) << name;
  }
}

// Quantized rows are put in order as they are: no bit may differ from the same rows quantized in HF's order.
TEST(Load, QuantizedRowsAreUnpermutedWhole) {
  Golden g = load_golden("llama-mqa-tied-biases");
  auto logits = [&](const Gguf& gguf) {
    ThreadPool pool(2);
    auto model = load_model(gguf.config, gguf.weights, {.dtype = DType::kFloat32, .kv_dtype = DType::kFloat32}, pool);
    EXPECT_TRUE(model);
    return TokenRunner(**model, pool, {}).run({g.token_ids});
  };
  Gguf interleaved = as_gguf(g, true, true), in_order = as_gguf(g, false, true);
  EXPECT_EQ(interleaved.weights->find("blk.0.attn_q.weight")->dtype, DType::kQ8_0);
  EXPECT_EQ(logits(interleaved), logits(in_order));
  EXPECT_LT(largest_difference(g, in_order.config, in_order.weights, DType::kFloat32), 1.0);
}

// Tensors that hold several weights are cut by rows, whatever their blocks.
TEST(Load, QuantizedPackedTensorsAreCutByRows) {
  for (const char* name : {"phi3", "falcon-groups", "gpt2"}) {
    Golden g = load_golden(name);
    auto file = open_checkpoint(kGoldens / name / "model.gguf");
    ASSERT_TRUE(file);
    auto config = config_from_gguf(*(*file)->gguf());
    ASSERT_TRUE(config);
    auto weights = std::make_shared<MemoryCheckpoint>();
    int quantized = 0;
    for (std::string_view tensor : (*file)->names()) {
      const CheckpointTensor& t = *(*file)->find(tensor);
      const bool packed = t.dtype == DType::kBFloat16 && (tensor.find("attn_qkv.weight") != tensor.npos ||
                                                          tensor.find("ffn_up.weight") != tensor.npos);
      std::string bytes(reinterpret_cast<const char*>(t.data.data()), t.data.size());
      weights->add(std::string(tensor), packed ? DType::kQ8_0 : t.dtype, t.shape, packed ? to_q8_0(bytes) : bytes);
      quantized += packed;
    }
    EXPECT_EQ(quantized, 4) << name;
    EXPECT_LT(largest_difference(g, *config, weights, DType::kFloat32), 1.0) << name;
  }
}

// Llama 3's rotary scaling in a GGUF file: a tensor of divisors in place of the parameters.
TEST(Load, RopeFrequencyDivisorsEqualLlama3Scaling) {
  Golden g = load_golden("llama-llama3");
  RopeConfig plain = g.config.rope;
  plain.type = RopeType::kDefault;
  RopeFrequencies scaled = rope_frequencies(g.config.rope, g.config.head_dim, 64),
                  base = rope_frequencies(plain, g.config.head_dim, 64);
  Gguf gguf = as_gguf(g, true, false);
  for (size_t i = 0; i < base.inv_freq.size(); ++i)
    plain.freq_factors.push_back(static_cast<float>(base.inv_freq[i] / scaled.inv_freq[i]));
  EXPECT_GT(plain.freq_factors.back(), 7.9);
  gguf.config.rope = gguf.config.rope_local = plain;
  EXPECT_LT(largest_difference(g, gguf.config, gguf.weights, DType::kFloat32), 1e-4);
}

TEST(Load, MultimodalCheckpointsNameTheirLanguageModelApart) {
  Golden g = load_golden("gemma3");
  for (std::string prefix : {"language_model.model.", "model.language_model.", ""}) {
    auto weights = std::make_shared<MemoryCheckpoint>();
    for (std::string_view name : g.weights->names()) {
      weights->add(prefix + std::string(name.substr(std::string("model.").size())), *g.weights->find(name));
    }
    EXPECT_LT(largest_difference(g, g.config, weights, DType::kFloat32), 1e-4) << prefix;
  }
}

std::string load_error(const ModelConfig& config, std::shared_ptr<const Checkpoint> weights, LoadOptions options = {}) {
  ThreadPool pool(1);
  auto model = load_model(config, std::move(weights), options, pool);
  return model ? "" : model.error().message;
}

TEST(Load, NamesWhatIsWrongWithATensor) {
  auto message = [](auto change) {
    Golden g = load_golden("qwen2");
    change(g);
    return load_error(g.config, g.weights);
  };
  const std::string q = "model.layers.1.self_attn.q_proj.weight", bias = "model.layers.0.self_attn.k_proj.bias";
  EXPECT_EQ(message([&](Golden& g) { g.weights->drop(q); }), "tensor " + q + " is missing from the checkpoint");
  EXPECT_EQ(message([&](Golden& g) { g.weights->drop(bias); }), "tensor " + bias + " is missing from the checkpoint");
  EXPECT_EQ(message([&](Golden& g) { g.config.num_heads = 8; }),
            "tensor model.layers.0.self_attn.q_proj.weight has shape [32, 32], expected [64, 32]");
  EXPECT_EQ(message([&](Golden& g) { g.config.vocab_size = 81; }),
            "tensor model.embed_tokens.weight has shape [80, 32], expected [81, 32]");
  EXPECT_EQ(message([&](Golden& g) { g.config.tie_word_embeddings = false; }),
            "tensor lm_head.weight is missing from the checkpoint");
  EXPECT_EQ(message([&](Golden& g) { g.weights->add(q, DType::kInt8, {32, 32}, std::string(1024, 'x')); }),
            "tensor " + q + " is int8, which is no weight type");
  EXPECT_EQ(message([&](Golden& g) { g.weights->add(q, DType::kQ4_K, {32, 32}, std::string(1024, 'x')); }),
            "tensor " + q + " is q4_K, whose blocks of 256 do not divide 32");
  EXPECT_EQ(message([&](Golden& g) { g.weights->add(q, DType::kBFloat16, {32, 32}, std::string(2047, 'x')); }),
            "tensor " + q + " has 2047 bytes, expected 2048");
  EXPECT_EQ(message([&](Golden& g) { g.weights->add(bias, DType::kQ8_0, {16}, std::string(34, 'x')); }).substr(0, 40),
            ("tensor " + bias + " is q8_0").substr(0, 40));
}

TEST(Load, RefusesWhatIsNotBuilt) {
  Golden g = load_golden("llama");
  EXPECT_EQ(load_error(g.config, nullptr), "no checkpoint to load weights from");
  EXPECT_NE(load_error(g.config, g.weights, {.kv_dtype = DType::kInt32}).find("int32"), std::string::npos);
  EXPECT_NE(load_error(g.config, g.weights, {.dtype = DType::kQ4_0}).find("q4_0"), std::string::npos);
  ModelConfig huge = g.config;
  huge.hidden_size = 1 << 20, huge.vocab_size = 1 << 24;
  EXPECT_NE(load_error(huge, nullptr, {.dummy_weights = true}).find("available memory"), std::string::npos);
  g.config.architecture = "MambaForCausalLM";
  EXPECT_NE(load_error(g.config, g.weights).find("MambaForCausalLM is not built; these are: CohereForCausalLM,"),
            std::string::npos);
}

TEST(Load, ReportsProgress) {
  Golden g = load_golden("llama");
  ThreadPool pool(1);
  std::vector<double> shares;
  auto model = load_model(g.config, g.weights, {.on_progress = [&](double share) { shares.push_back(share); }}, pool);
  ASSERT_TRUE(model);
  EXPECT_GT(shares.size(), 10u);
  EXPECT_TRUE(std::is_sorted(shares.begin(), shares.end()));
  EXPECT_EQ(shares.back(), 1.0);
  EXPECT_GT(model.value()->weight_bytes(), 2u * 80 * 32 * 2);
  model.value()->reserve(100, 4);
  EXPECT_GT(model.value()->scratch_bytes(), 100u * 32 * 4);
}

TEST(Load, DummyWeightsAreTheSameEveryTimeAndSane) {
  Golden g = load_golden("gemma3");
  ThreadPool one(1), two(2);
  auto a = load_model(g.config, nullptr, {.dummy_weights = true}, one),
       b = load_model(g.config, nullptr, {.dummy_weights = true}, two);
  ASSERT_TRUE(a && b);
  auto rows = TokenRunner(**a, one, {}).run({g.token_ids}).front();
  EXPECT_EQ(rows, TokenRunner(**b, two, {}).run({g.token_ids}).front());
  double sum = 0;
  for (const auto& row : rows) {
    for (float x : row) sum += double{x} * double{x};
  }
  double size = std::sqrt(sum / static_cast<double>(rows.size() * rows[0].size()));
  EXPECT_GT(size, 0.05);
  EXPECT_LT(size, 20);
}

TEST(KvSpec, GroupsOfEqualSizeWhereWindowsMix) {
  Golden g = load_golden("gemma3");
  ThreadPool pool(1);
  g.config.num_layers = 18, g.config.layer_is_sliding.clear();
  for (int i = 0; i < 18; ++i) g.config.layer_is_sliding.push_back((i + 1) % 6 != 0);
  auto model = load_model(g.config, nullptr, {.dummy_weights = true}, pool);
  ASSERT_TRUE(model);
  const KvCacheSpec& spec = (*model)->kv_spec();
  ASSERT_EQ(spec.groups.size(), 6u);
  EXPECT_EQ(spec.groups[0].layers, (std::vector<int>{5, 11, 17}));
  EXPECT_EQ(spec.groups[0].sliding_window, 0);
  EXPECT_EQ(spec.groups[1].layers, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(spec.groups[5].sliding_window, 8);
  EXPECT_EQ(spec.bytes_per_block(16), 3 * 2 * 2 * 16 * 16 * 2);  // layers, K and V, KV heads, head_dim, tokens, bytes
}

}  // namespace
}  // namespace vllm::model::testing
