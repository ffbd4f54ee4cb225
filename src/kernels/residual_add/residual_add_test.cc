#include "kernels/residual_add/residual_add.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/simd/test_isas.h"

namespace vllm {
namespace {

TEST(ResidualAdd, MatchesTheReference) {
  struct Case {
    int64_t num_tokens, hidden, padding;
    float scale;
  };
  for (const Case& c : {Case{1, 1, 0, 1.0f}, {3, 17, 2, 0.22f}, {70, 576, 0, 1.0f}, {5, 4096, 1, -3.5f}}) {
    for (CpuIsa isa : runnable_isas()) {
      std::mt19937 rng(5);
      std::normal_distribution<float> normal;
      const int64_t stride = c.hidden + c.padding;
      std::vector<float> x(static_cast<size_t>(c.num_tokens * stride)), y(x.size());
      for (float& f : x) f = normal(rng);
      for (float& f : y) f = normal(rng);
      std::vector<float> found = x;
      auto view = [&](std::vector<float>& v) {
        TensorView<float, 2> t(v.data(), {c.num_tokens, c.hidden});
        t.stride[0] = stride;
        return t;
      };
      residual_add_ref({view(x), view(y), c.scale});
      ThreadPool pool(2);
      residual_add_cpu({view(found), view(y), c.scale}, pool, isa);
      for (size_t i = 0; i < x.size(); ++i) {  // the padding too: nothing may change there
        ASSERT_NEAR(found[i], x[i], 3e-7 * (1 + std::abs(x[i]) + std::abs(c.scale * y[i]))) << to_string(isa);
      }
    }
  }
}

TEST(ResidualAdd, RefusesWhatDisagrees) {
  std::vector<float> a(16);
  EXPECT_TRUE(check(ResidualAddParams{{a.data(), {2, 8}}, {a.data(), {2, 8}}}));
  EXPECT_FALSE(check(ResidualAddParams{{a.data(), {2, 8}}, {a.data(), {1, 8}}}));
  EXPECT_FALSE(check(ResidualAddParams{{a.data(), {2, 8}}, {a.data(), {2, 7}}}));
}

}  // namespace
}  // namespace vllm
