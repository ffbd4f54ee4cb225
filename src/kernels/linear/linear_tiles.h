#pragma once
// The eight tile registers of AMX behind a small interface, twice: the CPU's own, and plain C++ with the arithmetic
// that Intel documents. A class Tiles has them configured while it lives (one per thread at a time):
//   zero<t>()            load<t>(base, stride)      store<t>(base, stride)     stride in bytes
//   dot_int8<c, a, b>()      c[m][n] += sum over k of a[m][k] * b[k / 4][n][k % 4], signed bytes, int32
//   dot_bfloat16<c, a, b>()  the same of pairs of bfloat16, float32
// Included only by the file of each ISA, hence the unnamed namespace: see linear_tile.h.
#include <cstddef>
#include <cstdint>

#include "kernels/simd/unroll.h"

namespace vllm::linear {
namespace {

inline constexpr int kTileRows = 16, kTileBytes = 64;  // the largest of palette 1, the only palette there is

/// What LDTILECFG reads.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  void set(int tile, int num_rows, int num_bytes) {
    rows[tile] = static_cast<uint8_t>(num_rows), row_bytes[tile] = static_cast<uint16_t>(num_bytes);
  }
};
static_assert(sizeof(TileConfig) == 64);

#if defined(__x86_64__)
/// In assembly: the compilers' intrinsics take tile numbers as literals only, and g++ 12's _tile_loadconfig names 8 of
/// the 64 bytes it reads, so that stores to the others are dropped.
class NativeTiles {
 public:
  explicit NativeTiles(const TileConfig& config) { asm volatile("ldtilecfg %0" : : "m"(config)); }
  // Without tiles in use the kernel has 8 KiB less to save at a switch, and the core may sleep deeper.
  ~NativeTiles() { asm volatile("tilerelease"); }
  NativeTiles(const NativeTiles&) = delete;

  template <int kTile>
  VLLM_FORCE_INLINE void zero() {
    asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
  }
  template <int kTile>
  VLLM_FORCE_INLINE void load(const void* base, int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(base), "r"(stride), "i"(kTile) : "memory");
  }
  template <int kTile>
  VLLM_FORCE_INLINE void store(void* base, int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(base), "r"(stride), "i"(kTile) : "memory");
  }
  template <int kC, int kA, int kB>
  VLLM_FORCE_INLINE void dot_int8() {
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kC), "i"(kA), "i"(kB));
  }
  template <int kC, int kA, int kB>
  VLLM_FORCE_INLINE void dot_bfloat16() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kC), "i"(kA), "i"(kB));
  }
};
#endif

/// The documented arithmetic. dot_bfloat16: denormals are zero on the way in and out; the even elements of all pairs
/// are summed from zero by fused multiply-adds, the odd ones too, then one sum is added to the other and both to c.
class EmulatedTiles {
 public:
  explicit EmulatedTiles(const TileConfig& config) : config_(config) {}
  EmulatedTiles(const EmulatedTiles&) = delete;

  template <int kTile>
  void zero() {
    __builtin_memset(tiles_[kTile], 0, sizeof tiles_[kTile]);
  }
  template <int kTile>
  void load(const void* base, int64_t stride) {
    zero<kTile>();
    for (int m = 0; m < config_.rows[kTile]; ++m) {
      __builtin_memcpy(tiles_[kTile][m], static_cast<const char*>(base) + m * stride, config_.row_bytes[kTile]);
    }
  }
  template <int kTile>
  void store(void* base, int64_t stride) {
    for (int m = 0; m < config_.rows[kTile]; ++m) {
      __builtin_memcpy(static_cast<char*>(base) + m * stride, tiles_[kTile][m], config_.row_bytes[kTile]);
    }
  }
  template <int kC, int kA, int kB>
  void dot_int8() {
    for (int m = 0; m < config_.rows[kC]; ++m) {
      int32_t sum[kLanes];
      __builtin_memcpy(sum, tiles_[kC][m], sizeof sum);
      for (int k = 0; k < config_.row_bytes[kA]; ++k) {
        const int a = tiles_[kA][m][k];
        for (int n = 0; n < kLanes; ++n) sum[n] += a * tiles_[kB][k / 4][4 * n + k % 4];
      }
      __builtin_memcpy(tiles_[kC][m], sum, sizeof sum);
    }
  }
  template <int kC, int kA, int kB>
  void dot_bfloat16() {
    for (int m = 0; m < config_.rows[kC]; ++m) {
      float sum[kLanes], even[kLanes] = {}, odd[kLanes] = {};
      __builtin_memcpy(sum, tiles_[kC][m], sizeof sum);
      for (int k = 0; k < config_.row_bytes[kA] / 4; ++k) {
        uint32_t a, b[kLanes];
        __builtin_memcpy(&a, tiles_[kA][m] + 4 * k, sizeof a);
        __builtin_memcpy(b, tiles_[kB][k], sizeof b);
        const float a_even = widen(a << 16), a_odd = widen(a);
        for (int n = 0; n < kLanes; ++n) {
          even[n] = flush(__builtin_fmaf(a_even, widen(b[n] << 16), even[n]));
          odd[n] = flush(__builtin_fmaf(a_odd, widen(b[n]), odd[n]));
        }
      }
      for (int n = 0; n < kLanes; ++n) sum[n] = flush(flush(sum[n]) + flush(even[n] + odd[n]));
      __builtin_memcpy(tiles_[kC][m], sum, sizeof sum);
    }
  }

 private:
  static constexpr int kLanes = kTileBytes / 4;
  // The bfloat16 in the upper half of `bits`; the next one below is cut off.
  static float widen(uint32_t bits) {
    bits &= 0xffff0000u;
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return flush(value);
  }
  static float flush(float value) {
    uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    bits &= (bits & 0x7f800000u) == 0 ? 0x80000000u : 0xffffffffu;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
  }

  TileConfig config_;
  alignas(64) int8_t tiles_[8][kTileRows][kTileBytes];
};

}  // namespace
}  // namespace vllm::linear
