#include "kernels/dequantize/unpack_block.h"

#include <cstring>

#include "base/check.h"
#include "kernels/dequantize/ggml_blocks.h"

namespace vllm {
namespace {

float half(uint16_t bits) { return to_float(Float16{bits}); }

template <typename Block>
Block load(const void* bytes) {
  Block block;
  std::memcpy(&block, bytes, sizeof block);
  return block;
}

void unpack_nibbles(const uint8_t (&qs)[16], uint8_t* q) {
  for (int j = 0; j < 16; ++j) q[j] = qs[j] & 15, q[j + 16] = qs[j] >> 4;
}

void add_fifth_bits(const uint8_t (&qh)[4], uint8_t* q) {
  for (int j = 0; j < 32; ++j) q[j] = static_cast<uint8_t>(q[j] | ((qh[j / 8] >> (j % 8)) & 1) << 4);
}

// Q4_K and Q5_K: scale and min of 8 groups, 6 bits each, in 12 bytes. Groups 0-3 lie in the low 6 bits of bytes 0-3
// (scales) and 4-7 (mins), whose top 2 bits complete the nibbles that bytes 8-11 hold for groups 4-7.
void unpack_scales_and_mins(const uint8_t (&s)[12], UnpackedBlock& out) {
  for (int g = 0; g < 4; ++g) {
    out.scale[g] = static_cast<int8_t>(s[g] & 63);
    out.min[g] = s[g + 4] & 63;
    out.scale[g + 4] = static_cast<int8_t>((s[g + 8] & 15) | (s[g] >> 6) << 4);
    out.min[g + 4] = static_cast<uint8_t>((s[g + 8] >> 4) | (s[g + 4] >> 6) << 4);
  }
}

void unpack(const ggml::Q4_0& b, UnpackedBlock& out) {
  out.d = half(b.d), out.scale[0] = 1, unpack_nibbles(b.qs, out.q);
}

void unpack(const ggml::Q4_1& b, UnpackedBlock& out) {
  out.d = half(b.d), out.dmin = -half(b.m), out.scale[0] = 1, out.min[0] = 1;
  unpack_nibbles(b.qs, out.q);
}

void unpack(const ggml::Q5_0& b, UnpackedBlock& out) {
  out.d = half(b.d), out.scale[0] = 1;
  unpack_nibbles(b.qs, out.q);
  add_fifth_bits(b.qh, out.q);
}

void unpack(const ggml::Q5_1& b, UnpackedBlock& out) {
  out.d = half(b.d), out.dmin = -half(b.m), out.scale[0] = 1, out.min[0] = 1;
  unpack_nibbles(b.qs, out.q);
  add_fifth_bits(b.qh, out.q);
}

void unpack(const ggml::Q8_0& b, UnpackedBlock& out) {
  out.d = half(b.d), out.scale[0] = 1;
  for (int j = 0; j < 32; ++j) out.q[j] = static_cast<uint8_t>(b.qs[j] + 128);
}

// Two halves of 128 elements; in each, 32 bytes hold four runs of 32 elements, 2 bits a run.
void unpack(const ggml::Q2_K& b, UnpackedBlock& out) {
  out.d = half(b.d), out.dmin = half(b.dmin);
  for (int g = 0; g < 16; ++g) out.scale[g] = static_cast<int8_t>(b.scales[g] & 15), out.min[g] = b.scales[g] >> 4;
  for (int i = 0; i < 256; ++i) out.q[i] = (b.qs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
}

// Low two bits as in Q2_K; bit r of hmask[j] is the third bit of element j of run r. Scales: 6 bits, biased by 32, the
// low nibbles of 0-7 and 8-15 in the nibbles of bytes 0-7, the top two bits in bytes 8-11.
void unpack(const ggml::Q3_K& b, UnpackedBlock& out) {
  out.d = half(b.d);
  for (int g = 0; g < 16; ++g) {
    int low = g < 8 ? b.scales[g] & 15 : b.scales[g - 8] >> 4;
    int high = (b.scales[8 + g % 4] >> (g / 4 * 2)) & 3;
    out.scale[g] = static_cast<int8_t>((low | high << 4) - 32);
  }
  for (int i = 0; i < 256; ++i) {
    int low = (b.qs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
    int high = (b.hmask[i % 32] >> (i / 32)) & 1;
    out.q[i] = static_cast<uint8_t>(low | high << 2);
  }
}

// Four runs of 64 elements, each 32 bytes: low nibbles first, then high nibbles.
void unpack(const ggml::Q4_K& b, UnpackedBlock& out) {
  out.d = half(b.d), out.dmin = half(b.dmin);
  unpack_scales_and_mins(b.scales, out);
  for (int r = 0; r < 4; ++r) {
    for (int j = 0; j < 32; ++j) {
      out.q[r * 64 + j] = b.qs[r * 32 + j] & 15;
      out.q[r * 64 + 32 + j] = b.qs[r * 32 + j] >> 4;
    }
  }
}

void unpack(const ggml::Q5_K& b, UnpackedBlock& out) {
  out.d = half(b.d), out.dmin = half(b.dmin);
  unpack_scales_and_mins(b.scales, out);
  for (int r = 0; r < 4; ++r) {
    for (int j = 0; j < 32; ++j) {
      int high = b.qh[j] >> (2 * r);
      out.q[r * 64 + j] = static_cast<uint8_t>((b.qs[r * 32 + j] & 15) | (high & 1) << 4);
      out.q[r * 64 + 32 + j] = static_cast<uint8_t>((b.qs[r * 32 + j] >> 4) | (high & 2) << 3);
    }
  }
}

// Two halves of 128 elements; in each, 64 bytes of ql hold runs 0 and 1 in their low and runs 2 and 3 in their high
// nibbles, and byte j of qh holds the top two bits of element j of the four runs.
void unpack(const ggml::Q6_K& b, UnpackedBlock& out) {
  out.d = half(b.d);
  std::memcpy(out.scale, b.scales, sizeof out.scale);
  for (int h = 0; h < 2; ++h) {
    const uint8_t *ql = b.ql + h * 64, *qh = b.qh + h * 32;
    uint8_t* q = out.q + h * 128;
    for (int j = 0; j < 32; ++j) {
      q[j] = static_cast<uint8_t>((ql[j] & 15) | (qh[j] & 3) << 4);
      q[j + 32] = static_cast<uint8_t>((ql[j + 32] & 15) | (qh[j] >> 2 & 3) << 4);
      q[j + 64] = static_cast<uint8_t>((ql[j] >> 4) | (qh[j] >> 4 & 3) << 4);
      q[j + 96] = static_cast<uint8_t>((ql[j + 32] >> 4) | (qh[j] >> 6) << 4);
    }
  }
}

}  // namespace

void unpack_block(DType dtype, const void* block, UnpackedBlock& out) {
  switch (dtype) {
    case DType::kQ4_0: return unpack(load<ggml::Q4_0>(block), out);
    case DType::kQ4_1: return unpack(load<ggml::Q4_1>(block), out);
    case DType::kQ5_0: return unpack(load<ggml::Q5_0>(block), out);
    case DType::kQ5_1: return unpack(load<ggml::Q5_1>(block), out);
    case DType::kQ8_0: return unpack(load<ggml::Q8_0>(block), out);
    case DType::kQ2_K: return unpack(load<ggml::Q2_K>(block), out);
    case DType::kQ3_K: return unpack(load<ggml::Q3_K>(block), out);
    case DType::kQ4_K: return unpack(load<ggml::Q4_K>(block), out);
    case DType::kQ5_K: return unpack(load<ggml::Q5_K>(block), out);
    case DType::kQ6_K: return unpack(load<ggml::Q6_K>(block), out);
    default: CHECK(is_quantized(dtype));
  }
}

}  // namespace vllm
