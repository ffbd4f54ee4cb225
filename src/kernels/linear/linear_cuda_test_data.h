#pragma once
// One call of the CUDA linear layer: random inputs on host and device, the expected output, and the comparison.
#include <cmath>
#include <random>
#include <vector>

#include "kernels/activation/activation.h"
#include "kernels/linear/linear.h"
#include "kernels/linear/linear_runner.h"
#include "kernels/rms_norm/rms_norm.h"
#include "tensor/cuda/testing.h"

namespace vllm::testing {

struct LinearCudaCase {
  int64_t num_tokens, n, k;
  bool bias = false, add_to_out = false, norm = false, out_float = false;
  LinearBack back = LinearBack::kNone;
  int64_t x_padding = 0, out_padding = 0;  // elements between rows
};

inline std::string describe(const LinearCudaCase& c, const LinearConfig& config) {
  return fmt::format(
      "tokens {} n {} k {} bias {} add {} norm {} out_float {} back {} padding {}/{} | {} fused_norm {} row_groups {} "
      "staged {} prefetch {} grid {} k_split {} launch_at {} tile {}x{} share {} stages {}",
      c.num_tokens, c.n, c.k, c.bias, c.add_to_out, c.norm, c.out_float, static_cast<int>(c.back), c.x_padding,
      c.out_padding, to_string(config.kind), config.fused_norm, config.row_groups, config.staged_x,
      config.prefetch_units, config.grid, config.k_split, config.launch_at, config.tile_rows, config.tile_tokens,
      config.share, config.stages);
}

inline float encode(float x, float) { return x; }
inline Float16 encode(float x, Float16) { return to_float16(x); }
inline BFloat16 encode(float x, BFloat16) { return to_bfloat16(x); }
inline float decode(float x) { return x; }
inline float decode(Float16 x) { return to_float(x); }
inline float decode(BFloat16 x) { return to_float(x); }

/// T: float, Float16 or BFloat16.
template <typename T>
class LinearCudaFixture {
 public:
  LinearCudaFixture(const LinearCudaCase& c, uint32_t seed) : case_(c), rng_(seed) {
    const int64_t width = c.back == LinearBack::kNone ? c.n : c.n / 2;
    x_stride_ = c.k + c.x_padding, out_stride_ = width + c.out_padding, width_ = width;
    x_ = normal(c.num_tokens * x_stride_, c.norm ? 2.0f : 1.0f), norm_weight_ = normal(c.k, 1.0f);
    weight_float_ = normal(c.n * c.k, 1.0f / std::sqrt(static_cast<float>(c.k)));
    bias_ = normal(c.n, 0.5f), before_ = normal(c.num_tokens * out_stride_, 1.0f);
    for (float w : weight_float_) weight_.push_back(encode(w, T{}));
    for (float& f : x_) {
      x_typed_.push_back(encode(f, T{}));
      if (!c.norm) f = decode(x_typed_.back());
    }
    weight_device_.emplace_back(weight_), bias_device_.emplace_back(bias_), norm_device_.emplace_back(norm_weight_);
    x_device_.emplace_back(x_), x_typed_device_.emplace_back(x_typed_);
    make_expected();
  }

  LinearCudaParams params() const {
    LinearCudaParams p;
    const bool float_out = case_.out_float || std::is_same_v<T, float>;
    p.out = TensorView<void, 2>(out_device_.back().data(), {case_.num_tokens, width_},
                                float_out ? DType::kFloat32 : kDTypeOf<T>);
    p.out.stride[0] = out_stride_;
    p.x = case_.norm ? TensorView<const void, 2>(x_device_[0].data(), {case_.num_tokens, case_.k}, DType::kFloat32)
                     : TensorView<const void, 2>(x_typed_device_[0].data(), {case_.num_tokens, case_.k}, kDTypeOf<T>);
    p.x.stride[0] = x_stride_;
    p.weight = weight_device_[0].data(), p.dtype = kDTypeOf<T>, p.n = case_.n, p.k = case_.k;
    if (case_.bias) p.bias = bias_device_[0].data();
    if (case_.norm) p.norm_weight = norm_device_[0].data();
    p.norm_eps = 1e-5f, p.add_to_out = case_.add_to_out, p.back = case_.back;
    return p;
  }

  /// Run into a poisoned output; the values of the rows, [num_tokens, width]. Padding must stay as it was.
  std::vector<float> run(const LinearRunner& runner, const LinearConfig* config) {
    out_device_.clear();
    if (case_.add_to_out) {
      out_device_.emplace_back(before_);
    } else {  // room for float32; of T only half is used
      out_device_.emplace_back(before_.size());
    }
    CudaStream stream = CudaStream::create().value();
    const LinearCudaParams p = params();
    Status status = config != nullptr ? runner.run(p, *config, stream) : runner.run(p, stream);
    EXPECT_TRUE(status) << status.error().message;
    Status done = stream.synchronize();
    EXPECT_TRUE(done) << done.error().message;
    const std::vector<float> raw = out_device_.back().host();
    std::vector<float> out;
    size_t touched = 0;
    auto read = [&](auto tag) {
      using Out = decltype(tag);
      std::vector<Out> typed(before_.size());
      std::memcpy(typed.data(), raw.data(), typed.size() * sizeof(Out));
      for (int64_t t = 0; t < case_.num_tokens; ++t) {
        for (int64_t i = 0; i < out_stride_; ++i) {
          const auto at = static_cast<size_t>(t * out_stride_ + i);
          if (i < width_) {
            out.push_back(decode(typed[at]));
          } else if (case_.add_to_out) {
            touched += std::memcmp(&raw[at], &before_[at], 4) != 0;
          } else {
            const Out poison = [] {
              Out value;
              std::memset(&value, 0xff, sizeof value);
              return value;
            }();
            touched += std::memcmp(&typed[at], &poison, sizeof(Out)) != 0;
          }
        }
      }
    };
    if (p.out.dtype == DType::kFloat32) {
      read(float{});
    } else {
      read(T{});
    }
    EXPECT_EQ(touched, 0u) << "padding of out was written";
    return out;
  }

  /// Fails with the first bad element, if any.
  void compare(const std::vector<float>& out, double tolerance) const {
    ASSERT_EQ(out.size(), expected_.size());
    double error = 0, norm = 0;
    for (size_t i = 0; i < out.size(); ++i) {
      const double d = double{out[i]} - double{expected_[i]};
      error += d * d, norm += double{expected_[i]} * double{expected_[i]};
    }
    const double rms = std::sqrt(norm / static_cast<double>(out.size()));
    EXPECT_LE(std::sqrt(error), tolerance * std::sqrt(norm)) << "relative error of the whole";
    EXPECT_FALSE(std::isnan(error));
    int bad = 0;
    for (size_t i = 0; i < out.size() && bad < 4; ++i) {
      const double bound = 6 * tolerance * (std::abs(double{expected_[i]}) + rms);
      if (std::abs(double{out[i]} - double{expected_[i]}) <= bound) continue;
      ADD_FAILURE() << "token " << i / static_cast<size_t>(width_) << " column " << i % static_cast<size_t>(width_)
                    << ": " << out[i] << ", not " << expected_[i];
      ++bad;
    }
  }

 private:
  std::vector<float> normal(int64_t count, float scale) {
    std::normal_distribution<float> distribution(0.0f, scale);
    std::vector<float> v(static_cast<size_t>(count));
    for (float& f : v) f = distribution(rng_);
    return v;
  }

  void make_expected() {
    const LinearCudaCase& c = case_;
    std::vector<float> input(static_cast<size_t>(c.num_tokens * c.k)), wide(static_cast<size_t>(c.num_tokens * c.n));
    TensorView<float, 2> x(x_.data(), {c.num_tokens, c.k}), in(input.data(), {c.num_tokens, c.k});
    x.stride[0] = x_stride_;
    if (c.norm) {
      rms_norm_ref({.out = in, .x = x, .residual = {}, .weight = norm_weight_, .eps = 1e-5f});
      for (float& f : input) f = decode(encode(f, T{}));
    } else {
      in = x;
    }
    TensorView<float, 2> out(wide.data(), {c.num_tokens, c.n});
    LinearParams p{.out = out, .x = in};
    p.weight = {.data = weight_.data(), .dtype = kDTypeOf<T>, .n = c.n, .k = c.k};
    if (c.bias) p.bias = bias_;
    linear_ref(p);
    if (c.back == LinearBack::kNone) {
      expected_ = wide;
      for (int64_t t = 0; t < c.num_tokens && c.add_to_out; ++t) {
        for (int64_t i = 0; i < c.n; ++i)
          expected_[static_cast<size_t>(t * c.n + i)] += before_[static_cast<size_t>(t * out_stride_ + i)];
      }
      return;
    }
    std::vector<float> gate, up;
    for (int64_t t = 0; t < c.num_tokens; ++t) {
      for (int64_t i = 0; i < width_; ++i) {
        gate.push_back(out(t, gated_row(i, false, width_))), up.push_back(out(t, gated_row(i, true, width_)));
      }
    }
    expected_.resize(gate.size());
    const std::array<int64_t, 2> shape{c.num_tokens, width_};
    const auto kind = c.back == LinearBack::kGatedSilu   ? ActivationKind::kSilu
                      : c.back == LinearBack::kGatedGelu ? ActivationKind::kGelu
                                                         : ActivationKind::kGeluTanh;
    activation_ref({.out = TensorView<float, 2>(expected_.data(), shape),
                    .gate = TensorView<float, 2>(gate.data(), shape),
                    .up = TensorView<float, 2>(up.data(), shape),
                    .kind = kind});
  }

  LinearCudaCase case_;
  std::mt19937 rng_;
  int64_t x_stride_ = 0, out_stride_ = 0, width_ = 0;
  std::vector<float> x_, weight_float_, bias_, norm_weight_, before_, expected_;
  std::vector<T> weight_, x_typed_;
  // vectors of one, as DeviceArray has no empty state
  std::vector<DeviceArray<T>> weight_device_, x_typed_device_;
  std::vector<DeviceArray<float>> x_device_, bias_device_, norm_device_, out_device_;
};

}  // namespace vllm::testing
