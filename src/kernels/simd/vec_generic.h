#pragma once
// Eight floats in plain C++: the path of CPUs without a vector unit we know, and what VLLM_CPU_ISA=reference runs.
#include <cmath>
#include <cstdint>

#include "tensor/dtype.h"
#include "tensor/float8.h"

namespace vllm {

struct VecGeneric {
  static constexpr int kWidth = 8;
  float lane[8];

  static VecGeneric zero() { return set1(0); }
  static VecGeneric set1(float x) {
    VecGeneric r;
    for (float& l : r.lane) l = x;
    return r;
  }
  static VecGeneric load(const float* p) { return load_n(p, 8); }
  /// The first n lanes; the rest are 0.
  static VecGeneric load_n(const float* p, int64_t n) {
    VecGeneric r = zero();
    for (int64_t i = 0; i < n; ++i) r.lane[i] = p[i];
    return r;
  }
  static VecGeneric load(const BFloat16* p) {
    VecGeneric r;
    for (int i = 0; i < 8; ++i) r.lane[i] = to_float(p[i]);
    return r;
  }
  static VecGeneric load(const Float16* p) {
    VecGeneric r;
    for (int i = 0; i < 8; ++i) r.lane[i] = to_float(p[i]);
    return r;
  }
  static VecGeneric load(const int8_t* p) {
    VecGeneric r;
    for (int i = 0; i < 8; ++i) r.lane[i] = p[i];
    return r;
  }
  /// The exponent's bias grows by 120; a number without exponent gets 121 and loses the one it never had.
  static VecGeneric load(const Float8* p) {
    VecGeneric r;
    for (int i = 0; i < 8; ++i) {
      const uint32_t code = p[i].bits, magnitude = (code & 0x7f) << 20;
      const bool subnormal = (code & 0x78) == 0;
      float x = __builtin_bit_cast(float, magnitude + ((subnormal ? 121u : 120u) << 23));
      if (subnormal) x -= 0x1p-6f;
      if ((code & 0x7f) == 0x7f) x = __builtin_nanf("");
      r.lane[i] = (code & 0x80) != 0 ? -x : x;
    }
    return r;
  }
  void store(float* p) const { store_n(p, 8); }
  void store_n(float* p, int64_t n) const {
    for (int64_t i = 0; i < n; ++i) p[i] = lane[i];
  }
  void store(BFloat16* p) const {
    for (int i = 0; i < 8; ++i) p[i] = to_bfloat16(lane[i]);
  }
  void store(Float16* p) const {
    for (int i = 0; i < 8; ++i) p[i] = to_float16(lane[i]);
  }

  template <typename Op>
  static VecGeneric map(VecGeneric a, VecGeneric b, Op op) {
    VecGeneric r;
    for (int i = 0; i < 8; ++i) r.lane[i] = op(a.lane[i], b.lane[i]);
    return r;
  }
  friend VecGeneric operator+(VecGeneric a, VecGeneric b) {
    return map(a, b, [](float x, float y) { return x + y; });
  }
  friend VecGeneric operator-(VecGeneric a, VecGeneric b) {
    return map(a, b, [](float x, float y) { return x - y; });
  }
  friend VecGeneric operator*(VecGeneric a, VecGeneric b) {
    return map(a, b, [](float x, float y) { return x * y; });
  }
  friend VecGeneric operator/(VecGeneric a, VecGeneric b) {
    return map(a, b, [](float x, float y) { return x / y; });
  }
  /// b if either is NaN, as x86 does.
  friend VecGeneric max(VecGeneric a, VecGeneric b) {
    return map(a, b, [](float x, float y) { return x > y ? x : y; });
  }
  friend VecGeneric min(VecGeneric a, VecGeneric b) {
    return map(a, b, [](float x, float y) { return x < y ? x : y; });
  }
  /// a * b + c. Not fused here: without the instruction a fused one is a slow library call.
  friend VecGeneric fma(VecGeneric a, VecGeneric b, VecGeneric c) { return a * b + c; }
  friend VecGeneric round(VecGeneric a) {
    for (float& l : a.lane) l = std::nearbyint(l);
    return a;
  }
  /// 2^n for whole n in [-126, 127].
  friend VecGeneric exp2_whole(VecGeneric n) {
    for (float& l : n.lane) l = l == l ? std::ldexp(1.0f, static_cast<int>(l)) : l;  // NaN stays NaN
    return n;
  }
  /// 0 where x < bound, else value.
  friend VecGeneric zero_below(VecGeneric x, VecGeneric bound, VecGeneric value) {
    for (int i = 0; i < 8; ++i) value.lane[i] = x.lane[i] < bound.lane[i] ? 0.0f : value.lane[i];
    return value;
  }
  /// Sums and maxima over the lanes, as a tree of fixed shape.
  friend float reduce_add(VecGeneric a) {
    const float* l = a.lane;
    return ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]));
  }
  friend float reduce_max(VecGeneric a) {
    float m = a.lane[0];
    for (float l : a.lane) m = l > m ? l : m;
    return m;
  }
};

}  // namespace vllm
