#include "kernels/activation/activation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/activation/activation_cases.h"
#include "kernels/simd/test_isas.h"

namespace vllm {
namespace {

constexpr ActivationKind kKinds[] = {ActivationKind::kSilu, ActivationKind::kGeluTanh, ActivationKind::kGelu,
                                     ActivationKind::kRelu};

TEST(Activation, MatchesTheReference) {
  for (CpuIsa isa : runnable_isas()) {
    for (ActivationKind kind : kKinds) {
      for (const ActivationCase& c : kActivationCases) {
        int64_t stride = c.width + c.padding;
        std::mt19937 rng(7);
        std::normal_distribution<float> normal(0, 4);
        std::vector<float> gate(static_cast<size_t>(c.num_tokens * stride)), up(gate.size()), expected(gate.size());
        for (float& f : gate) f = normal(rng);
        for (float& f : up) f = normal(rng);
        std::vector<float> found(gate.size());
        auto view = [&](std::vector<float>& v) {
          TensorView<float, 2> t(v.data(), {c.num_tokens, c.width});
          t.stride[0] = stride;
          return t;
        };
        activation_ref({view(expected), view(gate), view(up), kind});
        std::vector<float>& target = c.in_place ? gate : found;
        ThreadPool pool(2);
        activation_cpu({view(target), view(gate), view(up), kind}, pool, isa);
        std::vector<float> plain(gate.size()), plain_expected(gate.size());
        activation_ref({view(plain_expected), view(up), {}, kind});
        activation_cpu({view(plain), view(up), {}, kind}, pool, isa);
        for (int64_t t = 0; t < c.num_tokens; ++t) {
          for (int64_t i = 0; i < c.width; ++i) {
            ASSERT_NEAR(view(plain)(t, i), view(plain_expected)(t, i), 4e-6) << static_cast<int>(kind) << " " << i;
            float e = view(expected)(t, i);
            ASSERT_NEAR(view(target)(t, i), e,
                        4e-6 * (1 + std::abs(e)) + 2e-6 * std::abs(up[static_cast<size_t>(t * stride + i)]));
          }
        }
      }
    }
  }
}

TEST(Activation, KeepsItsHeadAtTheEndsOfTheRange) {
  std::vector<float> gate = {0, -0.0f, 1000, -1000, 1e30f, -1e30f, -90, 90, INFINITY, NAN}, up(10, 1.0f), out(10);
  for (CpuIsa isa : runnable_isas()) {
    for (ActivationKind kind : kKinds) {
      ThreadPool pool(1);
      activation_cpu({{out.data(), {1, 10}}, {gate.data(), {1, 10}}, {up.data(), {1, 10}}, kind}, pool, isa);
      EXPECT_EQ(out[0], 0);
      EXPECT_EQ(out[2], 1000);
      EXPECT_NEAR(out[3], 0, 1e-30);
      EXPECT_EQ(out[4], 1e30f);
      EXPECT_NEAR(out[6], 0, 1e-30);
      EXPECT_EQ(out[7], 90);
      EXPECT_EQ(out[8], INFINITY);
      EXPECT_TRUE(std::isnan(out[9]));
    }
  }
}

TEST(Activation, RefusesWhatDisagrees) {
  std::vector<float> a(8);
  EXPECT_FALSE(check(ActivationParams{{a.data(), {1, 8}}, {a.data(), {1, 8}}, {a.data(), {1, 7}}}));
  EXPECT_FALSE(check(ActivationParams{{a.data(), {1, 7}}, {a.data(), {1, 8}}, {a.data(), {1, 8}}}));
  EXPECT_TRUE(check(ActivationParams{{a.data(), {1, 8}}, {a.data(), {1, 8}}, {a.data(), {1, 8}}}));
}

}  // namespace
}  // namespace vllm
