// The GPU's decoder against transformers (goldens) and against the CPU's decoder (dummy weights).
#include "model/arch/cuda_support.h"
#include "model/cuda/cuda_decoder.h"
#include "model/cuda/testing/compare.h"
#include "model/cuda/testing/cuda_token_runner.h"
#include "model/cuda/wanted_rows.h"
#include "model/testing/gguf_form.h"
#include "model/testing/golden.h"
#include "tensor/cuda/testing.h"

namespace vllm::model::testing {
namespace {

using Prompts = std::vector<std::vector<int32_t>>;
using Logits = CudaTokenRunner::Logits;

Prompts make_prompts(std::initializer_list<int> lengths, int64_t vocab_size) {
  Prompts prompts;
  uint32_t state = 1;
  for (int length : lengths) {
    prompts.emplace_back();
    for (int i = 0; i < length; ++i)
      prompts.back().push_back(static_cast<int32_t>((state = state * 1664525 + 1013904223) >> 8) %
                               static_cast<int32_t>(vocab_size));
  }
  return prompts;
}

std::vector<std::vector<float>> rows_of(const std::vector<float>& flat, size_t width) {
  std::vector<std::vector<float>> rows;
  for (size_t at = 0; at + width <= flat.size(); at += width)
    rows.emplace_back(flat.begin() + static_cast<std::ptrdiff_t>(at),
                      flat.begin() + static_cast<std::ptrdiff_t>(at + width));
  return rows;
}

// All prompts' rows, one after the other.
std::vector<std::vector<float>> joined(const Logits& logits) {
  std::vector<std::vector<float>> rows;
  for (const auto& prompt : logits) rows.insert(rows.end(), prompt.begin(), prompt.end());
  return rows;
}

std::vector<std::vector<float>> on_gpu(CudaModel& model, const Prompts& prompts, CudaRunOptions options) {
  auto logits = CudaTokenRunner(model, options).run(prompts);
  EXPECT_TRUE(logits) << logits.error().message;
  return logits ? joined(*logits) : std::vector<std::vector<float>>();
}

std::unique_ptr<CudaModel> load(const ModelConfig& config, std::shared_ptr<const Checkpoint> weights, DType dtype) {
  const bool dummy = weights == nullptr;
  auto model = load_cuda_model(config, std::move(weights), {.dtype = dtype, .kv_dtype = dtype, .dummy_weights = dummy});
  EXPECT_TRUE(model) << model.error().message;
  return model ? std::move(model).value() : nullptr;
}

void report(const std::string& what, DType dtype, const char* how, const Distance& d) {
  printf("%-24s %-9s %-22s largest %.1e relative %.1e mean |dlogprob| %.1e\n", what.c_str(),
         std::string(info(dtype).name).c_str(), how, d.largest, d.relative, d.mean_dlogprob);
  fflush(stdout);
}

// Two float32 computations differ by the order of their sums; in two bytes activations are rounded to T at different
// places, each rounding a relative 2^-9 or 2^-12, and logits have a standard deviation between 1 and 2.
void expect_close(const Distance& d, DType dtype, const std::string& what) {
  if (dtype == DType::kFloat32) {
    EXPECT_LT(d.relative, 1e-3) << what;
  } else {
    EXPECT_LT(d.mean_dlogprob, dtype == DType::kBFloat16 ? 0.04 : 0.006) << what;
  }
}

struct Variant {
  const char* name;
  CudaRunOptions options;
};
const Variant kVariants[] = {
    {"whole prompts", {}},
    {"chunks of 7, padded", {.chunk = 7, .block_size = 8, .pad = true, .release_windows = true}},
    {"decode, eager", {.prefill = 3}},
    {"decode, graphs", {.chunk = 32, .prefill = 19, .block_size = 32, .graphs = true}},
    {"decode, graphs, padded", {.chunk = 13, .prefill = 26, .pad = true, .graphs = true, .release_windows = true}},
    {"decodes beside chunks", {.chunk = 7, .decoding = 3, .pad = true}},
    {"graphs of mixed steps", {.chunk = 7, .decoding = 3, .mixed_graphs = true}},
    {"graphs of mixed steps, padded", {.chunk = 9, .prefill = 20, .decoding = 3, .pad = true, .mixed_graphs = true}},
    {"without cuBLASLt", {.chunk = 40, .use_cublaslt = false}},
};

TEST(CudaDecoder, MatchesTransformersOnEveryFamily) {
  REQUIRE_GPU();
  int cases = 0, refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kGoldens)) {
    if (!entry.is_directory()) continue;
    const std::string name = entry.path().filename().string();
    Golden g = load_golden(name);
    if (Status support = check_cuda_support(g.config); !support) {
      auto model = load_cuda_model(g.config, g.weights, {});
      ASSERT_FALSE(model) << name;
      EXPECT_EQ(model.error().message, support.error().message);
      ++refused;
      continue;
    }
    const auto want = rows_of(g.logits, static_cast<size_t>(g.config.vocab_size));
    for (DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
      auto model = load(g.config, g.weights, dtype);
      if (!model) continue;
      Distance d = distance(on_gpu(*model, {g.token_ids}, {.chunk = 13}), want);
      report(name, dtype, "golden", d);
      if (dtype == DType::kFloat32)
        EXPECT_LT(d.largest, 1e-3) << name;
      else
        EXPECT_LT(d.largest, dtype == DType::kBFloat16 ? 0.5 : 0.06) << name;
    }
    ++cases;
  }
  EXPECT_GE(cases, 16);
  EXPECT_EQ(cases + refused, 30);
}

void compare_with_cpu(const std::string& name, const ModelConfig& config, DType dtype, const Prompts& prompts,
                      std::span<const Variant> variants) {
  ThreadPool pool(4);
  auto cpu = load_model(config, nullptr, {.dtype = dtype, .kv_dtype = dtype, .dummy_weights = true}, pool);
  ASSERT_TRUE(cpu) << cpu.error().message;
  const auto want = joined(TokenRunner(**cpu, pool, {.chunk = 256}).run(prompts));
  auto gpu = load(config, nullptr, dtype);
  ASSERT_TRUE(gpu);
  EXPECT_GE(gpu->weight_bytes(), (*cpu)->weight_bytes() / 2);
  for (const Variant& v : variants) {
    Distance d = distance(on_gpu(*gpu, prompts, v.options), want);
    report(name, dtype, v.name, d);
    expect_close(d, dtype, name + " " + std::string(info(dtype).name) + " " + v.name);
  }
}

TEST(CudaDecoder, AgreesWithTheCpuInEveryForm) {
  REQUIRE_GPU();
  for (const char* name :
       {"gemma3", "qwen3", "qwen2-window", "llama-mqa-tied-biases", "llama-longrope", "gemma2", "granite", "phi3"}) {
    ModelConfig config = load_golden(name).config;
    for (DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
      compare_with_cpu(name, config, dtype, make_prompts({1, 70, 33, 5, 48}, config.vocab_size), kVariants);
    }
  }
}

// Head sizes and ratios of real models, few layers.
TEST(CudaDecoder, AgreesWithTheCpuAtRealShapes) {
  REQUIRE_GPU();
  struct Shape {
    const char *name, *golden;
    int heads, kv_heads, head_dim;
    int64_t hidden, intermediate;
  };
  for (const Shape& s : {Shape{"qwen3 of 128", "qwen3", 16, 8, 128, 512, 1536},
                         {"llama of 64", "llama", 9, 3, 64, 576, 1536},
                         {"qwen2 of 64", "qwen2", 14, 2, 64, 896, 1216},
                         {"gemma3 of 256", "gemma3", 4, 1, 256, 640, 2048}}) {
    ModelConfig c = load_golden(s.golden).config;
    c.num_heads = s.heads, c.num_kv_heads = s.kv_heads, c.head_dim = s.head_dim, c.hidden_size = s.hidden;
    c.intermediate_size = s.intermediate, c.vocab_size = 1000, c.max_position = 4096;
    if (c.sliding_window > 0) c.sliding_window = 50;
    if (c.embedding_scale != 1) c.embedding_scale = std::sqrt(static_cast<double>(c.hidden_size));
    for (DType dtype : {DType::kFloat32, DType::kBFloat16}) {
      compare_with_cpu(s.name, c, dtype, make_prompts({1, 150, 33, 17, 2}, c.vocab_size), kVariants);
    }
  }
}

ModelConfig qwen3_of_128() {
  ModelConfig c = load_golden("qwen3").config;
  c.num_heads = 16, c.num_kv_heads = 8, c.head_dim = 128, c.hidden_size = 512, c.intermediate_size = 1536;
  c.vocab_size = 1000, c.max_position = 1 << 18;
  return c;
}

// Attention depends on differences of positions: far out, logits are what they are at the front.
TEST(CudaDecoder, TurnsByLargePositions) {
  REQUIRE_GPU();
  for (const char* name : {"qwen3 of 128", "gemma3"}) {
    const ModelConfig config = std::string(name) == "gemma3" ? load_golden(name).config : qwen3_of_128();
    const Prompts prompts = make_prompts({1, 70, 33, 5}, config.vocab_size);
    for (DType dtype : {DType::kFloat32, DType::kBFloat16}) {
      auto model = load(config, nullptr, dtype);
      ASSERT_TRUE(model);
      for (int32_t first : {32'700, 131'000}) {
        for (int64_t prefill : {int64_t{1} << 20, int64_t{3}}) {
          const auto want = on_gpu(*model, prompts, {.prefill = prefill});
          const Distance d = distance(on_gpu(*model, prompts, {.prefill = prefill, .first_position = first}), want);
          report(name, dtype, fmt::format("from {}", first).c_str(), d);
          expect_close(d, dtype, fmt::format("{} {} from position {}", name, info(dtype).name, first));
        }
      }
    }
  }
}

// Offsets into the pool are 64 bits wide everywhere: the last pages of one of more than 2^32 elements.
TEST(CudaDecoder, ReachesPagesPast2To32Elements) {
  REQUIRE_GPU();
  const ModelConfig config = qwen3_of_128();
  const Prompts prompts = make_prompts({1, 70, 33, 5, 48}, config.vocab_size);
  for (DType dtype : {DType::kBFloat16, DType::kFloat32}) {
    auto model = load(config, nullptr, dtype);
    ASSERT_TRUE(model);
    const int64_t page_elements = model->kv_spec().bytes_per_block(16) / info(dtype).block_bytes;
    const int64_t first_page = (int64_t{1} << 32) / page_elements + 1;
    for (CudaRunOptions options : {CudaRunOptions{.chunk = 13}, {.prefill = 19, .graphs = true}}) {
      const auto want = on_gpu(*model, prompts, options);
      options.first_page = first_page;
      const Distance d = distance(on_gpu(*model, prompts, options), want);
      report("qwen3 of 128", dtype, fmt::format("from page {}", first_page).c_str(), d);
      expect_close(d, dtype, fmt::format("{} from page {}", info(dtype).name, first_page));
    }
  }
}

// A step of more than 2,048 tokens goes through the linear layers in slices that cut prompts anywhere.
TEST(CudaDecoder, SlicesALargeStep) {
  REQUIRE_GPU();
  for (const char* name : {"mistral-window", "gemma3"}) {
    ModelConfig config = load_golden(name).config;
    const Variant whole{"4,300 tokens at once", {}};
    compare_with_cpu(name, config, DType::kFloat32, make_prompts({900, 1300, 2100}, config.vocab_size), {&whole, 1});
  }
}

TEST(CudaDecoder, LoadsGgufForms) {
  REQUIRE_GPU();
  for (const char* name : {"llama", "llama-mqa-tied-biases", "qwen2", "qwen3"}) {
    Golden g = load_golden(name);
    Gguf plain = as_gguf(g, g.config.architecture == "LlamaForCausalLM", false);
    auto model = load(plain.config, plain.weights, DType::kFloat32);
    ASSERT_TRUE(model);
    Distance d =
        distance(on_gpu(*model, {g.token_ids}, {}), rows_of(g.logits, static_cast<size_t>(g.config.vocab_size)));
    report(name, DType::kFloat32, "GGUF names and order", d);
    EXPECT_LT(d.largest, 1e-3) << name;
  }
  // Blocks are dequantized: q and k of Q8_0, in both orders of rows.
  Golden g = load_golden("llama-mqa-tied-biases");
  std::vector<std::vector<float>> logits[2];
  for (bool interleaved : {false, true}) {
    Gguf gguf = as_gguf(g, interleaved, true);
    auto model = load(gguf.config, gguf.weights, DType::kFloat32);
    ASSERT_TRUE(model);
    logits[interleaved] = on_gpu(*model, {g.token_ids}, {});
  }
  EXPECT_EQ(logits[0], logits[1]);
  Distance d = distance(logits[0], rows_of(g.logits, static_cast<size_t>(g.config.vocab_size)));
  report("llama-mqa-tied-biases", DType::kFloat32, "q8_0", d);
  EXPECT_LT(d.largest, 1.0);
  EXPECT_GT(d.largest, 1e-4);
}

TEST(WantedRows, AreTakenOutOfAStep) {
  REQUIRE_GPU();
  constexpr int kTokens = 9, kHidden = 300, kWidth = 514;
  std::vector<float> x(kTokens * kHidden);
  std::vector<uint16_t> attention(kTokens * kWidth);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  for (size_t i = 0; i < attention.size(); ++i) attention[i] = static_cast<uint16_t>(3 * i);
  const std::vector<int32_t> rows = {0, 4, 5, -1, 8, -1};
  const auto count = static_cast<int64_t>(rows.size());
  DeviceArray<float> d_x(x), out_x(rows.size() * kHidden);
  DeviceArray<uint16_t> d_attention(attention), out_attention(rows.size() * kWidth);
  DeviceArray<int32_t> d_rows(rows), place(rows.size());
  CudaStream stream = CudaStream::create().value();
  const WantedRowsParams params{.x_out = {out_x.data(), {count, kHidden}},
                                .x = TensorView<const float, 2>(d_x.data(), {kTokens, kHidden}),
                                .attention_out = {out_attention.data(), {count, kWidth}, DType::kBFloat16},
                                .attention = {d_attention.data(), {kTokens, kWidth}, DType::kBFloat16},
                                .rows = d_rows.data(),
                                .place = place.data()};
  Status status = wanted_rows_cuda(params, stream);
  ASSERT_TRUE(status && stream.synchronize()) << status.error().message;
  const auto found_x = out_x.host();
  const auto found_attention = out_attention.host();
  const auto found_place = place.host();
  for (size_t r = 0; r < rows.size(); ++r) {
    const bool padding = rows[r] < 0;
    const auto from = static_cast<size_t>(std::max(rows[r], 0));
    EXPECT_EQ(found_place[r], padding ? -1 : static_cast<int32_t>(r));
    for (size_t i = 0; i < kHidden; ++i) ASSERT_EQ(found_x[r * kHidden + i], padding ? 0 : x[from * kHidden + i]);
    for (size_t i = 0; i < kWidth; ++i)
      ASSERT_EQ(found_attention[r * kWidth + i], padding ? 0 : attention[from * kWidth + i]);
  }
  WantedRowsParams odd = params;
  odd.attention_out.shape[1] = odd.attention.shape[1] = kWidth - 1;  // rows of 1,026 bytes
  EXPECT_FALSE(wanted_rows_cuda(odd, stream));
}

TEST(CudaDecoder, RefusesABatchThatWasNotReserved) {
  REQUIRE_GPU();
  Golden g = load_golden("llama");
  auto model = load(g.config, g.weights, DType::kBFloat16);
  ASSERT_TRUE(model);
  CudaStream stream = CudaStream::create().value();
  DeviceBuffer hidden = DeviceBuffer::allocate(1 << 16, "a test").value();
  TensorView<void, 2> view(hidden.data(), {1, g.config.hidden_size}, DType::kBFloat16);
  CudaBatch batch;
  EXPECT_FALSE(model->forward(batch, {}, view, stream));
  EXPECT_FALSE(model->reserve({.max_tokens = 8, .max_seqs = 2, .max_logits = 257}));
  ASSERT_TRUE(model->reserve({.max_tokens = 8, .max_seqs = 2, .max_logits = 2, .max_model_len = 64}));
  EXPECT_GT(model->scratch_bytes(), 8u * 32 * 4);
  batch.num_tokens = 9, batch.block_tables.resize(1), batch.slot_mapping.resize(1), batch.num_logits = 1;
  EXPECT_EQ(model->forward(batch, {}, view, stream).error().code, ErrorCode::kInternal);
  batch.num_tokens = 8, batch.num_seqs = 3;
  EXPECT_EQ(model->forward(batch, {}, view, stream).error().code, ErrorCode::kInternal);
}

}  // namespace
}  // namespace vllm::model::testing
