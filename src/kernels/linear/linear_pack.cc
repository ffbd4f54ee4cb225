// Raw weight rows to panels (see linear_layout.h).
#include <cstring>

#include "kernels/dequantize/ggml_blocks.h"
#include "kernels/linear/linear_layout.h"

namespace vllm::linear {
namespace {

uint32_t load_u32(const uint8_t* bytes) {
  uint32_t value;
  std::memcpy(&value, bytes, 4);
  return value;
}
void store_u32(std::byte* bytes, uint32_t value) { std::memcpy(bytes, &value, 4); }
void store_half(std::byte* bytes, float value) {
  uint16_t bits = to_float16(value).bits;
  std::memcpy(bytes, &bits, 2);
}

// The 32 quants of a row, four k at a time as one 32-bit word, into the row's place in every plane.
void pack_quants(int bits, const uint8_t* q, std::byte* place) {
  if (bits == 8) {
    for (int j = 0; j < 8; ++j) store_u32(place + j * kVector, load_u32(q + 4 * j));
    return;
  }
  uint32_t word[8], fifth = 0, sixth[2] = {0, 0};
  for (int j = 0; j < 8; ++j) {
    word[j] = load_u32(q + 4 * j);
    uint32_t high = word[j] >> 4;
    fifth |= (high & 0x01010101u) << j;
    sixth[j / 4] |= (high & 0x03030303u) << (2 * (j % 4));
    word[j] &= 0x0f0f0f0fu;
  }
  for (int j = 0; j < 4; ++j) store_u32(place + j * kVector, word[j] | word[j + 4] << 4);
  if (bits == 5) store_u32(place + 4 * kVector, fifth);
  if (bits == 6) store_u32(place + 4 * kVector, sixth[0]), store_u32(place + 5 * kVector, sixth[1]);
}

// One row of a quantized weight into its place in the panel.
void pack_quantized_row(DType dtype, const std::byte* row, int64_t k, int lane, std::byte* panel) {
  const QuantLayout layout = quant_layout(dtype);
  const int unit = kBlock * layout.blocks_per_unit();
  UnpackedBlock block;
  for (int64_t start = 0; start < k; start += unit, row += info(dtype).block_bytes) {
    unpack_block(dtype, row, block);
    std::byte* out = panel + start / unit * layout.unit_bytes();
    if (layout.super) {
      store_half(out + 2 * lane, block.d);
      if (layout.has_min) store_half(out + 2 * (kPanelRows + lane), block.dmin);
      out += layout.header_bytes();
    }
    for (int b = 0; b < layout.blocks_per_unit(); ++b, out += layout.block_bytes()) {
      pack_quants(layout.bits, block.q + b * kBlock, out + 4 * lane);
      std::byte* scales = out + layout.quant_bytes();
      std::byte* mins = scales + layout.scale_bytes();
      if (!layout.super) {
        store_half(scales + 2 * lane, block.d);
        if (layout.has_min) store_half(mins + 2 * lane, block.dmin);
        continue;
      }
      for (int g = 0; g < layout.groups; ++g) {
        scales[g * kPanelRows + lane] = static_cast<std::byte>(block.scale[b * layout.groups + g]);
        if (layout.has_min) mins[g * kPanelRows + lane] = static_cast<std::byte>(block.min[b * layout.groups + g]);
      }
    }
  }
}

// Bit i of `bits` to bit i / 4 of byte i % 4: the fifth bits of 32 quants as the plane has them.
uint32_t spread_fifth_bits(uint32_t bits) {
  uint32_t out = 0;
  for (int b = 0; b < 4; ++b) {
    uint32_t x = (bits >> b) & 0x11111111u;
    x = (x | x >> 3) & 0x03030303u;
    x = (x | x >> 6) & 0x000f000fu;
    out |= ((x | x >> 12) & 0xffu) << (8 * b);
  }
  return out;
}

// The same for types of 32 elements a block, whose bytes need hardly a change: a load spends its time here. Their 16
// bytes of nibbles are the words of four planes as they are.
template <class Block>
void pack_small_row(DType dtype, const std::byte* row, int64_t k, int lane, std::byte* panel) {
  const QuantLayout layout = quant_layout(dtype);
  for (int64_t i = 0; i < k / kBlock; ++i, row += sizeof(Block), panel += layout.block_bytes()) {
    Block block;
    std::memcpy(&block, row, sizeof block);
    std::byte* const place = panel + 4 * lane;
    if constexpr (sizeof block.qs == kBlock) {
      for (int j = 0; j < 8; ++j)
        store_u32(place + j * kVector, load_u32(reinterpret_cast<const uint8_t*>(block.qs) + 4 * j) ^ 0x80808080u);
    } else {
      for (int j = 0; j < 4; ++j) store_u32(place + j * kVector, load_u32(block.qs + 4 * j));
      if constexpr (requires { block.qh; }) store_u32(place + 4 * kVector, spread_fifth_bits(load_u32(block.qh)));
    }
    std::byte* const scales = panel + layout.quant_bytes();
    std::memcpy(scales + 2 * lane, &block.d, 2);
    if constexpr (requires { block.m; }) {
      const auto negative = static_cast<uint16_t>(block.m ^ 0x8000u);
      std::memcpy(scales + layout.scale_bytes() + 2 * lane, &negative, 2);
    }
  }
}

template <typename T>
void pack_plain_row(const std::byte* row, int64_t k, int lane, int k_together, std::byte* panel) {
  for (int64_t i = 0; i < k; ++i) {
    int64_t place = (i / k_together * kPanelRows + lane) * k_together + i % k_together;
    std::memcpy(panel + place * static_cast<int64_t>(sizeof(T)), row + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
  }
}

}  // namespace

void pack_panel(DType dtype, const void* weight, int64_t n, int64_t k, int64_t first, std::byte* panel) {
  if (n - first < kPanelRows || dtype == DType::kBFloat16) std::memset(panel, 0, panel_bytes(dtype, k));
  for (int lane = 0; lane < kPanelRows && first + lane < n; ++lane) {
    const std::byte* row =
        static_cast<const std::byte*>(weight) + static_cast<size_t>(first + lane) * row_bytes(dtype, k);
    switch (dtype) {
      case DType::kFloat32: pack_plain_row<float>(row, k, lane, 1, panel); break;
      case DType::kFloat16: pack_plain_row<Float16>(row, k, lane, 1, panel); break;
      case DType::kBFloat16: pack_plain_row<BFloat16>(row, k, lane, 2, panel); break;
      case DType::kQ4_0: pack_small_row<ggml::Q4_0>(dtype, row, k, lane, panel); break;
      case DType::kQ4_1: pack_small_row<ggml::Q4_1>(dtype, row, k, lane, panel); break;
      case DType::kQ5_0: pack_small_row<ggml::Q5_0>(dtype, row, k, lane, panel); break;
      case DType::kQ5_1: pack_small_row<ggml::Q5_1>(dtype, row, k, lane, panel); break;
      case DType::kQ8_0: pack_small_row<ggml::Q8_0>(dtype, row, k, lane, panel); break;
      default: pack_quantized_row(dtype, row, k, lane, panel);
    }
  }
}

}  // namespace vllm::linear
