// One block a row. Rows whose width is a multiple of 4 stay in registers between the sum and the scaling.
#include "kernels/rms_norm/rms_norm_cuda.h"

#include <algorithm>

#include "tensor/cuda/launch.cuh"
#include "tensor/cuda/types.cuh"

namespace vllm {
namespace {

constexpr int kHeld = 4;  // vectors of 4 that a thread holds
constexpr int kMaxThreads = 1024;

template <typename Out, typename In>
struct Args {
  Out* out;
  const In* x;
  float* residual;  // or nullptr
  const float* weight;
  const int32_t* rows;  // or nullptr
  int64_t out_stride, x_stride, residual_stride;
  int hidden;
  float eps;
};

// The sum over the block, in every thread; the order depends on the block's size alone.
__device__ float block_sum(float value) {
  __shared__ float partial[32];
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(~0u, value, offset);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
  if (lane == 0) partial[warp] = value;
  __syncthreads();
  float sum = lane < warps ? partial[lane] : 0.0f;
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(~0u, sum, offset);
  return sum;
}

template <typename Out, typename In>
__global__ void __launch_bounds__(kMaxThreads) rms_norm_rows(Args<Out, In> args) {
  pdl_launch();
  const int step = static_cast<int>(blockDim.x) * 4, first = static_cast<int>(threadIdx.x) * 4;
  Vec<float, 4> weight[kHeld], value[kHeld];
#pragma unroll
  for (int c = 0; c < kHeld; ++c) {
    if (first + c * step < args.hidden)
      weight[c] = *reinterpret_cast<const Vec<float, 4>*>(args.weight + first + c * step);
  }
  pdl_wait();
  const int64_t out_row = blockIdx.x, row = args.rows != nullptr ? args.rows[out_row] : out_row;
  Out* out = args.out + out_row * args.out_stride;
  float sum = 0.0f;
#pragma unroll
  for (int c = 0; c < kHeld; ++c) {
    const int i = first + c * step;
    if (i >= args.hidden || row < 0) continue;
    const auto x = *reinterpret_cast<const Vec<In, 4>*>(args.x + row * args.x_stride + i);
    for (int j = 0; j < 4; ++j) value[c][j] = to_float(x[j]);
    if (args.residual != nullptr) {
      auto* residual = reinterpret_cast<Vec<float, 4>*>(args.residual + row * args.residual_stride + i);
      const Vec<float, 4> before = *residual;
      for (int j = 0; j < 4; ++j) value[c][j] += before[j];
      *residual = value[c];
    }
    for (int j = 0; j < 4; ++j) sum += value[c][j] * value[c][j];
  }
  const float scale = rsqrtf(block_sum(sum) / static_cast<float>(args.hidden) + args.eps);
#pragma unroll
  for (int c = 0; c < kHeld; ++c) {
    const int i = first + c * step;
    if (i >= args.hidden) continue;
    Vec<Out, 4> y;
    for (int j = 0; j < 4; ++j) y[j] = from_float<Out>(row < 0 ? 0.0f : value[c][j] * scale * weight[c][j]);
    *reinterpret_cast<Vec<Out, 4>*>(out + i) = y;
  }
}

// Any width and alignment: a thread reads its elements twice.
template <typename Out, typename In>
__global__ void __launch_bounds__(kMaxThreads) rms_norm_any(Args<Out, In> args) {
  pdl_launch();
  pdl_wait();
  const int64_t out_row = blockIdx.x, row = args.rows != nullptr ? args.rows[out_row] : out_row;
  Out* out = args.out + out_row * args.out_stride;
  const In* x = args.x + row * args.x_stride;  // not read if row is negative
  float* residual = args.residual != nullptr ? args.residual + row * args.residual_stride : nullptr;
  float sum = 0.0f;
  for (int i = threadIdx.x; i < args.hidden && row >= 0; i += blockDim.x) {
    float value = to_float(x[i]);
    if (residual != nullptr) value = residual[i] += value;
    sum += value * value;
  }
  const float scale = rsqrtf(block_sum(sum) / static_cast<float>(args.hidden) + args.eps);
  for (int i = threadIdx.x; i < args.hidden; i += blockDim.x) {
    float value = 0.0f;
    if (row >= 0) value = (residual != nullptr ? residual[i] : to_float(x[i])) * scale * args.weight[i];
    out[i] = from_float<Out>(value);
  }
}

bool aligned(const void* p, size_t bytes) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; }

Status check(const RmsNormCudaParams& p) {
  const int64_t num_rows = p.out.size(0), hidden = p.out.size(1);
  if (hidden < 1 || hidden > (1 << 30)) return invalid_argument("rms_norm_cuda: out has a width of {}", hidden);
  if (num_rows < 0 || num_rows > 0x7fffffff) return invalid_argument("rms_norm_cuda: out has {} rows", num_rows);
  if (p.x.size(1) != hidden || (p.rows == nullptr && p.x.size(0) != num_rows))
    return invalid_argument("rms_norm_cuda: x is [{}, {}], out [{}, {}]", p.x.size(0), p.x.size(1), num_rows, hidden);
  if (!p.residual.empty() && (p.residual.size(1) != hidden || p.residual.size(0) != p.x.size(0)))
    return invalid_argument("rms_norm_cuda: residual is [{}, {}], x [{}, {}]", p.residual.size(0), p.residual.size(1),
                            p.x.size(0), p.x.size(1));
  if (p.weight == nullptr) return invalid_argument("rms_norm_cuda: weight is missing");
  if (!(p.eps >= 0)) return invalid_argument("rms_norm_cuda: eps is {}", p.eps);
  return {};
}

}  // namespace

Status rms_norm_cuda(const RmsNormCudaParams& p, StreamRef stream) {
  RETURN_IF_ERROR(check(p));
  if (p.out.size(0) == 0) return {};
  return dispatch_float(p.out.dtype, [&](auto out_tag) -> Status {
    return dispatch_float(p.x.dtype, [&](auto in_tag) -> Status {
      using Out = decltype(out_tag);
      using In = decltype(in_tag);
      const int hidden = static_cast<int>(p.out.size(1));
      const Args<Out, In> args{static_cast<Out*>(p.out.data),
                               static_cast<const In*>(p.x.data),
                               p.residual.data,
                               p.weight,
                               p.rows,
                               p.out.stride[0],
                               p.x.stride[0],
                               p.residual.stride[0],
                               hidden,
                               p.eps};
      const bool vectors = hidden % 4 == 0 && hidden <= kMaxThreads * kHeld * 4 && p.out.stride[0] % 4 == 0 &&
                           p.x.stride[0] % 4 == 0 && p.residual.stride[0] % 4 == 0 &&
                           aligned(args.out, 4 * sizeof(Out)) && aligned(args.x, 4 * sizeof(In)) &&
                           aligned(args.weight, 16) && aligned(args.residual, 16);
      const int wanted = vectors ? (hidden + kHeld * 4 - 1) / (kHeld * 4) : (hidden + 7) / 8;
      const int threads = std::min(kMaxThreads, (wanted + 31) / 32 * 32);
      LaunchShape shape{dim3(static_cast<unsigned>(p.out.size(0))), dim3(static_cast<unsigned>(threads))};
      shape.carveout = 100;  // its neighbours are linear layers
      return launch(vectors ? rms_norm_rows<Out, In> : rms_norm_any<Out, In>, shape, stream, args);
    });
  });
}

}  // namespace vllm
