// What must hold to the bit: a row of the result does not depend on the batch, the threads, the packing; for quantized
// weights not on the ISA either.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/linear/linear_run.h"
#include "kernels/linear/linear_test_data.h"

namespace vllm {
namespace {

using testing::LinearArrays;
using testing::make_linear;

std::vector<float> rows_of(const LinearParams& p) {
  std::vector<float> out;
  for (int64_t t = 0; t < p.out.size(0); ++t) out.insert(out.end(), p.out.row(t), p.out.row(t) + p.out.size(1));
  return out;
}

std::vector<float> result(const linear::Kernels& kernels, LinearArrays arrays, bool packed, int threads) {
  arrays.params.out.data = arrays.out.data(), arrays.params.x.data = arrays.x.data();
  arrays.params.weight.data = arrays.weight.data() + 1;
  if (!arrays.bias.empty()) arrays.params.bias = arrays.bias;
  ThreadPool pool(threads);
  PackedWeight packed_weight;
  if (packed)
    packed_weight = pack_linear_weight(arrays.params.weight, pool), arrays.params.weight = packed_weight.weight;
  std::vector<std::byte> workspace(linear_workspace_bytes(arrays.params.x.size(0), arrays.params.weight.k));
  linear::run(kernels, std::span(&arrays.params, 1), workspace, pool);
  return rows_of(arrays.params);
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

class LinearExact : public ::testing::TestWithParam<DType> {};
class LinearExactTerms : public ::testing::TestWithParam<std::tuple<DType, bool>> {
 protected:
  DType dtype() const { return std::get<0>(GetParam()); }
  bool two_terms() const { return std::get<1>(GetParam()); }
};

TEST_P(LinearExact, PackingAndThreadsChangeNoBit) {
  uint32_t seed = 100;
  for (const LinearCase& c : kLinearCases) {
    LinearArrays arrays = make_linear(c, GetParam(), ++seed);
    for (const linear::Kernels* kernels : testing::kernels_to_test()) {
      std::vector<float> expected = result(*kernels, arrays, true, 1);
      EXPECT_TRUE(same_bits(expected, result(*kernels, arrays, false, 1)))
          << kernels->name << " unpacked, " << c.num_tokens << " x " << c.n;
      EXPECT_TRUE(same_bits(expected, result(*kernels, arrays, true, 3)))
          << kernels->name << " threads, " << c.num_tokens << " x " << c.n;
    }
  }
}

TEST_P(LinearExactTerms, ARowIsTheSameAloneAndInAnyBatch) {
  for (int64_t n : {5, 80, 131}) {
    const LinearCase c = {.num_tokens = 45,
                          .n = n,
                          .blocks = 4,
                          .plain_k_cut = 3,
                          .bias = true,
                          .add_to_out = true,
                          .two_term_x = two_terms(),
                          .x_padding = 5};
    LinearArrays all = make_linear(c, dtype(), static_cast<uint32_t>(n));
    for (const linear::Kernels* kernels : testing::kernels_to_test()) {
      std::vector<float> expected = result(*kernels, all, true, 2);
      for (int64_t batch : {1, 2, 3, 7, 19}) {
        for (int64_t first = 0; first < c.num_tokens; first += batch) {
          LinearArrays some = all;
          int64_t last = std::min(c.num_tokens, first + batch), size = last - first;
          some.params.x.shape[0] = some.params.out.shape[0] = size;
          std::copy(all.x.begin() + first * all.params.x.stride[0], all.x.begin() + last * all.params.x.stride[0],
                    some.x.begin());
          std::copy(all.out.begin() + first * all.params.out.stride[0],
                    all.out.begin() + last * all.params.out.stride[0], some.out.begin());
          std::vector<float> got = result(*kernels, some, true, 1);
          ASSERT_TRUE(same_bits(got, {expected.begin() + first * n, expected.begin() + last * n}))
              << kernels->name << " tokens " << first << " to " << last << " of n " << n;
        }
      }
    }
  }
}

TEST_P(LinearExact, EveryIsaGivesTheSameBitsForQuantizedWeights) {
  if (!is_quantized(GetParam())) return;
  uint32_t seed = 200;
  for (const LinearCase& c : kLinearCases) {
    LinearArrays arrays = make_linear(c, GetParam(), ++seed);
    std::vector<float> expected = result(linear::scalar_kernels(), arrays, true, 1);
    for (const linear::Kernels* kernels : testing::kernels_to_test()) {
      EXPECT_TRUE(same_bits(expected, result(*kernels, arrays, true, 1)))
          << kernels->name << " " << c.num_tokens << " x " << c.n;
    }
  }
}

TEST_P(LinearExactTerms, NanAndInfinityStayInTheirRows) {
  const LinearCase c = {.num_tokens = 21, .n = 40, .blocks = 3, .two_term_x = two_terms()};
  LinearArrays clean = make_linear(c, dtype(), 7), dirty = clean;
  const int64_t k = clean.params.weight.k;
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity()};
  for (int64_t t : {0, 4, 20}) dirty.x[static_cast<size_t>(t * k + t % k)] = bad[t % 3];
  for (const linear::Kernels* kernels : testing::kernels_to_test()) {
    std::vector<float> expected = result(*kernels, clean, true, 2), got = result(*kernels, dirty, true, 2);
    for (int64_t t = 0; t < c.num_tokens; ++t) {
      for (int64_t n = 0; n < c.n; ++n) {
        size_t i = static_cast<size_t>(t * c.n + n);
        if (t == 0 || t == 4 || t == 20) {
          EXPECT_FALSE(std::isfinite(got[i])) << kernels->name << " token " << t;
        } else {
          EXPECT_EQ(got[i], expected[i]) << kernels->name << " token " << t;
        }
      }
    }
  }
}

TEST_P(LinearExactTerms, ZeroAndTinyAndHugeActivations) {
  const LinearCase c = {.num_tokens = 3, .n = 17, .blocks = 1, .two_term_x = two_terms()};
  LinearArrays a = make_linear(c, dtype(), 9);
  const size_t k = static_cast<size_t>(a.params.weight.k);
  for (size_t i = 0; i < k; ++i) a.x[i] = 0.0f, a.x[k + i] = 1e-39f, a.x[2 * k + i] = i % 2 ? 1e37f : -1e37f;
  for (const linear::Kernels* kernels : testing::kernels_to_test()) {
    std::vector<float> got = result(*kernels, a, true, 1);
    for (size_t n = 0; n < 17; ++n) {
      EXPECT_EQ(got[n], 0.0f);
      EXPECT_NEAR(got[17 + n], 0.0f, 1e-35f);
      EXPECT_TRUE(std::isfinite(got[34 + n]));
    }
  }
}

// Both terms and the quants as large as they get: nothing saturates or overflows.
TEST_P(LinearExactTerms, TheLargestIntegersAreSummedRight) {
  if (!is_quantized(dtype())) return;
  for (unsigned byte :
       {0x80u, 0xfbu, 0xbfu, 0x7bu, 0x7fu}) {  // as float16 all finite but the last, which Q8_0 keeps out
    LinearArrays a = make_linear({.num_tokens = 2, .n = 20, .blocks = 2, .two_term_x = two_terms()}, dtype(), byte);
    if (byte == 0x7fu && dtype() != DType::kQ8_0) continue;
    for (size_t i = 1; i < a.weight.size(); ++i) {
      if (byte != 0x7fu || (i - 1) % 34 > 1) a.weight[i] = static_cast<std::byte>(byte);
    }
    const size_t k = static_cast<size_t>(a.params.weight.k);
    for (size_t i = 0; i < a.x.size(); ++i) a.x[i] = (i < k ? 1.0f : -1.0f) * (i % 32 == 31 ? 127.0f : 126.499f);
    std::vector<float> expected = result(linear::scalar_kernels(), a, true, 1);
    for (const linear::Kernels* kernels : testing::kernels_to_test()) {
      EXPECT_TRUE(same_bits(expected, result(*kernels, a, true, 1))) << kernels->name << " byte " << byte;
    }
    std::vector<float> sums(expected.size());
    a.params.out = {sums.data(), {2, 20}};
    linear_ref(a.params);
    for (size_t i = 0; i < sums.size(); ++i) {
      const float step = two_terms() ? 1e-5f : 1e-2f;  // of 127
      EXPECT_NEAR(expected[i], sums[i], step * std::fabs(sums[i])) << "byte " << byte << " at " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, LinearExact, ::testing::ValuesIn(kLinearTypes),
                         [](const auto& param) { return std::string(vllm::info(param.param).name); });

INSTANTIATE_TEST_SUITE_P(All, LinearExactTerms,
                         ::testing::Combine(::testing::ValuesIn(kLinearTypes), ::testing::Bool()),
                         [](const auto& param) {
                           return std::string(vllm::info(std::get<0>(param.param)).name) +
                                  (std::get<1>(param.param) ? "_two_terms" : "_one_term");
                         });

TEST(LinearGroup, SeveralWeightsShareOneX) {
  for (const linear::Kernels* kernels : testing::kernels_to_test()) {
    std::vector<LinearArrays> arrays;
    std::vector<LinearParams> group;
    std::vector<std::vector<float>> expected;
    ThreadPool pool(2);
    for (DType dtype : {DType::kQ8_0, DType::kQ4_K, DType::kBFloat16, DType::kFloat32, DType::kQ6_K, DType::kQ4_1}) {
      const int64_t blocks = 512 / (is_quantized(dtype) ? info(dtype).block_size : 32);
      arrays.push_back(make_linear({.num_tokens = 300,
                                    .n = 19 + 16 * static_cast<int64_t>(arrays.size()),
                                    .blocks = blocks,
                                    .two_term_x = arrays.size() % 2 == 1},
                                   dtype, 5));
      arrays.back().x = arrays.front().x;
      expected.push_back(result(*kernels, arrays.back(), true, 1));
    }
    for (LinearArrays& a : arrays) {
      group.push_back(a.params);
      group.back().out.data = a.out.data(), group.back().x.data = arrays.front().x.data(),
      group.back().weight.data = a.weight.data() + 1;
    }
    std::vector<std::byte> workspace(linear_workspace_bytes(300, 512));
    linear::run(*kernels, group, workspace, pool);
    for (size_t i = 0; i < group.size(); ++i)
      EXPECT_TRUE(same_bits(rows_of(group[i]), expected[i])) << kernels->name << " weight " << i;
  }
}

}  // namespace
}  // namespace vllm
