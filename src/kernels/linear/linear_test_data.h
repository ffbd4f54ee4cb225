#pragma once
// Random weights of every type, and the arrays of one case of the table, for the tests and the benchmark.
#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/linear/linear.h"
#include "kernels/linear/linear_cases.h"
#include "kernels/linear/linear_run.h"
#include "tensor/cpu_info.h"

namespace vllm::testing {

/// What the machine has, and on x86-64 AMX by its emulation: with the vectors of AVX-512, and in plain C++. Not under
/// TSan, which makes the emulation twenty times as slow and has nothing to find in it: the threads are the same.
inline std::vector<const linear::Kernels*> kernels_to_test() {
  std::vector<const linear::Kernels*> out = linear::available_kernels();
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
  auto add = [&](const linear::Kernels& kernels) {
    if (std::find(out.begin(), out.end(), &kernels) == out.end()) out.push_back(&kernels);
  };
  if (cpu_isa() == CpuIsa::kAvx512) add(linear::amx_emulated_avx512_kernels());
  add(linear::amx_emulated_kernels());
#endif
  return out;
}

/// [n, k] of random bits in every quant, scales of a sane size, values of the order of 1 / sqrt(k).
inline std::vector<std::byte> random_weight(DType dtype, int64_t n, int64_t k, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal(0.0f, 1.0f / std::sqrt(static_cast<float>(k)));
  std::vector<std::byte> bytes(row_bytes(dtype, k) * static_cast<size_t>(n));
  auto put_half = [&](size_t at, float value) {
    uint16_t bits = to_float16(value).bits;
    std::memcpy(bytes.data() + at, &bits, 2);
  };
  if (!is_quantized(dtype)) {
    for (size_t i = 0; i < static_cast<size_t>(n * k); ++i) {
      float value = normal(rng);
      BFloat16 b = to_bfloat16(value);
      if (dtype == DType::kFloat32) std::memcpy(bytes.data() + i * 4, &value, 4);
      if (dtype == DType::kBFloat16) std::memcpy(bytes.data() + i * 2, &b, 2);
      if (dtype == DType::kFloat16) put_half(i * 2, value);
    }
    return bytes;
  }
  for (std::byte& b : bytes) b = static_cast<std::byte>(rng());
  const size_t size = static_cast<size_t>(info(dtype).block_bytes);
  // Where the float16 scale and min of a block are, and how large integers they meet.
  struct Fields {
    int d, dmin;
    float largest, largest_min;
  };
  auto fields = [&]() -> Fields {
    switch (dtype) {
      case DType::kQ4_0: return {0, -1, 8, 1};
      case DType::kQ4_1: return {0, 2, 15, 1};
      case DType::kQ5_0: return {0, -1, 16, 1};
      case DType::kQ5_1: return {0, 2, 31, 1};
      case DType::kQ8_0: return {0, -1, 128, 1};
      case DType::kQ2_K: return {80, 82, 3 * 15, 15};
      case DType::kQ3_K: return {108, -1, 4 * 32, 1};
      case DType::kQ4_K: return {0, 2, 15 * 63, 63};
      case DType::kQ5_K: return {0, 2, 31 * 63, 63};
      default: return {208, -1, 32 * 128, 1};
    }
  }();
  for (size_t at = 0; at < bytes.size(); at += size) {
    put_half(at + static_cast<size_t>(fields.d), 2 * normal(rng) / fields.largest);
    if (fields.dmin >= 0) put_half(at + static_cast<size_t>(fields.dmin), normal(rng) / fields.largest_min);
  }
  return bytes;
}

struct LinearArrays {
  std::vector<std::byte> weight;  // one byte in front, so that no row is aligned
  std::vector<float> x, out, bias;
  LinearParams params;
};

/// Activations as models have them: mostly small, a few columns a hundred times larger.
inline LinearArrays make_linear(const LinearCase& c, DType dtype, uint32_t seed) {
  LinearArrays a;
  const int64_t block = info(dtype).block_size;
  const int64_t k = block == 1 ? c.blocks * 32 - c.plain_k_cut : c.blocks * block;
  std::vector<std::byte> weight = random_weight(dtype, c.n, k, seed);
  a.weight.resize(weight.size() + 1);
  std::copy(weight.begin(), weight.end(), a.weight.begin() + 1);
  std::mt19937 rng(seed + 1);
  std::normal_distribution<float> normal;
  a.x.resize(static_cast<size_t>(c.num_tokens * (k + c.x_padding)));
  for (size_t i = 0; i < a.x.size(); ++i) a.x[i] = normal(rng) * (i % 97 == 5 ? 100.0f : 1.0f);
  a.out.resize(static_cast<size_t>(c.num_tokens * (c.n + c.out_padding)));
  for (float& v : a.out) v = normal(rng);
  a.bias.resize(c.bias ? static_cast<size_t>(c.n) : 0);
  for (float& v : a.bias) v = normal(rng);
  a.params = {.out = {a.out.data(), {c.num_tokens, c.n}},
              .x = TensorView<float, 2>(a.x.data(), {c.num_tokens, k}),
              .weight = {.data = a.weight.data() + 1, .dtype = dtype, .n = c.n, .k = k},
              .bias = a.bias,
              .add_to_out = c.add_to_out,
              .two_term_x = c.two_term_x};
  a.params.out.stride[0] = c.n + c.out_padding;
  a.params.x.stride[0] = k + c.x_padding;
  return a;
}

}  // namespace vllm::testing
