#include "kernels/layer_norm/layer_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/layer_norm/layer_norm_cases.h"
#include "kernels/simd/test_isas.h"

namespace vllm {
namespace {

struct Fixture {
  std::vector<float> x, out, weight, bias;
  LayerNormParams p;
  Fixture(const LayerNormCase& c, uint32_t seed) {
    std::mt19937 rng(seed);
    std::normal_distribution<float> normal(5, 2);  // a mean well away from 0
    const int64_t stride = c.hidden + c.padding;
    auto fill = [&](std::vector<float>& v, int64_t n) {
      v.resize(static_cast<size_t>(n));
      for (float& f : v) f = normal(rng);
    };
    fill(x, c.num_tokens * stride), fill(weight, c.hidden);
    if (c.bias) fill(bias, c.hidden);
    out.assign(x.size(), 0);
    auto view = [&](std::vector<float>& v) {
      TensorView<float, 2> t(v.data(), {c.num_tokens, c.hidden});
      t.stride[0] = stride;
      return t;
    };
    p.x = view(x), p.out = c.in_place ? view(x) : view(out);
    p.weight = weight, p.bias = bias, p.group = c.group, p.eps = 1e-5f;
  }
  const std::vector<float>& result() const { return p.out.data == x.data() ? x : out; }
};

TEST(LayerNorm, MatchesTheReference) {
  for (CpuIsa isa : runnable_isas()) {
    for (const LayerNormCase& c : kLayerNormCases) {
      Fixture expected(c, 1), found(c, 1);
      ThreadPool pool(2);
      ASSERT_TRUE(check(expected.p));
      layer_norm_ref(expected.p);
      layer_norm_cpu(found.p, pool, isa);
      for (size_t i = 0; i < expected.result().size(); ++i) {
        ASSERT_NEAR(found.result()[i], expected.result()[i], 1e-5 * (1 + std::abs(expected.result()[i])))
            << to_string(isa) << " hidden " << c.hidden << " group " << c.group << " element " << i;
      }
    }
  }
}

TEST(LayerNorm, ARowDoesNotDependOnItsBatch) {
  for (CpuIsa isa : runnable_isas()) {
    LayerNormCase c{50, 896, 0, true, false, 0};
    Fixture all(c, 2), alone(c, 2);
    ThreadPool pool(3), single(1);
    layer_norm_cpu(all.p, pool, isa);
    for (int64_t t = 0; t < c.num_tokens; ++t) {
      LayerNormParams p = alone.p;
      p.x = p.x.slice(t, t + 1), p.out = p.out.slice(t, t + 1);
      layer_norm_cpu(p, single, isa);
    }
    EXPECT_EQ(all.out, alone.out);
  }
}

TEST(LayerNorm, RefusesWhatDisagrees) {
  Fixture f({2, 8, 4, true, false, 0}, 3);
  auto refused = [&](auto change, const char* text) {
    LayerNormParams p = f.p;
    change(p);
    Status status = check(p);
    ASSERT_FALSE(status);
    EXPECT_NE(status.error().message.find(text), std::string::npos) << status.error().message;
  };
  refused([](auto& p) { p.weight = p.weight.first(7); }, "weight");
  refused([](auto& p) { p.bias = p.bias.first(7); }, "bias");
  refused([](auto& p) { p.out = p.out.slice(0, 1); }, "out");
  refused([](auto& p) { p.group = 3; }, "groups of 3");
  refused([](auto& p) { p.eps = NAN; }, "eps");
}

}  // namespace
}  // namespace vllm
