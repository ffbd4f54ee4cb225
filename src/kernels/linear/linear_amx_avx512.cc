// AMX with the vectors of AVX-512.
#if defined(__x86_64__)
#include "kernels/linear/linear_amx.h"
#include "kernels/linear/linear_backend_avx512.h"

namespace vllm::linear {
namespace {

// Of quantized weights so few tokens are faster by the vectors, and the bits are the same.
constexpr int64_t kFewTokens = 32;

void native_tile(const TileArgs& args) {
  if (is_quantized(args.dtype) && args.num_tokens < kFewTokens) return avx512_kernels().tile(args);
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
  static const Kernels kKernels = {
      "amx", native_tile, quantize<Avx512>, avx512_bf16_kernels().round_to_bfloat16, 0, unpack_compact_panels<Avx512>};
  return kKernels;
}

}  // namespace vllm::linear
#endif
