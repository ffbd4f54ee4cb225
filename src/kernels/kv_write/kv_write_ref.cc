#include "kernels/kv_write/kv_write.h"

namespace vllm {
namespace {

template <typename T>
T convert(float x) {
  if constexpr (std::is_same_v<T, BFloat16>)
    return to_bfloat16(x);
  else if constexpr (std::is_same_v<T, Float16>)
    return to_float16(x);
  else
    return x;
}

template <typename T>
void write(const KvWriteParams& p) {
  for (size_t t = 0; t < p.slot_mapping.size(); ++t) {
    int64_t block = p.slot_mapping[t] / p.kv.block_size, offset = p.slot_mapping[t] % p.kv.block_size;
    if (p.slot_mapping[t] < p.kv.block_size) continue;
    for (int64_t h = 0; h < p.kv.num_kv_heads; ++h) {
      T* k = reinterpret_cast<T*>(p.kv.k_head(block, h));
      T* v = reinterpret_cast<T*>(p.kv.v_head(block, h));
      for (int64_t d = 0; d < p.kv.head_dim; ++d) {
        k[d * p.kv.block_size + offset] = convert<T>(p.k(t, h, d));
        v[offset * p.kv.head_dim + d] = convert<T>(p.v(t, h, d));
      }
    }
  }
}

}  // namespace

void kv_write_ref(const KvWriteParams& p) {
  switch (p.kv.dtype) {
    case DType::kBFloat16: return write<BFloat16>(p);
    case DType::kFloat16: return write<Float16>(p);
    default: return write<float>(p);
  }
}

}  // namespace vllm
