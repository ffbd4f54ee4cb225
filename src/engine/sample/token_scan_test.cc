#include "engine/sample/token_scan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "engine/sample/philox.h"
#include "engine/sample/sampler.h"
#include "tensor/cpu_info.h"

namespace vllm::engine {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<const TokenScanKernels*> all_kernels() {
  std::vector<const TokenScanKernels*> out = {&token_scan_generic()};
#if defined(__x86_64__)
  if (cpu_isa() >= CpuIsa::kAvx2) out.push_back(&token_scan_avx2());
  if (cpu_isa() >= CpuIsa::kAvx512) out.push_back(&token_scan_avx512());
#elif defined(__aarch64__)
  if (cpu_isa() >= CpuIsa::kNeon) out.push_back(&token_scan_neon());
#endif
  return out;
}

std::vector<float> random_logits(size_t n, float spread, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal(-20, spread);
  std::vector<float> out(n);
  for (float& x : out) x = normal(rng);
  return out;
}

float score(const std::vector<float>& logits, float inverse, uint64_t seed, int64_t position, int32_t id) {
  auto words = random_words(seed, position, static_cast<uint32_t>(id / 4), RandomStream::kSample);
  return logits[static_cast<size_t>(id)] * inverse + gumbel(words[static_cast<size_t>(id % 4)]);
}

TEST(TokenScan, FindsTheLargest) {
  for (const TokenScanKernels* kernels : all_kernels()) {
    for (size_t n : {1, 5, 16, 63, 64, 65, 1000}) {
      std::vector<float> logits = random_logits(n, 4, static_cast<uint32_t>(n));
      EXPECT_EQ(kernels->largest(logits.data(), static_cast<int64_t>(n)),
                *std::max_element(logits.begin(), logits.end()));
      float top = -kInf;
      for (size_t i = 0; i < n; ++i) {
        if (i % 3 == 0) logits[i] = std::nanf("");
        if (i % 3 != 0) top = std::max(top, logits[i]);
      }
      EXPECT_EQ(kernels->largest(logits.data(), static_cast<int64_t>(n)), top) << n;
    }
  }
}

TEST(TokenScan, MissesNobodyWhoReachesTheScore) {
  for (float inverse : {1.0f, 0.5f, 3.0f, 1e4f}) {
    std::vector<float> logits = random_logits(997, 3, 5);
    logits[3] = -kInf, logits[500] = std::nanf("");
    std::vector<float> scores;
    for (int32_t id = 0; id < 997; ++id) scores.push_back(score(logits, inverse, 77, 1234, id));
    std::vector<float> order;
    std::copy_if(scores.begin(), scores.end(), std::back_inserter(order), [](float s) { return s > -kInf; });
    std::sort(order.begin(), order.end(), std::greater<>());
    for (size_t rank : {0, 1, 10, 200, 900}) {
      for (const TokenScanKernels* kernels : all_kernels()) {
        std::vector<int32_t> ids(997);
        TokenScan scan{logits.data(), 0, 997, inverse, order[rank], 77, 1234};
        ids.resize(static_cast<size_t>(kernels->contenders(scan, ids.data())));
        EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
        for (int32_t id = 0; id < 997; ++id) {
          if (scores[static_cast<size_t>(id)] >= order[rank]) {
            EXPECT_TRUE(std::binary_search(ids.begin(), ids.end(), id)) << id << " at rank " << rank;
          }
        }
        if (kernels != &token_scan_generic() && rank < 20 && inverse <= 3) {
          EXPECT_LT(ids.size(), 3 * rank + 12) << "rank " << rank;
        }
      }
    }
  }
}

TEST(TokenScan, SamplesAsTheDefinitionDoes) {
  std::vector<float> logits = random_logits(5003, 2.5f, 9);
  SamplerScratch scratch(5003);
  for (int64_t position = 0; position < 300; ++position) {
    SamplingParams params{.temperature = 0.8f, .seed = 3};
    float best_score = -kInf, inverse = 1.0f / params.temperature;
    TokenId best = 0;
    for (TokenId id = 0; id < 5003; ++id) {
      float s = score(logits, inverse, 3, position, id);
      if (s > best_score) best = id, best_score = s;
    }
    ASSERT_EQ(sample_token(logits, params, position, scratch), best) << position;
  }
}

}  // namespace
}  // namespace vllm::engine
