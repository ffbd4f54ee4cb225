#include "kernels/kv_write/kv_write.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "kernels/kv_write/kv_write_cases.h"
#include "tensor/buffer.h"

namespace vllm {
namespace {

float element(const std::byte* p, DType dtype, int64_t i) {
  if (dtype == DType::kFloat32) return reinterpret_cast<const float*>(p)[i];
  if (dtype == DType::kFloat16) return to_float(reinterpret_cast<const Float16*>(p)[i]);
  if (dtype == kKvFloat8) return float8_to_float(reinterpret_cast<const uint8_t*>(p)[i]);
  return to_float(reinterpret_cast<const BFloat16*>(p)[i]);
}
float rounded(float x, DType dtype) {
  if (dtype == kKvFloat8) return float8_to_float(float_to_float8(x));
  return dtype == DType::kFloat32 ? x : dtype == DType::kFloat16 ? to_float(to_float16(x)) : to_float(to_bfloat16(x));
}

TEST(KvWrite, PutsEveryTokenInItsSlotAndNothingElsewhere) {
  for (const KvWriteCase& c : kKvWriteCases) {
    KvLayerView kv{.num_kv_heads = c.num_kv_heads, .head_dim = c.head_dim, .dtype = c.dtype};
    kv.block_size = c.block_size;
    kv.num_blocks = c.num_tokens / c.block_size + 3;
    kv.k_offset = 64, kv.v_offset = 64 + kv.area_bytes(), kv.page_bytes = 2 * kv.area_bytes() + 128;
    Buffer pool_bytes(static_cast<size_t>(kv.num_blocks * kv.page_bytes));
    kv.base = pool_bytes.data();
    std::mt19937 rng(5);
    std::normal_distribution<float> normal;
    std::array<int64_t, 3> shape = {c.num_tokens, c.num_kv_heads, c.head_dim};
    std::vector<float> k(static_cast<size_t>(c.num_tokens * c.num_kv_heads * c.head_dim)), v(k.size());
    for (float& f : k) f = normal(rng);
    for (float& f : v) f = normal(rng);
    std::vector<int64_t> slots;
    for (int64_t t = 0; t < c.num_tokens; ++t) slots.push_back(c.block_size + t);
    slots.back() = 0;  // padding
    KvWriteParams p{TensorView<const float, 3>(k.data(), shape), TensorView<const float, 3>(v.data(), shape), kv,
                    slots};
    ASSERT_TRUE(check(p));
    ThreadPool pool(2);
    kv_write_cpu(p, pool);
    for (int64_t t = 0; t + 1 < c.num_tokens; ++t) {
      int64_t block = slots[static_cast<size_t>(t)] / c.block_size,
              offset = slots[static_cast<size_t>(t)] % c.block_size;
      for (int h = 0; h < c.num_kv_heads; ++h) {
        for (int d = 0; d < c.head_dim; ++d) {
          ASSERT_EQ(element(kv.k_head(block, h), c.dtype, d * c.block_size + offset), rounded(p.k(t, h, d), c.dtype));
          ASSERT_EQ(element(kv.v_head(block, h), c.dtype, offset * c.head_dim + d), rounded(p.v(t, h, d), c.dtype));
        }
      }
    }
    for (int64_t i = 0; i < kv.page_bytes; ++i) ASSERT_EQ(kv.base[i], std::byte{0}) << "the null block was written";
  }
}

// Each token of each head: the largest number has code 127, the others are within half a step, and neighbours keep
// theirs.
TEST(KvWrite, Int8CodesWithAScaleForEachTokenAndHead) {
  constexpr int kHeads = 3, kHeadDim = 40, kBlock = 8, kTokens = 20;
  KvLayerView kv{.num_blocks = 5, .block_size = kBlock, .num_kv_heads = kHeads, .head_dim = kHeadDim, .dtype = kKvInt8};
  kv.k_offset = 64, kv.v_offset = 64 + kv.area_bytes(), kv.page_bytes = kv_layer_bytes(kv) + 128;
  Buffer pages(static_cast<size_t>(kv.num_blocks * kv.page_bytes));
  kv.base = pages.data();
  std::mt19937 rng(6);
  std::normal_distribution<float> normal;
  std::vector<float> k(kTokens * kHeads * kHeadDim), v(k.size());
  for (float& f : k) f = normal(rng);
  for (float& f : v) f = 30 * normal(rng);
  const std::array<int64_t, 3> shape = {kTokens, kHeads, kHeadDim};
  std::fill_n(k.begin() + 4 * kHeads * kHeadDim, kHeadDim, 0.0f);  // token 4, head 0
  v[7 * kHeads * kHeadDim] = INFINITY;
  std::vector<int64_t> slots;
  for (int64_t t = 0; t < kTokens; ++t) slots.push_back(kBlock + t);
  const KvWriteParams p{TensorView<const float, 3>(k.data(), shape), TensorView<const float, 3>(v.data(), shape), kv,
                        slots};
  ASSERT_TRUE(check(p));
  ThreadPool pool(2);
  kv_write_cpu(p, pool);
  for (int64_t t = 0; t < kTokens; ++t) {
    const int64_t block = slots[static_cast<size_t>(t)] / kBlock, offset = slots[static_cast<size_t>(t)] % kBlock;
    for (int64_t h = 0; h < kHeads; ++h) {
      const float k_scale = k_scales(kv, block, h)[offset], v_scale = v_scales(kv, block, h)[offset];
      float largest_k = 0;
      for (int64_t d = 0; d < kHeadDim; ++d) largest_k = std::max(largest_k, std::fabs(p.k(t, h, d)));
      EXPECT_FLOAT_EQ(k_scale * 127, largest_k);
      for (int64_t d = 0; d < kHeadDim; ++d) {
        const auto k_code = static_cast<int8_t>(kv.k_head(block, h)[d * kBlock + offset]),
                   v_code = static_cast<int8_t>(kv.v_head(block, h)[offset * kHeadDim + d]);
        ASSERT_NEAR(k_code * k_scale, p.k(t, h, d), k_scale * 0.5001f);
        if (t == 7 && h == 0) {
          ASSERT_TRUE(std::isnan(v_code * v_scale));
        } else {
          ASSERT_NEAR(v_code * v_scale, p.v(t, h, d), v_scale * 0.5001f);
        }
      }
    }
  }
}

TEST(KvWrite, RefusesWhatDisagrees) {
  std::vector<float> x(16);
  std::vector<std::byte> page(4096);
  KvLayerView kv{.base = page.data(),
                 .num_blocks = 2,
                 .page_bytes = 256,
                 .block_size = 4,
                 .num_kv_heads = 1,
                 .head_dim = 8,
                 .dtype = DType::kFloat32};
  std::vector<int64_t> slots = {4, 5};
  TensorView<const float, 3> ok(x.data(), {2, 1, 8}), bad(x.data(), {2, 2, 4});
  EXPECT_TRUE(check(KvWriteParams{ok, ok, kv, slots}));
  EXPECT_FALSE(check(KvWriteParams{bad, ok, kv, slots}));
  EXPECT_FALSE(check(KvWriteParams{ok, bad, kv, slots}));
  slots[1] = 8;
  EXPECT_FALSE(check(KvWriteParams{ok, ok, kv, slots}));
  slots[1] = 5, kv.dtype = DType::kInt32;
  EXPECT_FALSE(check(KvWriteParams{ok, ok, kv, slots}));
}

}  // namespace
}  // namespace vllm
