#if defined(__x86_64__)
#include "kernels/linear/linear_backend_avx512.h"

namespace vllm::linear {

namespace {
void tile(const TileArgs& args) { return args.compact ? compact_tile<Avx512>(args) : tile_of_any_type<Avx512>(args); }
}  // namespace

const Kernels& avx512_kernels() {
  static constexpr Kernels kKernels = {
      "avx512", tile, quantize<Avx512>, round_to_bfloat16<Avx512>, true, unpack_compact_panels<Avx512>};
  return kKernels;
}

}  // namespace vllm::linear
#endif
