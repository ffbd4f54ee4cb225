// Linear without tensor cores, for float32 and for rows that no vector load fits; and the fused back on its own.
#include "kernels/linear/linear_epilogue.cuh"
#include "tensor/cuda/launch.cuh"

namespace vllm {
namespace linear_cuda_impl {
namespace {

constexpr int kWarps = 8, kTokens = 4;  // a warp: two weight rows times 4 tokens

template <typename T>
struct SimtArgs {
  const T* weight;
  const T* x;
  int64_t x_stride;
  int num_tokens, n, k;
  bool aligned_x;
  Epilogue epilogue;
};

template <typename T>
__global__ void __launch_bounds__(32 * kWarps) linear_simt(const __grid_constant__ SimtArgs<T> args) {
  constexpr int kWidth = kVecWidth<T>;
  pdl_launch();
  pdl_wait();
  const int lane = threadIdx.x % 32;
  const int64_t pair = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  const int64_t row = 2 * pair, token0 = int64_t{blockIdx.y} * kTokens;
  if (row >= args.n) return;
  const T* weight = args.weight + row * args.k;
  const bool two = row + 1 < args.n;
  float sums[2][kTokens] = {};
  for (int i = lane * kWidth; i < args.k; i += 32 * kWidth) {
    const auto w0 = *reinterpret_cast<const Vec<T, kWidth>*>(weight + i);
    const auto w1 = two ? *reinterpret_cast<const Vec<T, kWidth>*>(weight + args.k + i) : w0;
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
      if (token0 + t >= args.num_tokens) break;
      const T* source = args.x + (token0 + t) * args.x_stride + i;
      Vec<T, kWidth> x;
      if (args.aligned_x) {
        x = *reinterpret_cast<const Vec<T, kWidth>*>(source);
      } else {
#pragma unroll
        for (int j = 0; j < kWidth; ++j) x[j] = source[j];
      }
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        sums[0][t] = fmaf(to_float(x[j]), to_float(w0[j]), sums[0][t]);
        sums[1][t] = fmaf(to_float(x[j]), to_float(w1[j]), sums[1][t]);
      }
    }
  }
#pragma unroll
  for (int t = 0; t < kTokens; ++t) {
    for (int offset = 16; offset > 0; offset /= 2) {
      sums[0][t] += __shfl_xor_sync(~0u, sums[0][t], offset), sums[1][t] += __shfl_xor_sync(~0u, sums[1][t], offset);
    }
    if (lane == 0 && token0 + t < args.num_tokens) {
      store_pair<T>(args.epilogue, token0 + t, static_cast<int>(row), sums[0][t], sums[1][t]);
    }
  }
}

// A thread handles a pair of columns.
template <typename T>
__global__ void __launch_bounds__(256)
    linear_back(const T* x, int64_t x_stride, const __grid_constant__ Epilogue epilogue) {
  pdl_launch();
  pdl_wait();
  const int row = 2 * static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (row >= epilogue.n) return;
  const T* place = x + int64_t{blockIdx.y} * x_stride + row;
  const float a = to_float(place[0]), b = row + 1 < epilogue.n ? to_float(place[1]) : 0.0f;
  store_pair<T>(epilogue, blockIdx.y, row, a, b);
}

constexpr int kGateVectors = 4;  // that a thread of linear_gate handles

// The activation where its result is rounded to T. Of many tokens, exact exponentials and quotients would take longer
// than reading them: in two bytes SiLU does with the fast ones (2^-19 beside 2^-9 or 2^-12).
template <typename T>
__device__ __forceinline__ float activate_for(LinearBack back, float x) {
  if constexpr (sizeof(T) == 2) {
    if (back == LinearBack::kGatedSilu) return __fdividef(x, 1.0f + __expf(-x));
  }
  return activate(back, x);
}

// The gated back without a bias for whole vectors: 16 bytes of pairs make 8 bytes of out.
template <typename T>
__global__ void __launch_bounds__(256)
    linear_gate(const T* x, int64_t x_stride, T* out, int64_t out_stride, int num_vectors, LinearBack back) {
  constexpr int kWidth = kVecWidth<T>;
  const int first = static_cast<int>(blockIdx.x * (blockDim.x * kGateVectors) + threadIdx.x);
  x += int64_t{blockIdx.y} * x_stride, out += int64_t{blockIdx.y} * out_stride;
  pdl_launch();
  pdl_wait();
  Vec<T, kWidth> pairs[kGateVectors];
#pragma unroll
  for (int c = 0; c < kGateVectors; ++c) {
    const int v = first + c * static_cast<int>(blockDim.x);
    if (v < num_vectors) pairs[c] = *reinterpret_cast<const Vec<T, kWidth>*>(x + v * kWidth);
  }
#pragma unroll
  for (int c = 0; c < kGateVectors; ++c) {
    const int v = first + c * static_cast<int>(blockDim.x);
    if (v >= num_vectors) continue;
    Vec<T, kWidth / 2> y;
#pragma unroll
    for (int j = 0; j < kWidth / 2; ++j)
      y[j] = from_float<T>(activate_for<T>(back, to_float(pairs[c][2 * j])) * to_float(pairs[c][2 * j + 1]));
    *reinterpret_cast<Vec<T, kWidth / 2>*>(out + v * (kWidth / 2)) = y;
  }
}

template <typename T>
bool gates_by_vectors(const LinearKernelArgs& a) {
  constexpr int kWidth = kVecWidth<T>;
  return a.back != LinearBack::kNone && a.bias == nullptr && (!a.out_float || sizeof(T) == 4) && a.n % kWidth == 0 &&
         a.x_stride % kWidth == 0 && a.out_stride % (kWidth / 2) == 0 && reinterpret_cast<uintptr_t>(a.x) % 16 == 0 &&
         reinterpret_cast<uintptr_t>(a.out) % 8 == 0;
}

}  // namespace
}  // namespace linear_cuda_impl

Status launch_linear_simt(DType dtype, const LinearKernelArgs& a, StreamRef stream) {
  using namespace linear_cuda_impl;
  return dispatch_float(dtype, [&](auto tag) -> Status {
    using T = decltype(tag);
    const bool aligned = reinterpret_cast<uintptr_t>(a.x) % 16 == 0 && a.x_stride % kVecWidth<T> == 0;
    const SimtArgs<T> args{
        static_cast<const T*>(a.weight), static_cast<const T*>(a.x), a.x_stride, a.num_tokens, a.n, a.k, aligned,
        Epilogue(a, sizeof(T))};
    const dim3 grid(static_cast<unsigned>((a.n + 2 * kWarps - 1) / (2 * kWarps)),
                    static_cast<unsigned>((a.num_tokens + kTokens - 1) / kTokens));
    return launch(linear_simt<T>, {grid, dim3(32 * kWarps)}, stream, args);
  });
}

Status launch_linear_back(DType dtype, const LinearKernelArgs& a, StreamRef stream) {
  using namespace linear_cuda_impl;
  return dispatch_float(dtype, [&](auto tag) -> Status {
    using T = decltype(tag);
    const auto rows = static_cast<unsigned>(a.num_tokens);
    if (gates_by_vectors<T>(a)) {
      const int vectors = a.n / kVecWidth<T>, per_block = 256 * kGateVectors;
      const dim3 grid(static_cast<unsigned>((vectors + per_block - 1) / per_block), rows);
      return launch(linear_gate<T>, {grid, dim3(256)}, stream, static_cast<const T*>(a.x), a.x_stride,
                    static_cast<T*>(a.out), a.out_stride, vectors, a.back);
    }
    const dim3 grid(static_cast<unsigned>((a.n + 511) / 512), rows);
    return launch(linear_back<T>, {grid, dim3(256)}, stream, static_cast<const T*>(a.x), a.x_stride,
                  Epilogue(a, sizeof(T)));
  });
}

}  // namespace vllm
