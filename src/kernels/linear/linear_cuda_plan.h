#pragma once
// Which kernel does a linear on the GPU, and how it is cut: pure functions of the shape and the device.
#include <cstdint>

#include "kernels/linear/linear_cuda.h"

namespace vllm {

/// What of a call decides the choice. Comparable, so that a table can be keyed by it.
struct LinearDesc {
  DType dtype = DType::kBFloat16;
  int num_tokens = 0, n = 0, k = 0;
  bool norm = false;        // a fused front was asked for
  bool aligned_x = true;    // rows of x begin at multiples of 16 bytes
  bool aligned_out = true;  // and those of what the GEMM writes
  bool operator==(const LinearDesc&) const = default;
};
struct LinearDevice {
  int sm_count = 132;
  int shared_bytes = 232448;  // that a block may use
  bool cublaslt = true;       // the library was found
  bool wgmma = true;          // a Hopper device with a driver that has tensor maps
};

enum class LinearKind {
  kSimt,      // plain: float32, and rows that are not aligned
  kStream,    // few tokens: the weight streams through shared memory, tensor cores, k split over the warps of a block
  kGemv,      // one token: weight rows through registers
  kGemm,      // own tensor-core GEMM
  kWgmma,     // Hopper, 17 tokens and more: the weight streams as rows of warpgroup products
  kCublasLt,  // the library's GEMM, with norm and activation apart
};
const char* to_string(LinearKind kind);

struct LinearConfig {
  LinearKind kind = LinearKind::kSimt;
  bool fused_norm = false;  // the kernel normalizes itself; else rms_norm_cuda runs first
  // kStream:
  int row_groups = 1;     // of 8 weight rows each, in a block's tile: 1, 2, 3, 4 or 6
  bool staged_x = false;  // x lies in shared memory as a whole (at most 8 tokens); else it streams beside the weight
  // No SM takes two blocks. Else those that start while the kernel in front still fills some SMs end up in pairs, and
  // other SMs without any.
  bool alone = false;
  int prefetch_units = 0;  // of 64 k: how far beyond the ring L2 is filled before the kernel in front is done
  int grid = 0;     // blocks; each takes every grid-th tile (also of kGemv); of kWgmma one for each tile and part of k
  int k_split = 1;  // kGemv: warps that share a pair of rows: 1, 2, 4 or 8; kWgmma: blocks that share k
  // kWgmma, which also has prefetch_units of its first tile:
  int tile_rows = 128;    // of the weight: 64, 128 or 192
  int tile_tokens = 64;   // one of kWgmmaTokens
  int share = 1;          // neighbouring tiles of rows whose blocks copy x for each other: 1, 2 or 4
  int stages = 4;         // tiles of 64 k that a block has under way
  int blocks_per_sm = 2;  // for which stages leaves room
  int launch_at = 0;      // when the next kernel may begin: at once, 1 with the first weights asked for, 2 with x there
  bool operator==(const LinearConfig&) const = default;
};

/// Sums of kStream and kSimt do not depend on num_tokens: a row of x gives the same bits in any batch of up to
/// kMaxStreamTokens.
inline constexpr int kMaxStreamTokens = 16;
inline constexpr int kMaxGemvK = 24576;  // x is in shared memory
LinearConfig pick_config(const LinearDesc& desc, const LinearDevice& device);

/// What batch_invariant takes instead: the same kernel, and so the same order of sums, for every number of tokens.
LinearConfig batch_invariant_config(const LinearDesc& desc);

/// A kGemv configuration for one token; its grid has at most 4 blocks for each SM.
LinearConfig gemv_config(const LinearDesc& desc, const LinearDevice& device);

inline constexpr int kWgmmaUnit = 64;  // k of a tile
inline constexpr int kWgmmaTokens[] = {24, 32, 48, 64, 96};
/// Bytes of dynamic shared memory of a kWgmma block: the ring, in the end the sums in its place.
constexpr int wgmma_shared_bytes(int tile_rows, int tile_tokens, int stages) {
  const int ring = stages * (tile_rows + tile_tokens) * 2 * kWgmmaUnit;
  const int sums = tile_tokens * (tile_rows + 4) * 4;
  return 1024 + (ring > sums ? ring : sums);  // 1,024: to begin at a multiple of it
}
/// Blocks that the kernel's registers leave room for.
constexpr int wgmma_blocks_per_sm(int tile_rows, int tile_tokens) {
  return tile_rows * tile_tokens <= 128 * 128 ? 2 : 1;
}
/// The most stages with which `blocks_per_sm` blocks fit on an SM, at most those that a block has use for.
int wgmma_stages(const LinearDesc& desc, const LinearDevice& device, const LinearConfig& config);
/// A kWgmma configuration that can run: the number of stages and the grid are filled in. False if there is none.
bool finish_wgmma(const LinearDesc& desc, const LinearDevice& device, LinearConfig& config);

/// Tokens are rounded up to a bucket for the choice of cuBLASLt's algorithm: 1, 2, 4, 8, 16, 24, 32, 48, 64, 96, ...,
/// 256, by 64 to 512, by 128 to 1,024, by 256 to 2,048, then 1.5 * 2^i and 2^i.
int64_t token_bucket(int64_t num_tokens);

/// Bytes of shared memory of a kStream block, and the units of 64 k that each of its warps has in flight.
constexpr int stream_units_in_flight(int row_groups, int token_halves, bool staged_x) {
  if (staged_x) return 12 / row_groups;
  const int units = 14 / (row_groups + token_halves);
  return units < 2 ? 2 : units;
}
int stream_shared_bytes(int row_groups, int token_halves, bool staged_x, int num_tokens, int k);

}  // namespace vllm
