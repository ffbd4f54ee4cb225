// Tensor maps, the launcher of linear_cuda_kernels.h, and the kernels for float16.
#include <cudaTypedefs.h>

#include <algorithm>

#include "kernels/linear/linear_wgmma.cuh"

namespace vllm::linear_cuda_impl {
Status launch_wgmma_bf16(const WgmmaCall& call, int tile_rows, int tile_tokens, StreamRef stream);
Status prepare_wgmma_bf16(int max_shared);

namespace {

// From the driver, without linking to it; nullptr if it is too old.
PFN_cuTensorMapEncodeTiled_v12000 tensor_map_encoder() {
  static const auto encoder = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found{};
    const cudaError_t code =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found);
    if (code != cudaSuccess || found != cudaDriverEntryPointSuccess) function = nullptr;
    return reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(function);
  }();
  return encoder;
}

// Boxes of 64 k x `box_rows` of a matrix [rows, k] of two-byte values; zeros outside.
Status make_map(CUtensorMap& map, DType dtype, const void* data, int64_t rows, int64_t k, int64_t stride,
                int box_rows) {
  const cuuint64_t sizes[2] = {static_cast<cuuint64_t>(k), static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides[1] = {static_cast<cuuint64_t>(stride * 2)};
  const cuuint32_t box[2] = {kWgmmaUnit, static_cast<cuuint32_t>(box_rows)}, steps[2] = {1, 1};
  const auto type = dtype == DType::kFloat16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  const CUresult code = tensor_map_encoder()(&map, type, 2, const_cast<void*>(data), sizes, strides, box, steps,
                                             CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (code == CUDA_SUCCESS) return {};
  return error(ErrorCode::kInternal, "linear_wgmma: no tensor map for [{}, {}], stride {}: error {}", rows, k, stride,
               static_cast<int>(code));
}

}  // namespace
}  // namespace vllm::linear_cuda_impl

namespace vllm {

Status prepare_linear_wgmma() {
  using namespace linear_cuda_impl;
  int device = 0, max_shared = 0, major = 0;
  CUDA_RETURN_IF_ERROR(cudaGetDevice(&device));
  CUDA_RETURN_IF_ERROR(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  if (major != 9 || tensor_map_encoder() == nullptr)
    return error(ErrorCode::kUnimplemented, "linear_wgmma needs a Hopper device and a driver with tensor maps");
  CUDA_RETURN_IF_ERROR(cudaDeviceGetAttribute(&max_shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
  RETURN_IF_ERROR(prepare_wgmma_of<__half>(max_shared));
  return prepare_wgmma_bf16(max_shared);
}

Status launch_linear_wgmma(DType dtype, const LinearKernelArgs& a, const LinearConfig& c, StreamRef stream) {
  using namespace linear_cuda_impl;
  const int units = (a.k + kWgmmaUnit - 1) / kWgmmaUnit, size = c.k_split * c.share;
  const int groups = (a.n + c.tile_rows * c.share - 1) / (c.tile_rows * c.share);
  const bool right = c.k_split >= 1 && c.share >= 1 && size <= 8 && c.k_split <= units && c.stages >= 1 &&
                     c.stages <= kMaxWgmmaStages && c.grid == groups * size &&
                     (c.share == 1 || c.tile_tokens % (8 * c.share) == 0);
  if (!right || a.num_tokens < 1) {
    return error(ErrorCode::kInternal,
                 "linear_wgmma: {} x {}, {} tokens, tile {} x {}, k_split {}, share {}, {} stages, grid {}", a.n, a.k,
                 a.num_tokens, c.tile_rows, c.tile_tokens, c.k_split, c.share, c.stages, c.grid);
  }
  WgmmaCall call{.weight = {},
                 .x = {},
                 .args = {.num_tokens = a.num_tokens,
                          .n = a.n,
                          .k = a.k,
                          .stages = c.stages,
                          .k_split = c.k_split,
                          .share = c.share,
                          .prefetch_units = c.prefetch_units,
                          .launch_at = c.launch_at,
                          .tail = WgmmaTail(a)},
                 .blocks = static_cast<unsigned>(c.grid),
                 .token_tiles = static_cast<unsigned>((a.num_tokens + c.tile_tokens - 1) / c.tile_tokens)};
  RETURN_IF_ERROR(make_map(call.weight, dtype, a.weight, a.n, a.k, a.k, c.tile_rows));
  RETURN_IF_ERROR(make_map(call.x, dtype, a.x, a.num_tokens, a.k, a.x_stride, c.tile_tokens / c.share));
  return dtype == DType::kFloat16 ? launch_wgmma_of<__half>(call, c.tile_rows, c.tile_tokens, stream)
                                  : launch_wgmma_bf16(call, c.tile_rows, c.tile_tokens, stream);
}

}  // namespace vllm
