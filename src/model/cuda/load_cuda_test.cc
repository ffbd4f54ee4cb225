// Weights on their way to the device: layout, conversion, dummies, errors.
#include <array>

#include "kernels/linear/linear_cuda.h"
#include "model/cuda/cuda_model.h"
#include "model/cuda/weight_upload.h"
#include "model/cuda/weights_cuda.h"
#include "model/testing/golden.h"
#include "model/weights/convert.h"
#include "model/weights/dummy_numbers.h"
#include "tensor/cuda/testing.h"

namespace vllm::model::testing {
namespace {

std::vector<std::byte> to_host(const void* device, size_t bytes) {
  std::vector<std::byte> out(bytes);
  EXPECT_EQ(cudaMemcpy(out.data(), device, bytes, cudaMemcpyDeviceToHost), cudaSuccess);
  return out;
}

TEST(WeightUpload, GathersConvertsAndDequantizesRows) {
  std::vector<float> source(4 * 32);
  for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<float>(i) / 8;
  auto row = [&](size_t r) { return reinterpret_cast<const std::byte*>(&source[r * 32]); };
  const std::array<SourceRow, 5> rows = {{{row(2), DType::kFloat32},
                                          {row(3), DType::kFloat32},
                                          {row(0), DType::kFloat32},
                                          {row(2), DType::kFloat32},
                                          {row(1), DType::kFloat32}}};
  std::vector<float> same(5 * 32);
  gather_rows(rows, DType::kFloat32, 32, reinterpret_cast<std::byte*>(same.data()));
  std::vector<BFloat16> rounded(5 * 32);
  gather_rows(rows, DType::kBFloat16, 32, reinterpret_cast<std::byte*>(rounded.data()));
  const size_t from[] = {2, 3, 0, 2, 1};
  for (size_t r = 0; r < 5; ++r) {
    for (size_t i = 0; i < 32; ++i) {
      EXPECT_EQ(same[r * 32 + i], source[from[r] * 32 + i]);
      EXPECT_EQ(rounded[r * 32 + i].bits, to_bfloat16(source[from[r] * 32 + i]).bits);
    }
  }
  std::array<std::byte, 34> block{};  // Q8_0: a scale of 0.5, then -3, -2, ...
  const Float16 scale = to_float16(0.5f);
  std::memcpy(block.data(), &scale, 2);
  for (int i = 0; i < 32; ++i) block[static_cast<size_t>(i) + 2] = static_cast<std::byte>(static_cast<int8_t>(i - 3));
  const SourceRow quantized{block.data(), DType::kQ8_0};
  gather_rows({&quantized, 1}, DType::kBFloat16, 32, reinterpret_cast<std::byte*>(rounded.data()));
  for (int i = 0; i < 32; ++i) EXPECT_EQ(to_float(rounded[static_cast<size_t>(i)]), 0.5f * static_cast<float>(i - 3));
}

TEST(WeightUpload, FillsManySlots) {
  REQUIRE_GPU();
  constexpr size_t kRows = 70000, kColumns = 1024;  // 143 MB: every slot is used again
  std::vector<uint16_t> source(kRows * kColumns);
  for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<uint16_t>(i * 2654435761u >> 13);
  std::vector<SourceRow> rows(kRows);
  for (size_t r = 0; r < kRows; ++r)
    rows[r] = {reinterpret_cast<const std::byte*>(&source[(r ^ 1) * kColumns]), DType::kBFloat16};
  ThreadPool pool(4);
  WeightUpload upload = WeightUpload::create(pool, source.size() * 2).value();
  DeviceArray<uint16_t> out(source.size());
  Status status = upload.rows(reinterpret_cast<std::byte*>(out.data()), DType::kBFloat16, kColumns, rows);
  ASSERT_TRUE(status) << status.error().message;
  ASSERT_TRUE(upload.finish());
  std::vector<uint16_t> got = out.host();
  size_t wrong = 0;
  for (size_t i = 0; i < got.size(); ++i) wrong += got[i] != source[i ^ kColumns];
  EXPECT_EQ(wrong, 0u);
}

// Every number of every matrix where the kernels look for it, and the CPU's numbers.
TEST(LoadCuda, DummiesAreTheCpusNumbersInMergedRows) {
  REQUIRE_GPU();
  ModelConfig c = load_golden("llama-mqa-tied-biases").config;
  for (DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
    auto weights = load_weights_cuda(c, nullptr, {.dtype = dtype, .dummy_weights = true});
    ASSERT_TRUE(weights) << weights.error().message;
    auto check = [&](const void* device, int64_t at_row, TensorId id, int layer, int64_t row, int64_t k) {
      const size_t bytes = row_bytes(dtype, k);
      auto got = to_host(static_cast<const std::byte*>(device) + static_cast<size_t>(at_row) * bytes, bytes);
      std::vector<float> numbers(static_cast<size_t>(k));
      for (int64_t i = 0; i < k; ++i)
        numbers[static_cast<size_t>(i)] = dummy_number(dummy_seed(id, layer), row, i, dummy_scale(k));
      std::vector<std::byte> want(bytes);
      convert_row(reinterpret_cast<const std::byte*>(numbers.data()), DType::kFloat32, want.data(), dtype, k);
      EXPECT_EQ(got, want) << info(dtype).name << " tensor " << static_cast<int>(id) << " row " << row;
    };
    const int64_t q = int64_t{c.num_heads} * c.head_dim, kv = int64_t{c.num_kv_heads} * c.head_dim;
    const int64_t inner = c.intermediate_size, hidden = c.hidden_size;
    for (int layer = 0; layer < c.num_layers; ++layer) {
      const CudaLayerWeights& w = weights->layers[static_cast<size_t>(layer)];
      EXPECT_EQ(w.qkv.n, q + 2 * kv);
      for (int64_t r = 0; r < q; ++r) check(w.qkv.weight, r, TensorId::kQ, layer, r, hidden);
      for (int64_t r = 0; r < kv; ++r) check(w.qkv.weight, q + r, TensorId::kK, layer, r, hidden);
      for (int64_t r = 0; r < kv; ++r) check(w.qkv.weight, q + kv + r, TensorId::kV, layer, r, hidden);
      for (int64_t r = 0; r < hidden; ++r) check(w.o.weight, r, TensorId::kO, layer, r, q);
      for (int64_t r = 0; r < inner; ++r) {
        check(w.gate_up.weight, gated_row(r, false, inner), TensorId::kGate, layer, r, hidden);
        check(w.gate_up.weight, gated_row(r, true, inner), TensorId::kUp, layer, r, hidden);
      }
      for (int64_t r = 0; r < hidden; ++r) check(w.down.weight, r, TensorId::kDown, layer, r, inner);
      auto norm = to_host(w.attention_norm, static_cast<size_t>(hidden) * 4);
      for (int64_t i = 0; i < hidden; ++i) EXPECT_EQ(reinterpret_cast<const float*>(norm.data())[i], 1.0f);
    }
    for (int64_t r = 0; r < c.vocab_size; ++r) check(weights->embedding, r, TensorId::kEmbedding, 0, r, hidden);
    EXPECT_EQ(weights->lm_head.weight, weights->embedding);
  }
}

// Norms, Gemma's 1 added; biases in the rows' order; an lm_head of its own.
TEST(LoadCuda, PutsCheckpointVectorsWhereTheirRowsAre) {
  REQUIRE_GPU();
  Golden g = load_golden("llama-mqa-tied-biases");
  auto floats = [&](const Golden& golden, const std::string& name) {
    const CheckpointTensor* t = golden.weights->find(name);
    EXPECT_TRUE(t) << name;
    std::vector<float> out(static_cast<size_t>(t->shape.back()));
    convert_row(t->data.data(), t->dtype, reinterpret_cast<std::byte*>(out.data()), DType::kFloat32, t->shape.back());
    return out;
  };
  auto on_device = [](const float* device, size_t n) {
    std::vector<float> out(n);
    EXPECT_EQ(cudaMemcpy(out.data(), device, n * 4, cudaMemcpyDeviceToHost), cudaSuccess);
    return out;
  };
  auto weights = load_weights_cuda(g.config, g.weights.get(), {.dtype = DType::kBFloat16});
  ASSERT_TRUE(weights) << weights.error().message;
  const CudaLayerWeights& w = weights->layers[1];
  const std::string prefix = "model.layers.1.";
  std::vector<float> qkv;
  for (const char* part : {"q", "k", "v"}) {
    auto bias = floats(g, prefix + "self_attn." + part + "_proj.bias");
    qkv.insert(qkv.end(), bias.begin(), bias.end());
  }
  EXPECT_EQ(on_device(w.qkv.bias, qkv.size()), qkv);
  auto gate = floats(g, prefix + "mlp.gate_proj.bias"), up = floats(g, prefix + "mlp.up_proj.bias");
  auto merged = on_device(w.gate_up.bias, 2 * gate.size());
  const auto inner = static_cast<int64_t>(gate.size());
  for (int64_t i = 0; i < inner; ++i) {
    EXPECT_EQ(merged[static_cast<size_t>(gated_row(i, false, inner))], gate[static_cast<size_t>(i)]);
    EXPECT_EQ(merged[static_cast<size_t>(gated_row(i, true, inner))], up[static_cast<size_t>(i)]);
  }
  Golden gemma = load_golden("gemma3");
  auto gemma_weights = load_weights_cuda(gemma.config, gemma.weights.get(), {.dtype = DType::kBFloat16});
  ASSERT_TRUE(gemma_weights) << gemma_weights.error().message;
  auto norm = floats(gemma, "model.layers.0.post_feedforward_layernorm.weight");
  for (float& x : norm) x += 1;
  EXPECT_EQ(on_device(gemma_weights->layers[0].mlp_post_norm, norm.size()), norm);
  Golden llama = load_golden("llama");
  auto untied = load_weights_cuda(llama.config, llama.weights.get(), {.dtype = DType::kBFloat16});
  ASSERT_TRUE(untied) << untied.error().message;
  const CheckpointTensor* head = llama.weights->find("lm_head.weight");
  ASSERT_TRUE(head && head->dtype == DType::kBFloat16);
  auto got = to_host(untied->lm_head.weight, head->data.size());
  EXPECT_TRUE(std::equal(got.begin(), got.end(), head->data.begin()));
}

TEST(LoadCuda, NamesWhatIsWrong) {
  REQUIRE_GPU();
  auto message = [](const ModelConfig& config, std::shared_ptr<const Checkpoint> weights, LoadOptions options = {}) {
    auto model = load_cuda_model(config, std::move(weights), options);
    return model ? std::string() : model.error().message;
  };
  Golden g = load_golden("qwen2");
  const std::string q = "model.layers.1.self_attn.q_proj.weight";
  ModelConfig config = g.config;
  config.vocab_size = 81;
  EXPECT_EQ(message(config, g.weights), "tensor model.embed_tokens.weight has shape [80, 32], expected [81, 32]");
  config = g.config, config.architecture = "MambaForCausalLM";
  EXPECT_NE(message(config, g.weights).find("MambaForCausalLM is not built"), std::string::npos);
  config = g.config, config.intermediate_size = 52;
  EXPECT_NE(message(config, nullptr, {.dummy_weights = true}).find("multiple of 8"), std::string::npos);
  config = g.config, config.hidden_size = 1 << 20, config.vocab_size = 1 << 20;
  EXPECT_TRUE(message(config, nullptr, {.dummy_weights = true}).starts_with("Out of memory: the model needs 2"))
      << message(config, nullptr, {.dummy_weights = true});
  EXPECT_EQ(message(g.config, nullptr), "no checkpoint to load weights from");
  g.weights->drop(q);
  EXPECT_EQ(message(g.config, g.weights), "tensor " + q + " is missing from the checkpoint");
}

TEST(LoadCuda, ReportsProgress) {
  REQUIRE_GPU();
  Golden g = load_golden("llama");
  std::vector<double> shares;
  auto model = load_cuda_model(g.config, g.weights, {.on_progress = [&](double share) { shares.push_back(share); }});
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_GT(shares.size(), 10u);
  EXPECT_TRUE(std::is_sorted(shares.begin(), shares.end()));
  EXPECT_EQ(shares.back(), 1.0);
}

}  // namespace
}  // namespace vllm::model::testing
