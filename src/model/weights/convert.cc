#include "model/weights/convert.h"

#include <cstring>

#include "base/check.h"

namespace vllm::model {
namespace {

template <typename T>
T read(const std::byte* in, int64_t i) {
  T value;
  std::memcpy(&value, in + static_cast<size_t>(i) * sizeof(T), sizeof(T));
  return value;
}

template <typename From, typename To, typename Fn>
void map_row(const std::byte* in, std::byte* out, int64_t columns, Fn fn) {
  for (int64_t i = 0; i < columns; ++i) {
    To value = fn(read<From>(in, i));
    std::memcpy(out + static_cast<size_t>(i) * sizeof(To), &value, sizeof(To));
  }
}

template <typename To, typename Fn>
void from_any(const std::byte* in, DType from, std::byte* out, int64_t columns, Fn fn) {
  switch (from) {
    case DType::kFloat16: return map_row<Float16, To>(in, out, columns, [&](Float16 x) { return fn(to_float(x)); });
    case DType::kBFloat16: return map_row<BFloat16, To>(in, out, columns, [&](BFloat16 x) { return fn(to_float(x)); });
    default: CHECK(from == DType::kFloat32); return map_row<float, To>(in, out, columns, fn);
  }
}

}  // namespace

void convert_row(const std::byte* in, DType from, std::byte* out, DType to, int64_t columns) {
  if (from == to) {
    std::memcpy(out, in, row_bytes(from, columns));
    return;
  }
  switch (to) {
    case DType::kFloat16: return from_any<Float16>(in, from, out, columns, [](float x) { return to_float16(x); });
    case DType::kBFloat16: return from_any<BFloat16>(in, from, out, columns, [](float x) { return to_bfloat16(x); });
    default: CHECK(to == DType::kFloat32); return from_any<float>(in, from, out, columns, [](float x) { return x; });
  }
}

}  // namespace vllm::model
