#include "kernels/embedding/embedding.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "kernels/dequantize/dequantize.h"

namespace vllm {
namespace {

TEST(Embedding, GathersAndScalesRows) {
  constexpr int64_t kVocab = 11, kHidden = 6, kTokens = 19;
  std::vector<float> weight(kVocab * kHidden);
  for (size_t i = 0; i < weight.size(); ++i) weight[i] = static_cast<float>(i);
  std::vector<int32_t> ids(kTokens);
  for (size_t t = 0; t < ids.size(); ++t) ids[t] = static_cast<int32_t>((t * 7) % kVocab);
  std::vector<float> out(kTokens * (kHidden + 2), -1.0f);
  EmbeddingParams p{.out = {out.data(), {kTokens, kHidden}},
                    .token_ids = ids,
                    .weight = weight.data(),
                    .vocab_size = kVocab,
                    .scale = 0.5f};
  p.out.stride[0] = kHidden + 2;
  ASSERT_TRUE(check(p).has_value());
  for (int threads : {1, 2}) {
    ThreadPool pool(threads);
    embedding_cpu(p, pool);
    for (int64_t t = 0; t < kTokens; ++t) {
      for (int64_t i = 0; i < kHidden; ++i)
        EXPECT_EQ(p.out(t, i), 0.5f * static_cast<float>(ids[static_cast<size_t>(t)] * kHidden + i));
      EXPECT_EQ(out[static_cast<size_t>(t * (kHidden + 2) + kHidden)], -1.0f);  // the gap between rows is left alone
    }
  }
}

TEST(Embedding, ReadsQuantizedRows) {
  std::vector<std::byte> weight(row_bytes(DType::kQ8_0, 64) * 3);
  for (size_t i = 0; i < weight.size(); ++i)
    weight[i] = static_cast<std::byte>(i % 34 == 1 ? 0x2c : i * 5);  // d near 2^-4
  std::vector<int32_t> ids = {2, 0};
  std::vector<float> out(2 * 64), expected(64);
  ThreadPool pool(1);
  EmbeddingParams p{
      .out = {out.data(), {2, 64}}, .token_ids = ids, .weight = weight.data(), .dtype = DType::kQ8_0, .vocab_size = 3};
  ASSERT_TRUE(check(p).has_value());
  embedding_cpu(p, pool);
  dequantize_row(DType::kQ8_0, weight.data() + 2 * 68, expected);
  EXPECT_EQ(0, std::memcmp(out.data(), expected.data(), 64 * sizeof(float)));
}

TEST(Embedding, RefusesArgumentsThatDisagree) {
  std::vector<float> out(64);
  std::vector<int32_t> ids = {0};
  EXPECT_FALSE(
      check({.out = {out.data(), {2, 32}}, .token_ids = ids, .dtype = DType::kQ8_0, .vocab_size = 3}).has_value());
  EXPECT_FALSE(
      check({.out = {out.data(), {1, 33}}, .token_ids = ids, .dtype = DType::kQ8_0, .vocab_size = 3}).has_value());
  EXPECT_FALSE(
      check({.out = {out.data(), {1, 32}}, .token_ids = ids, .dtype = DType::kInt32, .vocab_size = 3}).has_value());
}

}  // namespace
}  // namespace vllm
