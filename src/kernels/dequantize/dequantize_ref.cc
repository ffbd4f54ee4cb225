#include <cstring>

#include "base/check.h"
#include "kernels/dequantize/dequantize.h"
#include "kernels/dequantize/unpack_block.h"

namespace vllm {
namespace {

template <typename T>
void dequantize_plain(const std::byte* row, std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    T value;
    std::memcpy(&value, row + i * sizeof value, sizeof value);
    if constexpr (sizeof(T) == 4) {
      out[i] = value;
    } else {
      out[i] = to_float(value);
    }
  }
}

}  // namespace

void dequantize_row(DType dtype, const void* row, std::span<float> out) {
  const auto* bytes = static_cast<const std::byte*>(row);
  if (dtype == DType::kFloat32) return dequantize_plain<float>(bytes, out);
  if (dtype == DType::kFloat16) return dequantize_plain<Float16>(bytes, out);
  if (dtype == DType::kBFloat16) return dequantize_plain<BFloat16>(bytes, out);
  CHECK(is_quantized(dtype));
  const DTypeInfo& type = info(dtype);
  const BlockForm form = block_form(dtype);
  const size_t block_size = static_cast<size_t>(type.block_size), group_size = static_cast<size_t>(form.group_size);
  CHECK(out.size() % block_size == 0);
  UnpackedBlock block;
  for (size_t start = 0; start < out.size(); start += block_size, bytes += type.block_bytes) {
    unpack_block(dtype, bytes, block);
    for (size_t i = 0; i < block_size; ++i) {
      size_t g = i / group_size;
      float scale = block.d * static_cast<float>(block.scale[g]), min = block.dmin * static_cast<float>(block.min[g]);
      out[start + i] = scale * static_cast<float>(block.q[i] - form.offset) - min;
    }
  }
}

}  // namespace vllm
