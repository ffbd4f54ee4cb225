#pragma once
// The whole of x in shared memory, as it is or normalized: the front of the streaming kernel. Both wait for the kernel
// in front, and all threads must pass a barrier before they read what was staged.
#include "kernels/linear/linear_stream_args.cuh"
#include "tensor/cuda/launch.cuh"

namespace vllm::linear_cuda_impl {

inline constexpr int kHeld = 8;  // vectors that a thread has in flight

__device__ __forceinline__ float sum_of_squares(float4 v) { return v.x * v.x + v.y * v.y + (v.z * v.z + v.w * v.w); }
__device__ __forceinline__ float4 times(float4 a, float4 b) { return {a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w}; }
template <typename T>
__device__ __forceinline__ void put_scaled(T* place, float4 v, float scale) {
  Vec<T, 4> y;
  y[0] = from_float<T>(v.x * scale), y[1] = from_float<T>(v.y * scale);
  y[2] = from_float<T>(v.z * scale), y[3] = from_float<T>(v.w * scale);
  *reinterpret_cast<Vec<T, 4>*>(place) = y;
}

/// Each of the values summed over the block, in every thread; scratch is 64 floats of shared memory.
__device__ __forceinline__ void block_sums(float (&v)[kHeld], float* scratch) {
  static_assert(kHeld == 8 && kStreamWarps == 8);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  // Halve what a lane is in charge of three times: lane / 4 is the value's index in the end.
#pragma unroll
  for (int width = 4; width >= 1; width /= 2) {
    const bool high = lane & (width * 4);
#pragma unroll
    for (int i = 0; i < width; ++i) {
      const float mine = high ? v[i + width] : v[i], other = high ? v[i] : v[i + width];
      v[i] = mine + __shfl_xor_sync(~0u, other, width * 4);
    }
  }
  v[0] += __shfl_xor_sync(~0u, v[0], 2);
  v[0] += __shfl_xor_sync(~0u, v[0], 1);
  __syncthreads();  // the scratch of the pass before is read
  if (lane % 4 == 0) scratch[warp * kHeld + lane / 4] = v[0];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kHeld; ++i) v[i] = 0.0f;
#pragma unroll
  for (int w = 0; w < kStreamWarps; ++w) {
    const float4 low = *reinterpret_cast<const float4*>(scratch + w * kHeld);
    const float4 high = *reinterpret_cast<const float4*>(scratch + w * kHeld + 4);
    v[0] += low.x, v[1] += low.y, v[2] += low.z, v[3] += low.w;
    v[4] += high.x, v[5] += high.y, v[6] += high.z, v[7] += high.w;
  }
}

/// xs[token][k] = T(norm(x)[token][k]); rows are padded with zeros to `padded` and `pitch` elements apart. A pass takes
/// 8, 4 or 2 tokens: as many as have their first 1024, 2048 or 4096 elements in the registers of a block.
template <typename T>
__device__ __forceinline__ void stage_norm(const StreamArgs& args, T* xs, int pitch, int padded, float* scratch) {
  constexpr int kStep = kStreamThreads * 4;
  const int first = static_cast<int>(threadIdx.x) * 4;
  const int log = args.k <= kStep ? 0 : args.k <= 2 * kStep ? 1 : 2;  // a token has 2^log of the held vectors
  auto weight_at = [&](int i) { return *reinterpret_cast<const float4*>(args.norm_weight + i); };
  float4 weight[4];
#pragma unroll
  for (int c = 0; c < 4; ++c) weight[c] = first + c * kStep < args.k ? weight_at(first + c * kStep) : float4{};
  pdl_wait();
  for (int t0 = 0; t0 < args.num_tokens; t0 += kHeld >> log) {
    auto x_at = [&](int t, int i) {
      return __ldcg(reinterpret_cast<const float4*>(static_cast<const float*>(args.x) + t * args.x_stride + i));
    };
    float4 held[kHeld];
    float sums[kHeld];
#pragma unroll
    for (int e = 0; e < kHeld; ++e) {
      const int t = t0 + (e >> log), i = first + (e & ((1 << log) - 1)) * kStep;
      held[e] = t < args.num_tokens && i < args.k ? x_at(t, i) : float4{};
    }
#pragma unroll
    for (int e = 0; e < kHeld; ++e) {
      sums[e] = sum_of_squares(held[e]);
      const int t = t0 + (e >> log);
      if ((e & 3) == 0 && t < args.num_tokens) {
        for (int i = first + 4 * kStep; i < args.k; i += kStep) sums[e] += sum_of_squares(x_at(t, i));
      }
      held[e] = times(held[e], log == 0 ? weight[0] : log == 1 ? weight[e & 1] : weight[e & 3]);
    }
    block_sums(sums, scratch);
#pragma unroll
    for (int e = 0; e < kHeld; ++e) {
      const int t = t0 + (e >> log), i = first + (e & ((1 << log) - 1)) * kStep;
      float sum = sums[e];
      if (log == 1) sum = sums[e & ~1] + sums[e | 1];
      if (log == 2) sum = (sums[e & ~3] + sums[(e & ~3) + 1]) + (sums[(e & ~3) + 2] + sums[e | 3]);
      const float scale = rsqrtf(sum / static_cast<float>(args.k) + args.norm_eps);
      if (t >= args.num_tokens) continue;
      if (i < padded) put_scaled(xs + t * pitch + i, held[e], scale);
      if ((e & 3) != 0) continue;
      for (int j = first + 4 * kStep; j < padded; j += kStep) {
        put_scaled(xs + t * pitch + j, j < args.k ? times(x_at(t, j), weight_at(j)) : float4{}, scale);
      }
    }
  }
}

template <typename T>
__device__ __forceinline__ void stage_plain(const StreamArgs& args, T* xs, int pitch, int padded) {
  const unsigned row_vectors = static_cast<unsigned>(padded) / 8;
  const unsigned count = row_vectors * static_cast<unsigned>(args.num_tokens);
  pdl_wait();
  for (unsigned base = threadIdx.x; base < count; base += kHeld * kStreamThreads) {
    uint4 held[kHeld];
#pragma unroll
    for (int e = 0; e < kHeld; ++e) {
      const unsigned v = base + e * kStreamThreads, t = v / row_vectors, i = (v - t * row_vectors) * 8;
      const T* place = static_cast<const T*>(args.x) + t * args.x_stride + i;
      held[e] = v < count && i < args.k ? __ldcg(reinterpret_cast<const uint4*>(place)) : uint4{};
    }
#pragma unroll
    for (int e = 0; e < kHeld; ++e) {
      const unsigned v = base + e * kStreamThreads, t = v / row_vectors, i = (v - t * row_vectors) * 8;
      if (v < count) *reinterpret_cast<uint4*>(xs + t * pitch + i) = held[e];
    }
  }
}

}  // namespace vllm::linear_cuda_impl
