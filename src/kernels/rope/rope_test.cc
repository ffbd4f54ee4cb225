#include "kernels/rope/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/rope/rope_cases.h"
#include "kernels/simd/test_isas.h"

namespace vllm {
namespace {

TEST(Rope, MatchesTheReference) {
  for (CpuIsa isa : runnable_isas()) {
    for (const RopeCase& c : kRopeCases) {
      std::mt19937 rng(11);
      std::normal_distribution<float> normal;
      std::vector<float> x(static_cast<size_t>(c.num_tokens * c.num_heads * c.head_dim));
      std::vector<float> cos(static_cast<size_t>(c.num_tokens * c.rotary_dim / 2)), sin(cos.size());
      for (auto* v : {&x, &cos, &sin}) {
        for (float& f : *v) f = normal(rng);
      }
      std::vector<float> found = x;
      auto params = [&](std::vector<float>& data) {
        return RopeParams{{data.data(), {c.num_tokens, c.num_heads, c.head_dim}},
                          TensorView<float, 2>(cos.data(), {c.num_tokens, c.rotary_dim / 2}),
                          TensorView<float, 2>(sin.data(), {c.num_tokens, c.rotary_dim / 2})};
      };
      ASSERT_TRUE(check(params(x)));
      rope_ref(params(x));
      ThreadPool pool(2);
      rope_cpu(params(found), pool, isa);
      for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(found[i], x[i], 1e-6 * (4 + std::abs(x[i])));
    }
  }
}

TEST(Rope, TableTurnsByPositionAndScales) {
  std::vector<int32_t> positions = {0, 1, 131071};
  std::vector<double> inv_freq = {1, 0.25};
  std::vector<float> cos(6), sin(6);
  ThreadPool pool(1);
  rope_table({{cos.data(), {3, 2}}, {sin.data(), {3, 2}}, positions, inv_freq, 2}, pool);
  for (size_t t = 0; t < 3; ++t) {
    for (size_t i = 0; i < 2; ++i) {
      double angle = positions[t] * inv_freq[i];
      EXPECT_FLOAT_EQ(cos[t * 2 + i], static_cast<float>(2 * std::cos(angle)));
      EXPECT_FLOAT_EQ(sin[t * 2 + i], static_cast<float>(2 * std::sin(angle)));
    }
  }
}

TEST(Rope, RefusesWhatDisagrees) {
  std::vector<float> a(64);
  RopeParams p{{a.data(), {2, 1, 16}}, TensorView<float, 2>(a.data(), {2, 8}), TensorView<float, 2>(a.data(), {2, 8})};
  EXPECT_TRUE(check(p));
  p.cos = TensorView<float, 2>(a.data(), {2, 9});
  EXPECT_FALSE(check(p));
  p.cos = TensorView<float, 2>(a.data(), {1, 8});
  EXPECT_FALSE(check(p));
  p.cos = TensorView<float, 2>(a.data(), {2, 4});
  EXPECT_FALSE(check(p));
}

}  // namespace
}  // namespace vllm
