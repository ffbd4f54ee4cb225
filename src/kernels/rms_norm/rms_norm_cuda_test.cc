#include "kernels/rms_norm/rms_norm_cuda.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rms_norm/rms_norm_cases.h"
#include "tensor/cuda/testing.h"

namespace vllm {
namespace {

constexpr RmsNormCase kWideCases[] = {
    {17, 4096, true, false, 4}, {3, 16384, false, false, 0}, {2, 20000, true, false, 0}, {300, 128, false, true, 8}};

float rounded(float x, float) { return x; }
float rounded(float x, Float16) { return to_float(to_float16(x)); }
float rounded(float x, BFloat16) { return to_float(to_bfloat16(x)); }
float encode(float x, float) { return x; }
Float16 encode(float x, Float16) { return to_float16(x); }
BFloat16 encode(float x, BFloat16) { return to_bfloat16(x); }
float decode(float x) { return x; }
float decode(Float16 x) { return to_float(x); }
float decode(BFloat16 x) { return to_float(x); }

// One case on the device and through the reference; `use_rows`: out row i is that of x row (i * 7 + 3) % num_tokens,
// and every fifth one is a row of zeros.
template <typename Out, typename In>
void run_case(const RmsNormCase& c, bool use_rows, uint32_t seed) {
  SCOPED_TRACE(fmt::format("{} rows of {}, residual {}, padding {}, out {} bytes, in {} bytes, rows {}", c.num_tokens,
                           c.hidden, c.residual, c.padding, sizeof(Out), sizeof(In), use_rows));
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  const int64_t stride = c.hidden + c.padding;
  const auto count = static_cast<size_t>(c.num_tokens * stride);
  std::vector<float> x(count), residual(count), weight(static_cast<size_t>(c.hidden)), expected(count);
  std::vector<In> x_in(count);
  for (size_t i = 0; i < count; ++i) {
    x[i] = rounded(normal(rng) * 3, In{}), x_in[i] = encode(x[i], In{});
    residual[i] = normal(rng);
  }
  for (float& w : weight) w = normal(rng);
  std::vector<int32_t> rows(static_cast<size_t>(c.num_tokens));
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = i % 5 == 4 ? -1 : static_cast<int32_t>((i * 7 + 3) % rows.size());

  DeviceArray<In> x_device(x_in);
  DeviceArray<float> residual_device(residual), weight_device(weight);
  DeviceArray<int32_t> rows_device(rows);
  DeviceArray<Out> out_device(count);
  const bool in_place = c.in_place && std::is_same_v<Out, In> && !use_rows;
  RmsNormCudaParams p;
  p.out = TensorView<void, 2>(out_device.data(), {c.num_tokens, c.hidden}, kDTypeOf<Out>);
  if (in_place) p.out.data = x_device.data();
  p.x = TensorView<const void, 2>(x_device.data(), {c.num_tokens, c.hidden}, kDTypeOf<In>);
  if (c.residual) p.residual = TensorView<float, 2>(residual_device.data(), {c.num_tokens, c.hidden});
  p.out.stride[0] = p.x.stride[0] = stride;
  if (c.residual) p.residual.stride[0] = stride;
  p.weight = weight_device.data(), p.eps = 1e-5f;
  if (use_rows) p.rows = rows_device.data();
  CudaStream stream = CudaStream::create().value();
  Status status = rms_norm_cuda(p, stream);
  ASSERT_TRUE(status) << status.error().message;
  ASSERT_TRUE(stream.synchronize());

  const std::vector<float> residual_before = residual;
  TensorView<float, 2> x_view(x.data(), {c.num_tokens, c.hidden}), residual_view(residual.data(), x_view.shape),
      expected_view(expected.data(), x_view.shape);
  x_view.stride[0] = residual_view.stride[0] = expected_view.stride[0] = stride;
  RmsNormParams ref{.out = expected_view, .x = x_view, .weight = weight, .eps = p.eps};
  if (c.residual) ref.residual = residual_view;
  rms_norm_ref(ref);

  const double tolerance = sizeof(Out) == 4 ? 3e-6 : std::is_same_v<Out, Float16> ? 1e-3 : 8e-3;
  std::vector<Out> raw(count);
  if (in_place) {
    if constexpr (std::is_same_v<Out, In>) raw = x_device.host();
  } else {
    raw = out_device.host();
  }
  const std::vector<float> residual_after = residual_device.host();
  std::vector<bool> read(rows.size(), false);
  for (int64_t t = 0; t < c.num_tokens; ++t) {
    const int64_t source = use_rows ? rows[static_cast<size_t>(t)] : t;
    if (source >= 0) read[static_cast<size_t>(source)] = true;
    for (int64_t i = 0; i < c.hidden; ++i) {
      const float want = source < 0 ? 0.0f : expected_view(source, i);
      const float got = decode(raw[static_cast<size_t>(t * stride + i)]);
      ASSERT_NEAR(got, want, tolerance * (std::abs(want) + 1e-3)) << "row " << t << " element " << i;
    }
  }
  for (int64_t t = 0; t < c.num_tokens; ++t) {
    for (int64_t i = 0; i < stride; ++i) {
      const auto at = static_cast<size_t>(t * stride + i);
      const bool changed = c.residual && i < c.hidden && read[static_cast<size_t>(t)];
      ASSERT_EQ(residual_after[at], changed ? residual[at] : residual_before[at]) << "residual " << t << ", " << i;
    }
  }
}

template <typename Out, typename In>
void run_all() {
  uint32_t seed = std::random_device{}();
  for (const RmsNormCase& c : kRmsNormCases) run_case<Out, In>(c, false, seed++);
  for (const RmsNormCase& c : kWideCases) run_case<Out, In>(c, false, seed++);
  run_case<Out, In>({9, 640, false, false, 4}, true, seed++);
  run_case<Out, In>({10, 81, false, false, 0}, true, seed++);
  run_case<Out, In>({11, 1024, true, false, 0}, true, seed++);  // 7 and 11 share no factor: rows differ
}

TEST(RmsNormCuda, MatchesTheReference) {
  REQUIRE_GPU();
  run_all<float, float>();
  run_all<BFloat16, float>();
  run_all<Float16, float>();
  run_all<BFloat16, BFloat16>();
  run_all<Float16, Float16>();
  run_all<float, BFloat16>();
  run_all<BFloat16, Float16>();
}

TEST(RmsNormCuda, RefusesWhatDisagrees) {
  float dummy[64] = {};
  RmsNormCudaParams good;
  good.out = TensorView<void, 2>(dummy, {2, 8}, DType::kFloat32);
  good.x = TensorView<const void, 2>(dummy, {2, 8}, DType::kFloat32);
  good.weight = dummy;
  auto refused = [&](auto change, const char* text) {
    RmsNormCudaParams p = good;
    change(p);
    Status status = rms_norm_cuda(p, {});
    ASSERT_FALSE(status);
    EXPECT_NE(status.error().message.find(text), std::string::npos) << status.error().message;
  };
  refused([](auto& p) { p.weight = nullptr; }, "weight");
  refused([](auto& p) { p.x.shape[1] = 7; }, "x is");
  refused([](auto& p) { p.eps = -1; }, "eps");
  refused([&](auto& p) { p.residual = TensorView<float, 2>(dummy, {3, 8}); }, "residual");
  refused([](auto& p) { p.out.dtype = DType::kInt8; }, "int8");
}

}  // namespace
}  // namespace vllm
