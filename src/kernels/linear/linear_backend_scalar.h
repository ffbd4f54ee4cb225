#pragma once
// The vectors of linear_tile.h in plain C++. In an unnamed namespace: see linear_tile.h.
#include "kernels/linear/linear_tile.h"

namespace vllm::linear {
namespace {

struct Scalar {
  static constexpr int kLanes = 16, kTokens = 4, kPlainTokens = 4, kChains = 1;
  static constexpr int kRowSums = 1, kLeastTokens = 1;
  static constexpr bool kSignedBytes = false, kDotBFloat16 = false;
  struct F {
    float v[kLanes];
  };
  struct I {
    uint32_t v[kLanes];
  };  // int32, or 4 bytes: lane arithmetic wraps

  template <typename V, typename Fn>
  static V each(Fn fn) {
    V out;
    for (int i = 0; i < kLanes; ++i) out.v[i] = fn(i);
    return out;
  }
  static F each_float(const auto& fn) { return each<F>(fn); }
  static I each_int(const auto& fn) { return each<I>(fn); }

  static F zero() { return F{}; }
  static F load_float(const void* p) {
    F out;
    __builtin_memcpy(&out, p, sizeof out);
    return out;
  }
  static F load_half(const void* p) {
    uint16_t bits[kLanes];
    __builtin_memcpy(bits, p, sizeof bits);
    return each_float([&](int i) { return vllm::to_float(Float16{bits[i]}); });
  }
  static F load_int8(const void* p) {
    return each_float([&](int i) { return static_cast<float>(static_cast<const int8_t*>(p)[i]); });
  }
  static void load_bfloat16_pairs(const void* p, F& even, F& odd) {
    uint16_t bits[2 * kLanes];
    __builtin_memcpy(bits, p, sizeof bits);
    even = each_float([&](int i) { return vllm::to_float(BFloat16{bits[2 * i]}); });
    odd = each_float([&](int i) { return vllm::to_float(BFloat16{bits[2 * i + 1]}); });
  }
  static F bcast(const float* p) {
    return each_float([&](int) { return *p; });
  }
  static F mul(F a, F b) {
    return each_float([&](int i) { return a.v[i] * b.v[i]; });
  }
  static F add(F a, F b) {
    return each_float([&](int i) { return a.v[i] + b.v[i]; });
  }
  static F fma(F a, F b, F c) {
    return each_float([&](int i) { return __builtin_fmaf(a.v[i], b.v[i], c.v[i]); });
  }
  static F mul_add(F a, F b, F c) {
    return each_float([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
  }
  static F fnma(F a, F b, F c) {
    return each_float([&](int i) { return __builtin_fmaf(-a.v[i], b.v[i], c.v[i]); });
  }
  static F to_float(I a) {
    return each_float([&](int i) { return static_cast<float>(static_cast<int32_t>(a.v[i])); });
  }
  static void store(float* p, F a) { __builtin_memcpy(p, &a, sizeof a); }

  static I zero_int() { return I{}; }
  static I load(const void* p) {
    I out;
    __builtin_memcpy(&out, p, sizeof out);
    return out;
  }
  static I load_bytes8(const void* p) { return load(p); }
  static void store(std::byte* p, I a) { __builtin_memcpy(p, &a, sizeof a); }
  static I sub_bytes(I a, I b) {
    return each_int([&](int i) {
      uint32_t out = 0;
      for (int shift = 0; shift < 32; shift += 8) out |= (((a.v[i] >> shift) - (b.v[i] >> shift)) & 255u) << shift;
      return out;
    });
  }
  static I bcast(const int32_t* p) {
    return each_int([&](int) { return static_cast<uint32_t>(*p); });
  }
  static I set_bytes(int value) {
    return each_int([&](int) { return static_cast<uint32_t>(value) * 0x01010101u; });
  }
  static I bit_and(I a, I b) {
    return each_int([&](int i) { return a.v[i] & b.v[i]; });
  }
  static I or_and(I a, I b, I mask) {
    return each_int([&](int i) { return a.v[i] | (b.v[i] & mask.v[i]); });
  }
  static I add_int(I a, I b) {
    return each_int([&](int i) { return a.v[i] + b.v[i]; });
  }
  static I sub_int(I a, I b) {
    return each_int([&](int i) { return a.v[i] - b.v[i]; });
  }
  template <int kLeft>
  static I shift_int(I a) {
    return each_int([&](int i) { return a.v[i] << kLeft; });
  }
  template <int kLeft>
  static I shift(I a) {
    if constexpr (kLeft > 0) return each_int([&](int i) { return a.v[i] << kLeft; });
    return each_int([&](int i) { return a.v[i] >> (kLeft > 0 ? 0 : -kLeft); });
  }
  template <int kBits, int kCount, int N>
  static void dot(I (&sum)[N], const I* q, const int8_t* const (&x)[N]) {
    for (int i = 0; i < N; ++i) sum[i] = dot<kBits, kCount>(sum[i], q, x[i]);
  }
  template <int kBits, int kCount>
  static I dot(I start, const I* q, const int8_t* x) {
    for (int j = 0; j < kCount; ++j) {
      for (int i = 0; i < kLanes; ++i) {
        for (int b = 0; b < 4; ++b) {
          start.v[i] += static_cast<uint32_t>(static_cast<int32_t>((q[j].v[i] >> (8 * b)) & 255u) * x[4 * j + b]);
        }
      }
    }
    return start;
  }

  static uint32_t largest_bits(const float* x) {
    uint32_t largest = 0;
    for (int i = 0; i < kBlock; ++i) {
      uint32_t bits;
      __builtin_memcpy(&bits, x + i, sizeof bits);
      bits &= 0x7fffffffu;
      largest = bits > largest ? bits : largest;
    }
    return largest;
  }
  template <int kTerms>
  static void quantize_block(const float* x, float reciprocal, QuantizedBlock<kTerms>& out) {
    int32_t sums[2] = {0, 0};
    for (int i = 0; i < kBlock; ++i) {
      const float first = reciprocal == 0.0f ? 0.0f : __builtin_nearbyintf(x[i] * reciprocal);
      out.terms[0][i] = static_cast<int8_t>(first);
      int32_t value = out.terms[0][i];
      if constexpr (kTerms == 2) {
        const float neg_error = reciprocal == 0.0f ? 0.0f : __builtin_fmaf(-x[i], reciprocal, first);
        out.terms[1][i] = static_cast<int8_t>(__builtin_nearbyintf(neg_error * -kTermRatio));
        value = kTermRatio * value + out.terms[1][i];
      }
      sums[i / 16] += value;
    }
    out.neg_sum_low = -sums[0];
    out.neg_sum = -sums[0] - sums[1];
  }
};

}  // namespace
}  // namespace vllm::linear
