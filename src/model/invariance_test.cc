// Bit for bit: a prompt's logits do not depend on its batch, the cut of its prefill, pages, released windows or
// threads.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "hub/checkpoint.h"
#include "kernels/kv_layout/kv_dtypes.h"
#include "model/model.h"
#include "model/parity/token_runner.h"

namespace vllm::model {
namespace {

using Prompts = std::vector<std::vector<int32_t>>;

std::unique_ptr<Model> dummy_model(const char* golden, DType dtype, DType kv_dtype, ThreadPool& pool) {
  auto config = load_config(std::string("tests/golden/models/") + golden);
  EXPECT_TRUE(config) << config.error().message;
  config->max_position = 128;  // of learned tables: longer than the prompts
  auto model = load_model(*config, nullptr, {.dtype = dtype, .kv_dtype = kv_dtype, .dummy_weights = true}, pool);
  EXPECT_TRUE(model) << model.error().message;
  return std::move(model).value();
}

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

bool same_bits(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() != b[i].size() || std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) != 0)
      return false;
  }
  return true;
}

TEST(Invariance, BatchChunksPagesAndThreads) {
  for (const char* golden : {"gemma3", "qwen3", "qwen2-window", "llama-mqa-tied-biases", "cohere2", "granite",
                             "falcon-groups", "opt-projected", "olmo2", "qwen"}) {
    for (auto [dtype, kv_dtype] : {std::pair(DType::kFloat32, DType::kFloat32),
                                   {DType::kBFloat16, DType::kBFloat16},
                                   {DType::kFloat16, DType::kFloat16},
                                   {DType::kBFloat16, kKvInt8},
                                   {DType::kFloat16, kKvFloat8}}) {
      ThreadPool single(1), several(3);
      // Products of bfloat16 need pages of 16 tokens, and have bits of their own.
      const int pages = kv_dtype == DType::kFloat32 || kv_dtype == DType::kFloat16 ? 1 : 4;
      auto model = dummy_model(golden, dtype, kv_dtype, single);
      Prompts prompts = make_prompts({1, 70, 33, 5, 48}, model->config().vocab_size);
      std::vector<std::vector<std::vector<float>>> alone;
      for (const auto& p : prompts) alone.push_back(TokenRunner(*model, single, {}).run({p}).front());
      for (ThreadPool* pool : {&single, &several}) {
        for (TokenRunner::Options options : {TokenRunner::Options{},
                                             {.chunk = 1},
                                             {.chunk = 7, .block_size = 8 * pages, .release_windows = true},
                                             {.chunk = 32, .block_size = 64},
                                             {.chunk = 1, .block_size = 4 * pages, .release_windows = true}}) {
          auto together = TokenRunner(*model, *pool, options).run(prompts);
          for (size_t p = 0; p < prompts.size(); ++p) {
            EXPECT_TRUE(same_bits(alone[p], together[p]))
                << golden << " " << info(dtype).name << " over " << info(kv_dtype).name << " prompt " << p << " chunk "
                << options.chunk << " threads " << pool->num_threads();
          }
        }
      }
    }
  }
}

// The same for every family, in one type and one awkward form.
TEST(Invariance, EveryFamily) {
  int cases = 0;
  for (const auto& entry : std::filesystem::directory_iterator("tests/golden/models")) {
    if (!entry.is_directory()) continue;
    const std::string golden = entry.path().filename().string();
    ThreadPool single(1), several(3);
    auto model = dummy_model(golden.c_str(), DType::kFloat32, DType::kFloat32, single);
    Prompts prompts = make_prompts({1, 70, 33}, model->config().vocab_size);
    auto together = TokenRunner(*model, several, {.chunk = 7, .block_size = 8, .release_windows = true}).run(prompts);
    for (size_t p = 0; p < prompts.size(); ++p) {
      EXPECT_TRUE(same_bits(TokenRunner(*model, single, {}).run({prompts[p]}).front(), together[p]))
          << golden << " prompt " << p;
    }
    ++cases;
  }
  EXPECT_EQ(cases, 30);
}

// A batch of more than 512 tokens goes through the layers in slices that cut prompts anywhere.
TEST(Invariance, SlicesOfALargeBatch) {
  ThreadPool pool(2);
  auto model = dummy_model("mistral-window", DType::kBFloat16, DType::kBFloat16, pool);
  Prompts prompts = make_prompts({900, 1300, 2100}, model->config().vocab_size);
  auto together = TokenRunner(*model, pool, {}).run(prompts);
  for (size_t p = 0; p < prompts.size(); ++p) {
    auto alone = TokenRunner(*model, pool, {.chunk = 600}).run({prompts[p]}).front();
    EXPECT_TRUE(same_bits(alone, together[p])) << p;
  }
}

}  // namespace
}  // namespace vllm::model
