#include "kernels/qkv_finish/qkv_finish_cuda.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/kv_layout/kv_float8.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"
#include "tensor/cuda/testing.h"

namespace vllm {
namespace {

struct Case {
  int num_tokens, num_heads, num_kv_heads, head_dim, rotary_dim, block_size;
  DType dtype, kv_dtype;
  bool norms;
  int padding;  // row stride - width
};
constexpr DType kF32 = DType::kFloat32, kF16 = DType::kFloat16, kBF16 = DType::kBFloat16;
constexpr Case kCases[] = {
    {1, 16, 8, 128, 128, 16, kBF16, kBF16, true, 0},  // Qwen 3
    {300, 32, 8, 128, 128, 16, kBF16, kBF16, true, 0},
    {37, 9, 3, 64, 64, 16, kBF16, kBF16, false, 0},   // SmolLM 2
    {65, 4, 1, 256, 256, 32, kBF16, kBF16, true, 0},  // Gemma 3
    {5, 14, 2, 64, 64, 16, kF16, kF16, false, 8},
    {9, 4, 4, 256, 256, 16, kF32, kF32, true, 0},
    {33, 2, 2, 80, 80, 16, kF32, kBF16, true, 4},
    {7, 3, 1, 128, 32, 8, kBF16, kF32, true, 0},  // partial rotation
    {6, 2, 1, 80, 40, 1, kBF16, kBF16, true, 0},  // half = 20: one value at a time
    {6, 2, 1, 96, 72, 48, kF16, kF32, false, 3},  // rows that are not aligned
    {3, 1, 1, 8, 8, 4, kF32, kF16, true, 0},
    {4, 1, 1, 254, 2, 5, kF16, kF16, true, 0},
    {300, 32, 8, 128, 128, 16, kBF16, kKvFloat8, true, 0},
    {37, 9, 3, 64, 64, 16, kBF16, kKvFloat8, false, 0},
    {9, 4, 1, 256, 256, 16, kF16, kKvFloat8, true, 0},
    {33, 2, 2, 80, 80, 16, kF32, kKvFloat8, true, 4},
    {6, 2, 1, 80, 40, 1, kBF16, kKvFloat8, true, 0},
};

float rounded(float x, DType dtype) {
  return dtype == kF32 ? x : dtype == kF16 ? to_float(to_float16(x)) : to_float(to_bfloat16(x));
}
void put(std::vector<std::byte>& out, size_t i, float x, DType dtype) {
  if (dtype == kF32) reinterpret_cast<float*>(out.data())[i] = x;
  if (dtype == kF16) reinterpret_cast<Float16*>(out.data())[i] = to_float16(x);
  if (dtype == kBF16) reinterpret_cast<BFloat16*>(out.data())[i] = to_bfloat16(x);
  if (dtype == kKvFloat8) out[i] = std::byte{float_to_float8(x)};
}
float get(const std::vector<std::byte>& in, size_t i, DType dtype) {
  if (dtype == kF32) return reinterpret_cast<const float*>(in.data())[i];
  if (dtype == kF16) return to_float(reinterpret_cast<const Float16*>(in.data())[i]);
  if (dtype == kKvFloat8) return float8_to_float(static_cast<uint8_t>(in[i]));
  return to_float(reinterpret_cast<const BFloat16*>(in.data())[i]);
}
/// One unit in the last place, relative: values that round the other way differ by it.
float ulp(DType dtype) {
  return dtype == kF32 ? 1e-6f : dtype == kF16 ? 0x1p-10f : dtype == kKvFloat8 ? 0x1p-3f : 0x1p-7f;
}
/// The step of the smallest numbers.
float least(DType dtype) { return dtype == kKvFloat8 ? 0x1p-9f : 1e-5f; }

void run_case(const Case& c, unsigned seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  const size_t tokens = static_cast<size_t>(c.num_tokens), dim = static_cast<size_t>(c.head_dim);
  const size_t heads = static_cast<size_t>(c.num_heads + 2 * c.num_kv_heads), width = heads * dim;
  const size_t stride = width + static_cast<size_t>(c.padding), half = static_cast<size_t>(c.rotary_dim) / 2;
  const size_t element = static_cast<size_t>(info(c.dtype).block_bytes);

  std::vector<std::byte> qkv(tokens * stride * element, std::byte{0x7b});
  std::vector<float> values(tokens * width), q_norm(dim), k_norm(dim);
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t i = 0; i < width; ++i) {
      values[t * width + i] = rounded(normal(rng), c.dtype);
      put(qkv, t * stride + i, values[t * width + i], c.dtype);
    }
  }
  for (auto* w : {&q_norm, &k_norm}) {
    for (float& f : *w) f = 1 + 0.3f * normal(rng);
  }
  std::vector<int32_t> positions(tokens);
  for (int32_t& p : positions) p = static_cast<int32_t>(rng() % 40000);
  std::vector<double> inv_freq(half);
  for (size_t i = 0; i < half; ++i) inv_freq[i] = std::pow(1e4, -static_cast<double>(i) / static_cast<double>(half));
  const double rope_scale = 1.25;

  KvLayerView kv{.num_kv_heads = c.num_kv_heads, .head_dim = c.head_dim, .dtype = c.kv_dtype};
  kv.block_size = c.block_size;
  kv.num_blocks = c.num_tokens / c.block_size + 4;
  kv.k_offset = 64, kv.v_offset = 64 + kv.area_bytes() + 32, kv.page_bytes = 2 * kv.area_bytes() + 128;
  std::vector<std::byte> pool(static_cast<size_t>(kv.num_blocks * kv.page_bytes), std::byte{0xff});
  std::vector<int64_t> slots;
  for (int64_t t = 0; t < c.num_tokens; ++t) slots.push_back((kv.num_blocks - 1) * c.block_size - 1 - t);
  if (c.num_tokens > 2) slots[1] = -1, slots[2] = c.block_size - 1;  // padding: none, and one in page 0

  // The host's answer: heads of q and k normed and turned in float, then rounded.
  std::vector<float> cos(tokens * half), sin(tokens * half), expected = values;
  ThreadPool threads(1);
  TensorView<float, 2> cos_view(cos.data(), {c.num_tokens, c.rotary_dim / 2});
  TensorView<float, 2> sin_view(sin.data(), {c.num_tokens, c.rotary_dim / 2});
  rope_table({cos_view, sin_view, positions, inv_freq, rope_scale}, threads);
  for (int h = 0; h < c.num_heads + c.num_kv_heads; ++h) {
    TensorView<float, 2> x(expected.data() + static_cast<size_t>(h) * dim, {c.num_tokens, c.head_dim});
    x.stride[0] = static_cast<int64_t>(width);
    RmsNormParams norm{.out = x, .x = x, .residual = {}, .weight = h < c.num_heads ? q_norm : k_norm, .eps = 1e-5f};
    if (c.norms) rms_norm_ref(norm);
    TensorView<float, 3> x3(x.data, {c.num_tokens, 1, c.head_dim});
    x3.stride[0] = static_cast<int64_t>(width);
    rope_ref({x3, cos_view, sin_view});
  }
  std::vector<std::byte> expected_pool = pool;
  kv.base = expected_pool.data();
  for (size_t t = 0; t < tokens; ++t) {
    int64_t page = slots[t] / c.block_size, offset = slots[t] % c.block_size;
    if (slots[t] < c.block_size) continue;
    for (int h = 0; h < c.num_kv_heads; ++h) {
      for (size_t d = 0; d < dim; ++d) {
        for (bool is_v : {false, true}) {
          std::byte* area = is_v ? kv.v_head(page, h) : kv.k_head(page, h);
          size_t head = static_cast<size_t>(c.num_heads + h + (is_v ? c.num_kv_heads : 0));
          std::vector<std::byte> one(4);
          put(one, 0, expected[t * width + head * dim + d], c.kv_dtype);
          int64_t bytes = kv.element_bytes();
          std::copy_n(one.data(), bytes, area + (offset * c.head_dim + static_cast<int64_t>(d)) * bytes);
        }
      }
    }
  }

  DeviceArray<std::byte> d_qkv(qkv), d_pool(pool);
  DeviceArray<float> d_q_norm(q_norm), d_k_norm(k_norm), d_cos(cos.size()), d_sin(sin.size());
  DeviceArray<int32_t> d_positions(positions);
  DeviceArray<double> d_inv_freq(inv_freq);
  DeviceArray<int64_t> d_slots(slots);
  cos_view.data = d_cos.data(), sin_view.data = d_sin.data(), kv.base = d_pool.data();
  QkvFinishParams p{.num_heads = c.num_heads, .num_kv_heads = c.num_kv_heads, .head_dim = c.head_dim};
  p.qkv = TensorView<void, 2>(d_qkv.data(), {c.num_tokens, static_cast<int64_t>(width)}, c.dtype);
  p.qkv.stride[0] = static_cast<int64_t>(stride);
  if (c.norms) p.q_norm = d_q_norm.data(), p.k_norm = d_k_norm.data();
  p.norm_eps = 1e-5f, p.cos = cos_view, p.sin = sin_view, p.kv = kv, p.slot_mapping = d_slots.data();
  CudaStream stream = CudaStream::create().value();
  Status table = rope_table_cuda({cos_view, sin_view, d_positions.data(), d_inv_freq.data(), rope_scale}, stream);
  ASSERT_TRUE(table) << table.error().message;
  Status finish = qkv_finish_cuda(p, stream);  // straight behind it: the wait for its inputs is the kernel's own
  ASSERT_TRUE(finish) << finish.error().message;

  std::vector<float> found_cos = d_cos.host(), found_sin = d_sin.host();
  for (size_t i = 0; i < cos.size(); ++i) {
    ASSERT_NEAR(found_cos[i], cos[i], 2e-7) << "cos " << i;
    ASSERT_NEAR(found_sin[i], sin[i], 2e-7) << "sin " << i;
  }
  std::vector<std::byte> found = d_qkv.host(), found_pool = d_pool.host();
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t i = 0; i < width; ++i) {
      bool is_q = i < static_cast<size_t>(c.num_heads) * dim;
      float want = is_q ? expected[t * width + i] : values[t * width + i], is = get(found, t * stride + i, c.dtype);
      ASSERT_NEAR(is, want, is_q ? ulp(c.dtype) * std::abs(want) + 1e-5f : 0)
          << "token " << t << ", head " << i / dim << ", dimension " << i % dim;
    }
    for (size_t i = width * element; i < stride * element; ++i) {
      ASSERT_EQ(found[t * stride * element + i], std::byte{0x7b}) << "behind row " << t;
    }
  }
  kv.base = expected_pool.data();
  const size_t kv_element = static_cast<size_t>(kv.element_bytes());
  for (size_t i = 0; i < pool.size() / kv_element; ++i) {
    float want = get(expected_pool, i, c.kv_dtype), is = get(found_pool, i, c.kv_dtype);
    size_t in_page = i * kv_element % static_cast<size_t>(kv.page_bytes);
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(is)) << "written outside of the slots: page "
                                  << i * kv_element / static_cast<size_t>(kv.page_bytes) << ", byte " << in_page;
    } else {
      bool is_v = in_page >= static_cast<size_t>(kv.v_offset);
      ASSERT_NEAR(is, want, is_v && c.dtype == c.kv_dtype ? 0 : ulp(c.kv_dtype) * std::abs(want) + least(c.kv_dtype))
          << (is_v ? "v" : "k") << " in page " << i * kv_element / static_cast<size_t>(kv.page_bytes) << ", byte "
          << in_page;
    }
  }
}

TEST(QkvFinishCuda, IsNormThenRotationThenWrite) {
  REQUIRE_GPU();
  unsigned seed = std::random_device{}();
  for (const Case& c : kCases) {
    SCOPED_TRACE(testing::Message() << c.num_tokens << " tokens, " << c.num_heads << "/" << c.num_kv_heads
                                    << " heads of " << c.head_dim << ", rotary " << c.rotary_dim << ", seed " << seed);
    run_case(c, seed++);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(QkvFinishCuda, RefusesWhatDisagrees) {
  float memory[64] = {};
  QkvFinishParams good{.num_heads = 2, .num_kv_heads = 1, .head_dim = 8};
  good.qkv = TensorView<void, 2>(memory, {0, 32}, kF32);
  good.cos = good.sin = TensorView<float, 2>(memory, {0, 4});
  good.kv = {.num_blocks = 2, .page_bytes = 512, .block_size = 4, .num_kv_heads = 1, .head_dim = 8, .dtype = kF32};
  EXPECT_TRUE(qkv_finish_cuda(good, {}));  // no tokens: nothing is launched
  QkvFinishParams bad = good;
  bad.head_dim = 512;
  EXPECT_FALSE(qkv_finish_cuda(bad, {}));
  bad = good, bad.num_heads = 3;
  EXPECT_FALSE(qkv_finish_cuda(bad, {}));
  bad = good, bad.kv.num_kv_heads = 2;
  EXPECT_FALSE(qkv_finish_cuda(bad, {}));
  bad = good, bad.sin.shape = {0, 2};
  EXPECT_FALSE(qkv_finish_cuda(bad, {}));
  bad = good, bad.kv.num_blocks = int64_t{1} << 40;
  EXPECT_FALSE(qkv_finish_cuda(bad, {}));
}

}  // namespace
}  // namespace vllm
