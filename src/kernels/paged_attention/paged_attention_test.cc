#include "kernels/paged_attention/paged_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/kv_write/kv_write.h"
#include "kernels/paged_attention/paged_attention_cases.h"
#include "kernels/simd/test_isas.h"
#include "tensor/buffer.h"

namespace vllm {
namespace {

// A pool of poisoned pages with the keys and values of a case's sequences scattered over it, and queries.
struct Fixture {
  Buffer pages, workspace;
  std::vector<float> q, out;
  std::vector<int32_t> table, query_start = {0}, seq_lens;
  PagedAttentionParams p;
  ThreadPool pool;

  Fixture(const AttentionCase& c, uint32_t seed, int num_threads = 1) : pool(num_threads) {
    KvLayerView kv{
        .block_size = c.block_size, .num_kv_heads = c.num_kv_heads, .head_dim = c.head_dim, .dtype = c.dtype};
    int64_t max_blocks = 0, total_blocks = 1, num_tokens = 0;
    for (auto s : c.seqs) {
      int64_t blocks = (s.seq_len + c.block_size - 1) / c.block_size;
      max_blocks = std::max(max_blocks, blocks), total_blocks += blocks, num_tokens += s.num_queries;
      query_start.push_back(static_cast<int32_t>(num_tokens)), seq_lens.push_back(s.seq_len);
    }
    kv.num_blocks = total_blocks, kv.v_offset = kv.area_bytes(), kv.page_bytes = kv_layer_bytes(kv);
    pages = Buffer(static_cast<size_t>(kv.num_blocks * kv.page_bytes));
    std::memset(pages.data(), 0xff, pages.size());  // NaN in every type
    kv.base = pages.data();
    std::vector<int32_t> ids(static_cast<size_t>(total_blocks - 1));
    std::iota(ids.begin(), ids.end(), 1);
    std::mt19937 shuffle_rng(seed * 7 + static_cast<uint32_t>(num_threads));
    std::shuffle(ids.begin(), ids.end(), shuffle_rng);
    table.assign(c.seqs.size() * static_cast<size_t>(max_blocks), 0);
    std::mt19937 rng(seed);
    std::normal_distribution<float> normal;
    size_t next = 0;
    for (size_t s = 0; s < c.seqs.size(); ++s) {
      int64_t len = c.seqs[s].seq_len;
      // What no query of this step can see any more is released: its entry stays 0.
      int64_t first = c.sliding_window ? std::max<int64_t>(0, len - c.seqs[s].num_queries - c.sliding_window + 1) : 0;
      std::vector<float> k(static_cast<size_t>(len * c.num_kv_heads * c.head_dim)), v(k.size());
      for (float& f : k) f = normal(rng);
      for (float& f : v) f = normal(rng);
      std::vector<int64_t> slots;
      for (int64_t j = 0; j < len; ++j) {
        size_t entry = s * static_cast<size_t>(max_blocks) + static_cast<size_t>(j / c.block_size);
        if (j / c.block_size >= first / c.block_size && table[entry] == 0) table[entry] = ids[next++];
        slots.push_back(int64_t{table[entry]} * c.block_size + j % c.block_size);
      }
      std::array<int64_t, 3> shape = {len, c.num_kv_heads, c.head_dim};
      kv_write_ref(
          {TensorView<const float, 3>(k.data(), shape), TensorView<const float, 3>(v.data(), shape), kv, slots});
    }
    std::array<int64_t, 3> shape = {num_tokens, c.num_heads, c.head_dim};
    q.resize(static_cast<size_t>(num_tokens * c.num_heads * c.head_dim)), out.resize(q.size());
    for (float& f : q) f = normal(rng);
    p = {.out = {out.data(), shape},
         .q = TensorView<float, 3>(q.data(), shape),
         .kv = kv,
         .block_table = TensorView<const int32_t, 2>(table.data(), {static_cast<int64_t>(c.seqs.size()), max_blocks}),
         .query_start = query_start,
         .seq_lens = seq_lens,
         .scale = 1 / std::sqrt(static_cast<float>(c.head_dim)),
         .softcap = c.softcap,
         .sliding_window = c.sliding_window};
    workspace = Buffer(paged_attention_workspace_bytes(static_cast<int64_t>(c.seqs.size()), c.head_dim, num_threads));
  }
  std::span<std::byte> scratch() { return {workspace.data(), workspace.size()}; }
};

// An ISA, and for AVX-512 how bfloat16 caches are multiplied.
std::vector<std::pair<CpuIsa, AttentionProducts>> runnable_forms() {
  std::vector<std::pair<CpuIsa, AttentionProducts>> forms;
  for (CpuIsa isa : runnable_isas()) forms.emplace_back(isa, AttentionProducts::kFloat32);
  if (!cpu_has_avx512_bf16()) return forms;
  forms.emplace_back(CpuIsa::kAvx512, AttentionProducts::kBFloat16);
  forms.emplace_back(CpuIsa::kAvx512, AttentionProducts::kEmulatedTiles);
  if (attention_products() == AttentionProducts::kTiles) forms.emplace_back(CpuIsa::kAvx512, AttentionProducts::kTiles);
  return forms;
}

TEST(PagedAttention, MatchesTheReference) {
  for (auto [isa, products] : runnable_forms()) {
    for (const AttentionCase& c : attention_cases()) {
      Fixture f(c, 3);
      ASSERT_TRUE(check(f.p)) << check(f.p).error().message;
      paged_attention_ref(f.p);
      std::vector<float> expected = f.out;
      std::fill(f.out.begin(), f.out.end(), 0.0f);
      paged_attention_cpu(f.p, f.scratch(), f.pool, isa, products);
      // Rounded queries move a score by about 2^-9 of it, rounded weights a sum by 2^-9 of its parts.
      const float tolerance =
          products != AttentionProducts::kFloat32 && c.dtype != DType::kFloat32 && c.dtype != DType::kFloat16 ? 2e-2f
                                                                                                              : 5e-6f;
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_NEAR(f.out[i], expected[i], tolerance)
            << to_string(isa) << " head_dim " << c.head_dim << " element " << i;
      }
    }
  }
}

// A token's result is the same alone as in a batch, at any cut of the prefill, in any pages, with any number of
// threads.
TEST(PagedAttention, ATokenDoesNotDependOnItsCompany) {
  for (auto [isa, products] : runnable_forms()) {
    for (const AttentionCase& c : attention_cases()) {
      Fixture batch(c, 5, 3), alone(c, 5, 1);
      paged_attention_cpu(batch.p, batch.scratch(), batch.pool, isa, products);
      for (size_t s = 0; s < c.seqs.size(); ++s) {
        for (int32_t cut = 1; cut <= 7; cut += 3) {
          for (int32_t t = alone.query_start[s]; t < alone.query_start[s + 1]; t += cut) {
            int32_t n = std::min(cut, alone.query_start[s + 1] - t);
            std::vector<int32_t> start = {0, n}, lens = {alone.seq_lens[s] - (alone.query_start[s + 1] - t) + n};
            PagedAttentionParams p = alone.p;
            p.q = p.q.slice(t, t + n), p.out = p.out.slice(t, t + n);
            p.block_table = p.block_table.slice(static_cast<int64_t>(s), static_cast<int64_t>(s) + 1);
            p.query_start = start, p.seq_lens = lens;
            paged_attention_cpu(p, alone.scratch(), alone.pool, isa, products);
          }
          size_t width = static_cast<size_t>(c.num_heads * c.head_dim);
          size_t begin = static_cast<size_t>(alone.query_start[s]) * width,
                 end = static_cast<size_t>(alone.query_start[s + 1]) * width;
          ASSERT_EQ(std::memcmp(&batch.out[begin], &alone.out[begin], (end - begin) * sizeof(float)), 0)
              << to_string(isa) << " head_dim " << c.head_dim << " cut " << cut;
        }
      }
    }
  }
}

// Long contexts: spans of keys that run on several threads, merged, are the same sums as on one thread and in a
// prefill, also where a window leaves rows of one task without keys in a span.
TEST(PagedAttention, SpansOnManyThreadsChangeNoBit) {
  for (auto [isa, products] : runnable_forms()) {
    for (const AttentionCase& c : {
             AttentionCase{14, 2, 64, 16, DType::kBFloat16, 0, 0, {{1, 1537}, {1, 70}}},
             AttentionCase{3, 1, 40, 8, DType::kFloat32, 10, 700, {{1, 1300}}},
             AttentionCase{4, 2, 64, 16, DType::kBFloat16, 0, 600, {{9, 1640}, {1, 1200}}},
             AttentionCase{6, 2, 64, 32, kKvInt8, 0, 0, {{3, 1025}, {1, 1024}}},
         }) {
      Fixture one(c, 7);
      paged_attention_ref(one.p);
      const std::vector<float> expected = one.out;
      paged_attention_cpu(one.p, one.scratch(), one.pool, isa, products);
      const float tolerance = products != AttentionProducts::kFloat32 && c.dtype != DType::kFloat32 ? 5e-3f : 5e-6f;
      for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(one.out[i], expected[i], tolerance) << to_string(isa);
      for (int threads : {2, 5}) {
        Fixture many(c, 7, threads);
        paged_attention_cpu(many.p, many.scratch(), many.pool, isa, products);
        ASSERT_EQ(one.out, many.out) << to_string(isa) << " threads " << threads;
      }
    }
  }
}

TEST(PagedAttention, TilesDoWhatTheirEmulationDoes) {
  if (attention_products() != AttentionProducts::kTiles) GTEST_SKIP() << "no AMX";
  for (const AttentionCase& c : attention_cases()) {
    Fixture native(c, 11), emulated(c, 11);
    paged_attention_cpu(native.p, native.scratch(), native.pool, cpu_isa(), AttentionProducts::kTiles);
    paged_attention_cpu(emulated.p, emulated.scratch(), emulated.pool, cpu_isa(), AttentionProducts::kEmulatedTiles);
    EXPECT_EQ(native.out, emulated.out) << "head_dim " << c.head_dim;
  }
}

// Otherwise the tests above would not reach them.
TEST(PagedAttention, TilesHaveBitsOfTheirOwn) {
  if (!cpu_has_avx512_bf16()) GTEST_SKIP() << "no AVX512-BF16";
  for (int head_dim : {64, 80, 256}) {
    const AttentionCase c{4, 2, head_dim, 16, DType::kBFloat16, 0, 0, {{3, 70}}};
    Fixture vectors(c, 13), tiles(c, 13);
    paged_attention_cpu(vectors.p, vectors.scratch(), vectors.pool, cpu_isa(), AttentionProducts::kBFloat16);
    paged_attention_cpu(tiles.p, tiles.scratch(), tiles.pool, cpu_isa(), AttentionProducts::kEmulatedTiles);
    EXPECT_NE(vectors.out, tiles.out) << head_dim;
  }
}

// How far an 8-bit cache is from a float32 one: the same keys, values and queries in both.
TEST(PagedAttention, EightBitCachesAreNearTheExactOne) {
  for (auto [isa, products] : runnable_forms()) {
    AttentionCase c{6, 2, 64, 16, DType::kFloat32, 0, 0, {{1, 300}, {50, 90}}};
    Fixture exact(c, 9);
    paged_attention_ref(exact.p);
    for (auto [dtype, tolerance] : {std::pair(kKvInt8, 0.02f), std::pair(kKvFloat8, 0.12f)}) {
      c.dtype = dtype;
      Fixture f(c, 9);
      paged_attention_cpu(f.p, f.scratch(), f.pool, isa, products);
      float furthest = 0;
      for (size_t i = 0; i < f.out.size(); ++i) furthest = std::max(furthest, std::fabs(f.out[i] - exact.out[i]));
      EXPECT_LT(furthest, tolerance) << to_string(isa);
      EXPECT_GT(furthest, 1e-4f) << "the cache was not of 8 bits";
    }
  }
}

// The page size is no part of the result either.
TEST(PagedAttention, ATokenDoesNotDependOnTheBlockSize) {
  for (auto [isa, products] : runnable_forms()) {
    AttentionCase c{6,
                    2,
                    64,
                    16,
                    products != AttentionProducts::kFloat32 ? DType::kBFloat16 : DType::kFloat32,
                    0,
                    40,
                    {{1, 77}, {50, 90}}};
    Fixture first(c, 9);
    paged_attention_cpu(first.p, first.scratch(), first.pool, isa, products);
    for (int block_size : {1, 5, 32, 64}) {
      if (products != AttentionProducts::kFloat32 && block_size % 16 != 0) continue;
      c.block_size = block_size;
      Fixture other(c, 9);
      paged_attention_cpu(other.p, other.scratch(), other.pool, isa, products);
      EXPECT_EQ(first.out, other.out) << block_size;
    }
  }
}

TEST(PagedAttention, RefusesWhatDisagrees) {
  AttentionCase c{4, 2, 16, 16, DType::kFloat32, 0, 0, {{2, 20}}};
  Fixture f(c, 1);
  auto refused = [&](auto change, const char* text) {
    PagedAttentionParams p = f.p;
    change(p);
    Status status = check(p);
    ASSERT_FALSE(status) << text;
    EXPECT_NE(status.error().message.find(text), std::string::npos) << status.error().message;
  };
  std::vector<int32_t> bad_lens = {1}, long_lens = {33}, bad_start = {0, 3};
  std::vector<int32_t> bad_table = {1, 99};
  refused([](auto& p) { p.kv.num_kv_heads = 3; }, "KV heads");
  refused([](auto& p) { p.kv.head_dim = 8; }, "head_dim");
  refused([](auto& p) { p.kv.dtype = DType::kInt32; }, "int32");
  refused([&](auto& p) { p.seq_lens = bad_lens; }, "queries");
  refused([&](auto& p) { p.seq_lens = long_lens; }, "blocks");
  refused([&](auto& p) { p.query_start = bad_start; }, "query_start");
  refused([&](auto& p) { p.block_table = TensorView<const int32_t, 2>(bad_table.data(), {1, 2}); }, "page 99");
}

}  // namespace
}  // namespace vllm
