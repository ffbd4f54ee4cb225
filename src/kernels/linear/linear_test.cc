#include "kernels/linear/linear_run.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/env.h"
#include "kernels/dequantize/dequantize.h"
#include "kernels/linear/linear_test_data.h"
#include "kernels/testing/tolerance.h"

namespace vllm {
namespace {

using testing::LinearArrays;
using testing::make_linear;

class LinearTypes : public ::testing::TestWithParam<DType> {};

// The tolerance of every output element, by the rule of the weight's type.
std::vector<double> tolerances(const LinearParams& p) {
  const LinearWeight& w = p.weight;
  std::vector<double> out;
  std::vector<float> row(static_cast<size_t>(w.k));
  std::vector<std::vector<float>> rows;
  for (int64_t n = 0; n < w.n; ++n) {
    dequantize_row(w.dtype, static_cast<const std::byte*>(w.data) + static_cast<size_t>(n) * row_bytes(w.dtype, w.k),
                   row);
    rows.push_back(row);
  }
  for (int64_t t = 0; t < p.out.size(0); ++t) {
    for (int64_t n = 0; n < w.n; ++n) {
      double sum_abs = 1, squares = 0, noise = 0;  // 1: the bias and what is added to
      for (int64_t k = 0; k < w.k; ++k) {
        double weight = rows[static_cast<size_t>(n)][static_cast<size_t>(k)], product = weight * p.x(t, k), scale = 0;
        for (int64_t j = k / 32 * 32; j < std::min(w.k, k / 32 * 32 + 32); ++j)
          scale = std::max<double>(scale, std::fabs(p.x(t, j)) / 127);
        sum_abs += std::fabs(product), squares += product * product, noise += scale * weight * scale * weight;
      }
      double tolerance = testing::float_sum_tolerance(w.k, sum_abs);
      if (w.dtype == DType::kBFloat16) tolerance += testing::bfloat16_input_tolerance(squares);
      if (is_quantized(w.dtype))
        tolerance += testing::int8_input_tolerance(std::sqrt(noise) / (p.two_term_x ? 254 : 1));
      out.push_back(tolerance);
    }
  }
  return out;
}

// What lies between the rows of out: the op must leave it alone.
std::vector<float> gaps(const LinearArrays& a) {
  std::vector<float> out;
  const int64_t n = a.params.out.size(1), stride = a.params.out.stride[0];
  for (size_t i = 0; i < a.out.size(); ++i) {
    if (static_cast<int64_t>(i) % stride >= n) out.push_back(a.out[i]);
  }
  return out;
}

TEST_P(LinearTypes, CpuAgreesWithTheReference) {
  uint32_t seed = 1;
  for (const LinearCase& c : kLinearCases) {
    LinearArrays expected = make_linear(c, GetParam(), ++seed);
    std::vector<double> tolerance = tolerances(expected.params);
    linear_ref(expected.params);
    for (const linear::Kernels* kernels : testing::kernels_to_test()) {
      LinearArrays got = make_linear(c, GetParam(), seed);
      ASSERT_TRUE(check(got.params).has_value());
      ThreadPool pool(2);
      PackedWeight packed = pack_linear_weight(got.params.weight, pool);
      got.params.weight = packed.weight;
      std::vector<std::byte> workspace(linear_workspace_bytes(c.num_tokens, got.params.weight.k));
      linear::run(*kernels, std::span(&got.params, 1), workspace, pool);
      for (int64_t t = 0, i = 0; t < c.num_tokens; ++t) {
        for (int64_t n = 0; n < c.n; ++n, ++i) {
          ASSERT_NEAR(got.params.out(t, n), expected.params.out(t, n), tolerance[static_cast<size_t>(i)])
              << kernels->name << ": token " << t << " row " << n << " of [" << c.num_tokens << ", " << c.n << ", "
              << got.params.weight.k << "]" << (c.two_term_x ? " in two terms" : "");
        }
      }
      EXPECT_EQ(gaps(got), gaps(expected)) << kernels->name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, LinearTypes, ::testing::ValuesIn(kLinearTypes),
                         [](const auto& param) { return std::string(vllm::info(param.param).name); });

TEST(LinearIsa, IsWhatTheVariableNames) {
  const std::string wanted = env("VLLM_CPU_ISA").value_or(""), first = linear::available_kernels().front()->name;
  if (wanted == "reference") {
    EXPECT_EQ(first, "scalar");
  } else if (wanted == "amx") {
    EXPECT_EQ(first.rfind("amx", 0), 0u) << first;
  } else if (wanted == "avx2") {
    EXPECT_TRUE(first == "avx2" || first == "scalar") << first;
  } else if (wanted == "avx512") {
    EXPECT_NE(first.rfind("amx", 0), 0u) << first;
  }
}

TEST(Linear, RefusesArgumentsThatDisagree) {
  LinearArrays a = make_linear({.num_tokens = 2, .n = 3, .blocks = 1, .bias = true}, DType::kQ8_0, 1);
  EXPECT_TRUE(check(a.params).has_value());
  LinearParams p = a.params;
  p.weight.k = 33;
  EXPECT_FALSE(check(p).has_value());
  p = a.params, p.weight.n = 4;
  EXPECT_FALSE(check(p).has_value());
  p = a.params, p.x.shape[0] = 1;
  EXPECT_FALSE(check(p).has_value());
  p = a.params, p.bias = p.bias.first(2);
  EXPECT_FALSE(check(p).has_value());
  p = a.params, p.weight.dtype = DType::kInt32;
  EXPECT_FALSE(check(p).has_value());
  p = a.params, p.tp_size = 2;
  EXPECT_EQ(check(p).error().code, ErrorCode::kUnimplemented);
}

}  // namespace
}  // namespace vllm
