#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/kv_layout/kv_float8.h"
#include "kernels/kv_layout/kv_scales.h"
#include "kernels/kv_write/kv_write.h"
#include "tensor/float8.h"

namespace vllm {
namespace {

// to_bfloat16, without a call for each number.
BFloat16 round_to_bfloat16(float x) {
  const auto u = std::bit_cast<uint32_t>(x);
  const uint32_t rounded = u + 0x7fffu + ((u >> 16) & 1u);
  return {static_cast<uint16_t>(((u & 0x7fffffffu) > 0x7f800000u ? u | 0x400000u : rounded) >> 16)};
}

template <typename T>
T convert(float x) {
  if constexpr (std::is_same_v<T, BFloat16>)
    return round_to_bfloat16(x);
  else if constexpr (std::is_same_v<T, Float16>)
    return to_float16(x);
  else if constexpr (std::is_same_v<T, Float8>)
    return {float_to_float8(x)};
  else
    return x;
}

template <typename T>
void write(const KvWriteParams& p) {
  for (size_t t = 0; t < p.slot_mapping.size(); ++t) {
    int64_t block = p.slot_mapping[t] / p.kv.block_size, offset = p.slot_mapping[t] % p.kv.block_size;
    if (p.slot_mapping[t] < p.kv.block_size) continue;
    const auto row = static_cast<int64_t>(t);
    for (int64_t h = 0; h < p.kv.num_kv_heads; ++h) {
      T* k = reinterpret_cast<T*>(p.kv.k_head(block, h)) + offset;
      T* v = reinterpret_cast<T*>(p.kv.v_head(block, h)) + offset * p.kv.head_dim;
      const float *from_k = &p.k(row, h, 0), *from_v = &p.v(row, h, 0);
      for (int64_t d = 0; d < p.kv.head_dim; ++d) k[d * p.kv.block_size] = convert<T>(from_k[d]);
      for (int64_t d = 0; d < p.kv.head_dim; ++d) v[d] = convert<T>(from_v[d]);
    }
  }
}

// Codes of one token's head, `stride` apart, and their scale. With an infinity or a NaN among the numbers the scale
// says so, and with it every product.
void write_int8(int8_t* codes, int64_t stride, float* scale, const float* x, int64_t n) {
  float largest = 0;
  bool finite = true;
  for (int64_t i = 0; i < n; ++i) finite &= std::isfinite(x[i]), largest = std::max(largest, std::fabs(x[i]));
  *scale = finite ? largest / 127 : NAN;
  const float inverse = finite && largest > 0 ? 127 / largest : 0;
  for (int64_t i = 0; i < n; ++i) {
    const float code = finite ? std::nearbyint(std::clamp(x[i] * inverse, -127.0f, 127.0f)) : 0;
    codes[i * stride] = static_cast<int8_t>(code);
  }
}

void write_int8(const KvWriteParams& p) {
  const KvLayerView& kv = p.kv;
  for (size_t t = 0; t < p.slot_mapping.size(); ++t) {
    const int64_t block = p.slot_mapping[t] / kv.block_size, offset = p.slot_mapping[t] % kv.block_size;
    if (p.slot_mapping[t] < kv.block_size) continue;
    const auto row = static_cast<int64_t>(t);
    for (int64_t h = 0; h < kv.num_kv_heads; ++h) {
      auto *k = reinterpret_cast<int8_t*>(kv.k_head(block, h)), *v = reinterpret_cast<int8_t*>(kv.v_head(block, h));
      write_int8(k + offset, kv.block_size, k_scales(kv, block, h) + offset, &p.k(row, h, 0), kv.head_dim);
      write_int8(v + offset * kv.head_dim, 1, v_scales(kv, block, h) + offset, &p.v(row, h, 0), kv.head_dim);
    }
  }
}

}  // namespace

void kv_write_ref(const KvWriteParams& p) {
  switch (p.kv.dtype) {
    case DType::kBFloat16: return write<BFloat16>(p);
    case DType::kFloat16: return write<Float16>(p);
    case kKvFloat8: return write<Float8>(p);
    case kKvInt8: return write_int8(p);
    default: return write<float>(p);
  }
}

}  // namespace vllm
