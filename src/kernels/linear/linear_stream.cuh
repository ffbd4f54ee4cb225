#pragma once
// The weight-streaming kernel for up to 16 tokens.
//
// A block of 8 warps owns tiles of R * 8 weight rows; its warps share the k of a tile, 64 at a time ("unit"), and add
// their sums in a fixed order. Each thread copies with cp.async just those 16-byte pieces that it will multiply
// itself, so its ring in shared memory needs no barrier and runs on across tiles. x is the 16 rows of the tensor-core
// product, the weight rows are its 8 columns; k is permuted alike in both (16 bytes of a row are 8 neighbours in k),
// which leaves the sum as it is. The first units of the weight are on their way before the kernel in front is done.
//   kStaged   x (or its norm) lies in shared memory, at most 8 tokens; else it streams through the ring too
//   H         8 tokens or 16
#include <algorithm>

#include "kernels/linear/linear_epilogue.cuh"
#include "kernels/linear/linear_mma.cuh"
#include "tensor/cuda/launch.cuh"

namespace vllm::linear_cuda_impl {

inline constexpr int kStreamWarps = 8, kStreamThreads = 32 * kStreamWarps;
inline constexpr int kAloneBytes = 116000;  // more than half of an SM's shared memory
inline constexpr int kUnit = 64;            // k that a warp takes at a time: one cache line of each row

struct StreamArgs {
  const void* weight;
  const void* x;
  int64_t x_stride;
  const float* norm_weight;  // or nullptr
  float norm_eps;
  int num_tokens, n, k;
  int prefetch_units, launch_at;
  Epilogue epilogue;
};

/// The sums of both values over the block, in every thread.
__device__ __forceinline__ void block_sums(float (&values)[2]) {
  __shared__ float2 partial[kStreamWarps];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (int offset = 16; offset > 0; offset /= 2) {
    values[0] += __shfl_xor_sync(~0u, values[0], offset), values[1] += __shfl_xor_sync(~0u, values[1], offset);
  }
  __syncthreads();  // the pair before is read
  if (lane == 0) partial[warp] = {values[0], values[1]};
  __syncthreads();
  values[0] = values[1] = 0.0f;
#pragma unroll
  for (int w = 0; w < kStreamWarps; ++w) values[0] += partial[w].x, values[1] += partial[w].y;
}

__device__ __forceinline__ float sum_of_squares(float4 v) { return v.x * v.x + v.y * v.y + (v.z * v.z + v.w * v.w); }
__device__ __forceinline__ float4 times(float4 a, float4 b) { return {a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w}; }
template <typename T>
__device__ __forceinline__ void put_scaled(T* place, float4 v, float scale) {
  Vec<T, 4> y;
  y[0] = from_float<T>(v.x * scale), y[1] = from_float<T>(v.y * scale);
  y[2] = from_float<T>(v.z * scale), y[3] = from_float<T>(v.w * scale);
  *reinterpret_cast<Vec<T, 4>*>(place) = y;
}

/// xs[token][k] = T(norm(x)[token][k]), two tokens at a time; rows are padded with zeros to `padded` and `pitch`
/// elements apart.
template <typename T>
__device__ __forceinline__ void stage_norm(const StreamArgs& args, T* xs, int pitch, int padded) {
  constexpr int kHeld = 4;  // vectors of 4 that a thread holds per token; the rest it reads twice
  const int first = static_cast<int>(threadIdx.x) * 4, step = kStreamThreads * 4;
  auto weight_at = [&](int i) { return *reinterpret_cast<const float4*>(args.norm_weight + i); };
  float4 weight[kHeld];
#pragma unroll
  for (int c = 0; c < kHeld; ++c) weight[c] = first + c * step < args.k ? weight_at(first + c * step) : float4{};
  pdl_wait();
  for (int t0 = 0; t0 < args.num_tokens; t0 += 2) {
    auto x_at = [&](int t, int i) {
      return __ldcg(reinterpret_cast<const float4*>(static_cast<const float*>(args.x) + (t0 + t) * args.x_stride + i));
    };
    float4 held[2][kHeld];
    float sums[2] = {};
#pragma unroll
    for (int t = 0; t < 2; ++t) {
#pragma unroll
      for (int c = 0; c < kHeld; ++c) {
        const int i = first + c * step;
        held[t][c] = t0 + t < args.num_tokens && i < args.k ? x_at(t, i) : float4{};
      }
    }
#pragma unroll
    for (int t = 0; t < 2; ++t) {
#pragma unroll
      for (int c = 0; c < kHeld; ++c) {
        sums[t] += sum_of_squares(held[t][c]);
        held[t][c] = times(held[t][c], weight[c]);
      }
      for (int i = first + kHeld * step; t0 + t < args.num_tokens && i < args.k; i += step) {
        sums[t] += sum_of_squares(x_at(t, i));
      }
    }
    block_sums(sums);
#pragma unroll
    for (int t = 0; t < 2; ++t) {
      if (t0 + t >= args.num_tokens) continue;
      T* row = xs + (t0 + t) * pitch;
      const float scale = rsqrtf(sums[t] / static_cast<float>(args.k) + args.norm_eps);
#pragma unroll
      for (int c = 0; c < kHeld; ++c) {
        if (first + c * step < padded) put_scaled(row + first + c * step, held[t][c], scale);
      }
      for (int i = first + kHeld * step; i < padded; i += step) {
        put_scaled(row + i, i < args.k ? times(x_at(t, i), weight_at(i)) : float4{}, scale);
      }
    }
  }
}

template <typename T>
__device__ __forceinline__ void stage_plain(const StreamArgs& args, T* xs, int pitch, int padded) {
  pdl_wait();
  const auto* x = static_cast<const T*>(args.x);
  for (int t = 0; t < args.num_tokens; ++t) {
    for (int i = static_cast<int>(threadIdx.x) * 8; i < padded; i += kStreamThreads * 8) {
      const uint4 v = i < args.k ? __ldcg(reinterpret_cast<const uint4*>(x + t * args.x_stride + i)) : uint4{};
      *reinterpret_cast<uint4*>(xs + t * pitch + i) = v;
    }
  }
}

template <typename T, int R, int H, bool kStaged>
__global__ void __launch_bounds__(kStreamThreads, 2) linear_stream(const __grid_constant__ StreamArgs args) {
  static_assert(!kStaged || H == 1);
  constexpr int kUnits = stream_units_in_flight(R, H, kStaged);  // in flight
  constexpr int kPending = kUnits * R - 1;                       // groups behind the one that is waited for
  constexpr int kXPieces = kStaged ? 0 : H;
  constexpr int kPiece = 1024;  // bytes: 8 rows of a unit
  constexpr int kUnitBytes = (R + kXPieces) * kPiece;
  constexpr int kTokens = 8 * H;
  extern __shared__ __align__(128) char shared[];
  if (args.launch_at == 0) pdl_launch();

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  char* rings = shared;
  auto* partial = reinterpret_cast<float*>(shared + kStreamWarps * kUnits * kUnitBytes);  // [warp][R][kTokens][8]
  auto* xs = reinterpret_cast<T*>(partial + kStreamWarps * R * kTokens * 8);              // [token][pitch]
  const uint32_t ring = shared_address(rings) + static_cast<uint32_t>(warp * kUnits * kUnitBytes + lane * 16);
  const int units = (args.k + kUnit - 1) / kUnit, my_units = (units - warp + kStreamWarps - 1) / kStreamWarps;
  const int tiles = (args.n + 8 * R - 1) / (8 * R);
  const int my_tiles =
      (tiles - static_cast<int>(blockIdx.x) + static_cast<int>(gridDim.x) - 1) / static_cast<int>(gridDim.x);
  const int total = my_tiles * my_units;
  const int pitch = units * kUnit + 32;  // 64 bytes more: neighbouring rows lie in other banks
  const uint64_t policy = evict_first_policy();

  // The next unit to copy: unit `next` of the warp in tile `next_tile`.
  int next = 0, next_tile = blockIdx.x, copied = 0;
  auto copy_weight = [&](int slot, int r) {
    const int row = next_tile * (8 * R) + r * 8 + g, at = (warp + next * kStreamWarps) * kUnit + 8 * t;
    const bool valid = row < args.n;
    const T* source = static_cast<const T*>(args.weight) + (valid ? static_cast<int64_t>(row) * args.k + at : 0);
    const uint32_t place = ring + static_cast<uint32_t>(slot * kUnitBytes + (kXPieces + r) * kPiece);
    copy_async_once(place, source, valid && at < args.k, policy);
    copy_async_once(place + kPiece / 2, source + (valid && at + 32 < args.k ? 32 : 0), valid && at + 32 < args.k,
                    policy);
  };
  auto copy_x = [&](int slot) {
    const int at = (warp + next * kStreamWarps) * kUnit + 8 * t;
#pragma unroll
    for (int h = 0; h < kXPieces; ++h) {
      const int token = 8 * h + g;
      const bool valid = token < args.num_tokens && at < args.k, valid2 = valid && at + 32 < args.k;
      const T* source = static_cast<const T*>(args.x) + (valid ? token * args.x_stride + at : 0);
      const uint32_t place = ring + static_cast<uint32_t>(slot * kUnitBytes + h * kPiece);
      copy_async(place, source, valid);
      copy_async(place + kPiece / 2, source + (valid2 ? 32 : 0), valid2);
    }
  };
  auto advance = [&] {
    ++copied;
    if (++next == my_units) next = 0, next_tile += static_cast<int>(gridDim.x);
  };

#pragma unroll
  for (int slot = 0; slot < kUnits; ++slot) {
    if (copied >= total) continue;
#pragma unroll
    for (int r = 0; r < R; ++r) copy_weight(slot, r);
    advance();
  }
  if (t == 0) {
    for (int i = 0; i < args.prefetch_units && copied + i < total && next + i < my_units; ++i) {
      for (int r = 0; r < R; ++r) {
        const int row = next_tile * (8 * R) + r * 8 + g;
        const int64_t at = static_cast<int64_t>(row) * args.k + (warp + (next + i) * kStreamWarps) * kUnit;
        if (row < args.n) prefetch_l2(static_cast<const T*>(args.weight) + at);
      }
    }
  }
  if (args.launch_at == 1) pdl_launch();
  if constexpr (kStaged) {
    if (args.norm_weight != nullptr) {
      stage_norm<T>(args, xs, pitch, units * kUnit);
    } else {
      stage_plain<T>(args, xs, pitch, units * kUnit);
    }
    __syncthreads();
  } else {
    pdl_wait();
    next = 0, copied = 0, next_tile = blockIdx.x;
#pragma unroll
    for (int slot = 0; slot < kUnits; ++slot) {
      if (copied >= total) continue;
      copy_x(slot);
      advance();
    }
  }
  if (args.launch_at == 2) pdl_launch();
    // One group each for the kUnits * R pieces in flight; the first one holds everything copied so far.
#pragma unroll
  for (int i = 0; i < kUnits * R; ++i) copy_commit();

  int slot = 0;
  for (int tile = blockIdx.x; tile < tiles; tile += static_cast<int>(gridDim.x)) {
    float sums[R][2][4] = {};  // two chains of products: the next one need not wait for the last
    for (int unit = 0; unit < my_units; ++unit) {
      const uint32_t place = ring + static_cast<uint32_t>(slot * kUnitBytes);
      uint4 x[H][2] = {};
      if constexpr (kStaged) {
        if (g < args.num_tokens) {
          const T* row = xs + g * pitch + (warp + unit * kStreamWarps) * kUnit + 8 * t;
          x[0][0] = load_shared16(shared_address(row)), x[0][1] = load_shared16(shared_address(row + 32));
        }
      }
#pragma unroll
      for (int r = 0; r < R; ++r) {
        copy_wait<kPending>();
        if constexpr (!kStaged) {
          if (r == 0) {
#pragma unroll
            for (int h = 0; h < H; ++h) {
              x[h][0] = load_shared16(place + h * kPiece), x[h][1] = load_shared16(place + h * kPiece + kPiece / 2);
            }
          }
        }
        const uint32_t weight_place = place + static_cast<uint32_t>((kXPieces + r) * kPiece);
        const uint4 w[2] = {load_shared16(weight_place), load_shared16(weight_place + kPiece / 2)};
        const uint4 high[2] = {H == 2 ? x[H - 1][0] : uint4{}, H == 2 ? x[H - 1][1] : uint4{}};
        mma_16816<T>(sums[r][0], x[0][0].x, high[0].x, x[0][0].y, high[0].y, w[0].x, w[0].y);
        mma_16816<T>(sums[r][1], x[0][1].x, high[1].x, x[0][1].y, high[1].y, w[1].x, w[1].y);
        mma_16816<T>(sums[r][0], x[0][0].z, high[0].z, x[0][0].w, high[0].w, w[0].z, w[0].w);
        mma_16816<T>(sums[r][1], x[0][1].z, high[1].z, x[0][1].w, high[1].w, w[1].z, w[1].w);
        if (copied < total) {
          if (!kStaged && r == 0) copy_x(slot);
          copy_weight(slot, r);
        }
        copy_commit();
      }
      if (copied < total) advance();
      slot = slot + 1 == kUnits ? 0 : slot + 1;
    }

    __syncthreads();  // the sums of the tile before are read
#pragma unroll
    for (int r = 0; r < R; ++r) {
#pragma unroll
      for (int h = 0; h < H; ++h) {
        const int token = 8 * h + g;
        const float2 sum = {sums[r][0][2 * h] + sums[r][1][2 * h], sums[r][0][2 * h + 1] + sums[r][1][2 * h + 1]};
        float* place = partial + ((warp * R + r) * kTokens + token) * 8 + 2 * t;
        if (token < args.num_tokens) *reinterpret_cast<float2*>(place) = sum;
      }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < args.num_tokens * R * 4; i += kStreamThreads) {
      const int token = i / (R * 4), r = i % (R * 4) / 4, pair = i % 4;
      float2 sum = {};
#pragma unroll
      for (int w = 0; w < kStreamWarps; ++w) {
        const auto* place = partial + ((w * R + r) * kTokens + token) * 8 + 2 * pair;
        const float2 part = *reinterpret_cast<const float2*>(place);
        sum.x += part.x, sum.y += part.y;
      }
      store_pair<T>(args.epilogue, token, tile * (8 * R) + r * 8 + 2 * pair, sum.x, sum.y);
    }
  }
  copy_wait<0>();
}

template <typename T, int R, int H, bool kStaged>
Status run_stream(const StreamArgs& args, const LinearConfig& config, StreamRef stream) {
  int bytes = stream_shared_bytes(R, H, kStaged, args.num_tokens, args.k);
  if (config.alone) bytes = std::max(bytes, kAloneBytes);
  const LaunchShape shape{dim3(static_cast<unsigned>(config.grid)), dim3(kStreamThreads), static_cast<size_t>(bytes)};
  return launch(linear_stream<T, R, H, kStaged>, shape, stream, args);
}

/// fn(R, halves, staged, launcher, kernel) for each instantiation, until one returns an error.
template <typename T, int R, typename Fn>
Status each_of_height(Fn&& fn) {
  RETURN_IF_ERROR(fn(R, 1, true, run_stream<T, R, 1, true>, linear_stream<T, R, 1, true>));
  RETURN_IF_ERROR(fn(R, 1, false, run_stream<T, R, 1, false>, linear_stream<T, R, 1, false>));
  return fn(R, 2, false, run_stream<T, R, 2, false>, linear_stream<T, R, 2, false>);
}
template <typename T, typename Fn>
Status each_stream(Fn&& fn) {
  RETURN_IF_ERROR((each_of_height<T, 1>(fn)));
  RETURN_IF_ERROR((each_of_height<T, 2>(fn)));
  RETURN_IF_ERROR((each_of_height<T, 3>(fn)));
  RETURN_IF_ERROR((each_of_height<T, 4>(fn)));
  return each_of_height<T, 6>(fn);
}

template <typename T>
Status launch_stream_of(const StreamArgs& args, const LinearConfig& config, StreamRef stream) {
  const int halves = args.num_tokens > 8 ? 2 : 1;
  bool found = false;
  RETURN_IF_ERROR(each_stream<T>([&](int r, int h, bool staged, auto run, auto) -> Status {
    if (r != config.row_groups || h != halves || staged != config.staged_x) return {};
    found = true;
    return run(args, config, stream);
  }));
  if (!found) return error(ErrorCode::kInternal, "linear_stream: no kernel for {} row groups", config.row_groups);
  return {};
}

template <typename T>
Status prepare_stream_of(int max_shared) {
  return each_stream<T>([&](int, int, bool, auto, auto kernel) -> Status {
    cudaFuncAttributes attributes{};
    CUDA_RETURN_IF_ERROR(cudaFuncGetAttributes(&attributes, kernel));
    RETURN_IF_ERROR(allow_smem(kernel, static_cast<size_t>(max_shared) - attributes.sharedSizeBytes));
    // One division of shared memory and L1 for all kernels of a step: changing it would wait for an idle SM.
    CUDA_RETURN_IF_ERROR(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, 100));
    return {};
  });
}

}  // namespace vllm::linear_cuda_impl
