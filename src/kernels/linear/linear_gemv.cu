// One token: each warp (or S warps that share k) multiplies two weight rows at a time, out of registers.
//
// k is cut in chunks of 256, 8 neighbours for each lane; a step is 4 chunks of both rows, so a lane has 8 loads of 16
// bytes under way. The first step's loads begin before the kernel in front is done; after it, a chunk's registers take
// the next step's load as soon as they are multiplied. x lies in shared memory as float32. With a norm it is x times
// the norm's weight: the factor of the row is known only after all of x, and is multiplied to the sum.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/linear/linear_epilogue.cuh"
#include "tensor/cuda/launch.cuh"

namespace vllm {
namespace linear_cuda_impl {
namespace {

constexpr int kWarps = 8, kThreads = 32 * kWarps, kSteps = 4, kChunk = 256;

struct GemvArgs {
  const void* weight;
  const void* x;
  const float* norm_weight;  // or nullptr
  float norm_eps;
  int n, k, launch_at;
  Epilogue epilogue;
};

__device__ __forceinline__ uint4 load_once(const void* place) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(place));
  return v;
}

template <typename T>
__device__ __forceinline__ float2 unpack(uint32_t pair) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    return {__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u)};
  } else {
    return __half22float2(*reinterpret_cast<const __half2*>(&pair));
  }
}

// Where the 4 values from element e on lie: no two lanes that read 4 of their 8 values meet in a bank.
__device__ __forceinline__ int place_of(int e) { return e / kChunk * 64 + e % 8 / 4 * 32 + e % kChunk / 8; }

template <typename T>
__device__ __forceinline__ float product(uint4 w, float4 low, float4 high, float sum) {
  const float2 a = unpack<T>(w.x), b = unpack<T>(w.y), c = unpack<T>(w.z), d = unpack<T>(w.w);
  sum = fmaf(a.x, low.x, sum), sum = fmaf(a.y, low.y, sum), sum = fmaf(b.x, low.z, sum), sum = fmaf(b.y, low.w, sum);
  sum = fmaf(c.x, high.x, sum), sum = fmaf(c.y, high.y, sum), sum = fmaf(d.x, high.z, sum);
  return fmaf(d.y, high.w, sum);
}

// x, or x times the norm's weight, into shared memory with zeros from k to a whole chunk; this thread's part of the
// sum of squares.
template <typename T>
__device__ __forceinline__ float stage(const GemvArgs& args, float4* xs, int padded) {
  const int tid = static_cast<int>(threadIdx.x);
  float squares = 0.0f;
  if (args.norm_weight == nullptr) {
    for (int i = tid * 8; i < padded; i += kThreads * 8) {
      const uint4 v = i < args.k ? __ldcg(reinterpret_cast<const uint4*>(static_cast<const T*>(args.x) + i)) : uint4{};
      const float2 a = unpack<T>(v.x), b = unpack<T>(v.y), c = unpack<T>(v.z), d = unpack<T>(v.w);
      xs[place_of(i)] = {a.x, a.y, b.x, b.y}, xs[place_of(i + 4)] = {c.x, c.y, d.x, d.y};
    }
    return 0.0f;
  }
#pragma unroll 4
  for (int i = tid * 4; i < padded; i += kThreads * 4) {
    float4 v{}, g{};
    if (i < args.k) {
      v = __ldcg(reinterpret_cast<const float4*>(static_cast<const float*>(args.x) + i));
      g = *reinterpret_cast<const float4*>(args.norm_weight + i);
    }
    squares += v.x * v.x + v.y * v.y + (v.z * v.z + v.w * v.w);
    xs[place_of(i)] = {v.x * g.x, v.y * g.y, v.z * g.z, v.w * g.w};
  }
  return squares;
}

template <typename T, int S>
__global__ void __launch_bounds__(kThreads, 4) linear_gemv(const __grid_constant__ GemvArgs args) {
  constexpr int kGroups = kWarps / S;
  extern __shared__ float4 xs[];  // [chunk][half of 8][lane]
  __shared__ float square_parts[kWarps];
  __shared__ float2 parts[2][kWarps];
  if (args.launch_at == 0) pdl_launch();
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int group = warp / S, sub = warp % S;
  const int chunks = (args.k + kChunk - 1) / kChunk, steps = (chunks + S * kSteps - 1) / (S * kSteps);
  const int pairs = (args.n + 1) / 2;

  uint4 w[2][kSteps];
  auto load = [&](int pair, int step, int c) {
    const int at = ((step * kSteps + c) * S + sub) * kChunk + lane * 8;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int row = 2 * pair + r;
      const T* source = static_cast<const T*>(args.weight) + static_cast<int64_t>(row) * args.k + at;
      w[r][c] = row < args.n && at < args.k ? load_once(source) : uint4{};
    }
  };
  int base = static_cast<int>(blockIdx.x) * kGroups;
#pragma unroll
  for (int c = 0; c < kSteps; ++c) load(base + group, 0, c);
  if (args.norm_weight != nullptr && static_cast<int>(threadIdx.x) * 4 < args.k)
    asm volatile("prefetch.global.L2 [%0];" ::"l"(args.norm_weight + threadIdx.x * 4));
  if (args.launch_at == 1) pdl_launch();
  pdl_wait();
  if (args.launch_at == 2) pdl_launch();
  const bool finishes = sub == 0 && lane == 0;
  float2 before{};
  if (finishes) before = load_before(args.epilogue, 0, 2 * (base + group));
  float squares = stage<T>(args, xs, chunks * kChunk), scale = 1.0f;
  if (args.norm_weight != nullptr) {
    for (int offset = 16; offset > 0; offset /= 2) squares += __shfl_xor_sync(~0u, squares, offset);
    if (lane == 0) square_parts[warp] = squares;
  }
  __syncthreads();
  if (args.norm_weight != nullptr) {
    squares = 0.0f;
#pragma unroll
    for (int i = 0; i < kWarps; ++i) squares += square_parts[i];
    scale = rsqrtf(squares / static_cast<float>(args.k) + args.norm_eps);
  }

  const int stride = static_cast<int>(gridDim.x) * kGroups;
  for (int round = 0; base < pairs; base += stride, round ^= 1) {
    float a = 0.0f, b = 0.0f;
    for (int step = 0; step < steps; ++step) {
      const bool last = step + 1 == steps;
      const int next_pair = (last ? base + stride : base) + group, next_step = last ? 0 : step + 1;
#pragma unroll
      for (int c = 0; c < kSteps; ++c) {
        const int chunk = (step * kSteps + c) * S + sub;
        if (chunk < chunks) {
          const float4 low = xs[chunk * 64 + lane], high = xs[chunk * 64 + 32 + lane];
          a = product<T>(w[0][c], low, high, a), b = product<T>(w[1][c], low, high, b);
        }
        if (2 * next_pair < args.n) load(next_pair, next_step, c);
      }
    }
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) {
      a += __shfl_xor_sync(~0u, a, offset), b += __shfl_xor_sync(~0u, b, offset);
    }
    if constexpr (S > 1) {
      if (lane == 0) parts[round][warp] = {a, b};
      __syncthreads();  // the other half of parts is read: each round writes the half that is two rounds old
      if (finishes) {
#pragma unroll
        for (int i = 1; i < S; ++i) a += parts[round][warp + i].x, b += parts[round][warp + i].y;
      }
    }
    if (finishes) {
      store_pair<T>(args.epilogue, 0, 2 * (base + group), a * scale, b * scale, before);
      if (base + stride < pairs) before = load_before(args.epilogue, 0, 2 * (base + stride + group));
    }
  }
}

template <typename T, typename Fn>
Status each_gemv(Fn&& fn) {
  RETURN_IF_ERROR(fn(1, linear_gemv<T, 1>));
  RETURN_IF_ERROR(fn(2, linear_gemv<T, 2>));
  RETURN_IF_ERROR(fn(4, linear_gemv<T, 4>));
  return fn(8, linear_gemv<T, 8>);
}

template <typename T>
Status launch_of(const LinearKernelArgs& a, const LinearConfig& config, StreamRef stream) {
  const GemvArgs args{.weight = a.weight,
                      .x = a.x,
                      .norm_weight = config.fused_norm ? a.norm_weight : nullptr,
                      .norm_eps = a.norm_eps,
                      .n = a.n,
                      .k = a.k,
                      .launch_at = config.launch_at,
                      .epilogue = Epilogue(a, sizeof(T))};
  const int chunks = (a.k + kChunk - 1) / kChunk;
  bool found = false;
  RETURN_IF_ERROR(each_gemv<T>([&](int split, auto kernel) -> Status {
    if (split != config.k_split) return {};
    found = true;
    const LaunchShape shape{dim3(static_cast<unsigned>(config.grid)), dim3(kThreads),
                            static_cast<size_t>(chunks) * kChunk * 4};
    return launch(kernel, shape, stream, args);
  }));
  if (!found) return error(ErrorCode::kInternal, "linear_gemv: k in {} parts", config.k_split);
  return {};
}

template <typename T>
Status prepare_of() {
  return each_gemv<T>([](int, auto kernel) -> Status {
    RETURN_IF_ERROR(allow_smem(kernel, size_t{kMaxGemvK} * 4));
    CUDA_RETURN_IF_ERROR(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, 100));
    return {};
  });
}

}  // namespace
}  // namespace linear_cuda_impl

Status prepare_linear_gemv() {
  RETURN_IF_ERROR(linear_cuda_impl::prepare_of<__half>());
  return linear_cuda_impl::prepare_of<__nv_bfloat16>();
}

Status launch_linear_gemv(DType dtype, const LinearKernelArgs& a, const LinearConfig& config, StreamRef stream) {
  if (a.num_tokens != 1 || a.k > kMaxGemvK || config.grid < 1)
    return error(ErrorCode::kInternal, "linear_gemv: {} tokens, k {}", a.num_tokens, a.k);
  return dtype == DType::kFloat16 ? linear_cuda_impl::launch_of<__half>(a, config, stream)
                                  : linear_cuda_impl::launch_of<__nv_bfloat16>(a, config, stream);
}

}  // namespace vllm
