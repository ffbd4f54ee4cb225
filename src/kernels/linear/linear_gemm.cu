// The own tensor-core GEMM: tiles of BM tokens x 128 weight rows, k in steps of 64 through a ring of three stages.
// Rows of a stage are 128 bytes; 16-byte piece c of row r lies at piece c ^ (r % 8), so that ldmatrix meets no bank
// twice.
#include "kernels/linear/linear_epilogue.cuh"
#include "kernels/linear/linear_mma.cuh"
#include "tensor/cuda/launch.cuh"

namespace vllm {
namespace linear_cuda_impl {
namespace {

constexpr int kThreads = 256, kBN = 128, kBK = 64, kStages = 3;

struct GemmArgs {
  const void* weight;
  const void* x;
  int64_t x_stride;
  int num_tokens, n, k;
  Epilogue epilogue;
};

constexpr int stage_bytes(int bm) { return (bm + kBN) * kBK * 2; }

template <typename T, int BM>
__global__ void __launch_bounds__(kThreads) linear_gemm(const __grid_constant__ GemmArgs args) {
  constexpr int kMI = BM / 32, kNI = 4;  // a warp's 16-row and 8-column tiles: 2 x 4 warps
  constexpr int kStageBytes = stage_bytes(BM);
  extern __shared__ __align__(128) char shared[];
  pdl_launch();
  const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
  const int token0 = static_cast<int>(blockIdx.x) * BM, row0 = static_cast<int>(blockIdx.y) * kBN;
  const uint32_t base = shared_address(shared);
  const int steps = (args.k + kBK - 1) / kBK;

  const int piece = thread % 8, first = thread / 8;  // this thread copies piece `piece` of rows first, first + 32, ...
  auto copy_rows = [&](const T* source, int64_t stride, int origin, int limit, int rows, uint32_t place, int step) {
    const int at = step * kBK + piece * 8;
#pragma unroll
    for (int i = 0; i < rows / 32; ++i) {
      const int row = first + 32 * i;
      const bool valid = origin + row < limit && at < args.k;
      copy_async(place + static_cast<uint32_t>(row * 128 + (piece ^ (row % 8)) * 16),
                 source + (valid ? (origin + row) * stride + at : 0), valid);
    }
  };
  auto copy_x = [&](int step) {
    copy_rows(static_cast<const T*>(args.x), args.x_stride, token0, args.num_tokens, BM,
              base + static_cast<uint32_t>(step % kStages * kStageBytes), step);
  };
  auto copy_weight = [&](int step) {
    copy_rows(static_cast<const T*>(args.weight), args.k, row0, args.n, kBN,
              base + static_cast<uint32_t>(step % kStages * kStageBytes + BM * 128), step);
  };

  for (int s = 0; s < kStages - 1 && s < steps; ++s) copy_weight(s);
  pdl_wait();
  for (int s = 0; s < kStages - 1; ++s) {
    if (s < steps) copy_x(s);
    copy_commit();
  }

  const int warp_m = warp / 4 * (BM / 2), warp_n = warp % 4 * 32;
  float sums[kMI][kNI][4] = {};
  for (int step = 0; step < steps; ++step) {
    copy_wait<kStages - 2>();
    __syncthreads();  // all pieces of this step are there, and the stage refilled next has been read by all
    if (step + kStages - 1 < steps) copy_x(step + kStages - 1), copy_weight(step + kStages - 1);
    copy_commit();
    const uint32_t x_place = base + static_cast<uint32_t>(step % kStages * kStageBytes), w_place = x_place + BM * 128;
#pragma unroll
    for (int kk = 0; kk < kBK / 16; ++kk) {
      uint4 x[kMI], w[kNI / 2];
#pragma unroll
      for (int i = 0; i < kMI; ++i) {
        const int row = warp_m + i * 16 + lane % 16, c = kk * 2 + lane / 16;
        x[i] = load_matrix4(x_place + static_cast<uint32_t>(row * 128 + (c ^ (row % 8)) * 16));
      }
#pragma unroll
      for (int j = 0; j < kNI / 2; ++j) {
        const int row = warp_n + j * 16 + lane / 16 * 8 + lane % 8, c = kk * 2 + lane / 8 % 2;
        w[j] = load_matrix4(w_place + static_cast<uint32_t>(row * 128 + (c ^ (row % 8)) * 16));
      }
#pragma unroll
      for (int i = 0; i < kMI; ++i) {
#pragma unroll
        for (int j = 0; j < kNI / 2; ++j) {
          mma_16816<T>(sums[i][2 * j], x[i].x, x[i].y, x[i].z, x[i].w, w[j].x, w[j].y);
          mma_16816<T>(sums[i][2 * j + 1], x[i].x, x[i].y, x[i].z, x[i].w, w[j].z, w[j].w);
        }
      }
    }
  }
  copy_wait<0>();

#pragma unroll
  for (int i = 0; i < kMI; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int token = token0 + warp_m + i * 16 + half * 8 + lane / 4;
      if (token >= args.num_tokens) continue;
#pragma unroll
      for (int j = 0; j < kNI; ++j) {
        const int row = row0 + warp_n + j * 8 + lane % 4 * 2;
        store_pair<T>(args.epilogue, token, row, sums[i][j][2 * half], sums[i][j][2 * half + 1]);
      }
    }
  }
}

template <typename T, int BM>
Status run_gemm(const GemmArgs& args, StreamRef stream) {
  const dim3 grid(static_cast<unsigned>((args.num_tokens + BM - 1) / BM),
                  static_cast<unsigned>((args.n + kBN - 1) / kBN));
  return launch(linear_gemm<T, BM>, {grid, dim3(kThreads), static_cast<size_t>(kStages * stage_bytes(BM))}, stream,
                args);
}

template <typename T, int BM>
Status prepare() {
  CUDA_RETURN_IF_ERROR(cudaFuncSetAttribute(linear_gemm<T, BM>, cudaFuncAttributePreferredSharedMemoryCarveout, 100));
  return allow_smem(linear_gemm<T, BM>, kStages * stage_bytes(BM));
}

template <typename T>
Status run_gemm_of(const GemmArgs& args, StreamRef stream) {
  return args.num_tokens <= 64 ? run_gemm<T, 64>(args, stream) : run_gemm<T, 128>(args, stream);
}

}  // namespace
}  // namespace linear_cuda_impl

Status prepare_linear_gemm() {
  using namespace linear_cuda_impl;
  RETURN_IF_ERROR((prepare<__half, 64>()));
  RETURN_IF_ERROR((prepare<__half, 128>()));
  RETURN_IF_ERROR((prepare<__nv_bfloat16, 64>()));
  return prepare<__nv_bfloat16, 128>();
}

Status launch_linear_gemm(DType dtype, const LinearKernelArgs& a, StreamRef stream) {
  using namespace linear_cuda_impl;
  const GemmArgs args{a.weight, a.x, a.x_stride, a.num_tokens, a.n, a.k, Epilogue(a, 2)};
  return dtype == DType::kFloat16 ? run_gemm_of<__half>(args, stream) : run_gemm_of<__nv_bfloat16>(args, stream);
}

}  // namespace vllm
