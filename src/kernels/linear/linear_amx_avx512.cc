// AMX with the vectors of AVX-512.
#if defined(__x86_64__)
#include "kernels/linear/linear_amx.h"
#include "kernels/linear/linear_backend_avx512.h"

namespace vllm::linear {
namespace {

// What the vectors multiply as fast or faster, with the same bits: few tokens of a quantized weight, and types with two
// scales to 32 weights (Q6_K: 1.05 to 1.14 times as fast by AMX with one thread, but 0.7 to 0.9 times with 16).
bool better_by_vectors(const TileArgs& args) {
  constexpr int64_t kFewTokens = 32;
  return is_quantized(args.dtype) && (args.num_tokens < kFewTokens || quant_layout(args.dtype).groups == 2);
}

void native_tile(const TileArgs& args) {
  if (better_by_vectors(args)) return avx512_kernels().tile(args);
  if (!amx_tile<Avx512, NativeTiles>(args)) avx512_kernels().tile(args);
}

}  // namespace

void try_amx_instructions() {
  alignas(64) std::byte memory[kTileRows * kTileBytes] = {};
  NativeTiles tiles(tile_config(kTileRows, kTileBytes, kTileRows));
  tiles.zero<0>();
  tiles.load<4>(memory, kTileBytes);
  tiles.load<6>(memory, kTileBytes);
  tiles.dot_int8<0, 4, 6>();
  tiles.dot_bfloat16<0, 4, 6>();
  tiles.store<0>(memory, kTileBytes);
}

const Kernels& amx_kernels() {
  // Every CPU with AMX has the vectors' bfloat16 too.
  static const Kernels kKernels = {"amx",
                                   native_tile,
                                   quantize<Avx512>,
                                   avx512_bf16_kernels().round_to_bfloat16,
                                   false,
                                   unpack_compact_panels<Avx512>};
  return kKernels;
}

}  // namespace vllm::linear
#endif
