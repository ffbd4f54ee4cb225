#pragma once
// The weight-streaming kernel for 17 tokens and more, of Hopper's warpgroup products.
//
// A block has BM rows of the weight as the rows of the product (warpgroups of 64) and BN tokens as its columns. One
// thread copies tiles of 64 k of both into a ring of stages; the weight's copies begin before the kernel in front is
// done, those of x after. The blocks of a cluster are k_split parts of k times `share` neighbouring tiles of rows:
// those with the same k share x, each copying its part of it into all of them. Each part of k finishes every k_split-th
// 8 tokens: it adds the sums out of all parts' shared memory in their order, so that nothing depends on timing.
#include "kernels/linear/linear_cluster.cuh"
#include "kernels/linear/linear_mma.cuh"
#include "kernels/linear/linear_wgmma_ops.cuh"
#include "kernels/linear/linear_wgmma_tail.cuh"
#include "tensor/cuda/hopper.cuh"
#include "tensor/cuda/launch_cluster.cuh"

namespace vllm::linear_cuda_impl {

inline constexpr int kMaxWgmmaStages = 32;
/// The products' warps, and one that copies.
constexpr int wgmma_threads(int tile_rows) { return 2 * tile_rows + 32; }

struct WgmmaArgs {
  int num_tokens, n, k;
  int stages, k_split, share;
  int prefetch_units, launch_at;
  WgmmaTail tail;
};

__device__ __forceinline__ float4 load_shared4(uint32_t place) {
  const uint4 v = load_shared16(place);
  return {__uint_as_float(v.x), __uint_as_float(v.y), __uint_as_float(v.z), __uint_as_float(v.w)};
}

template <typename T, int BM, int BN>
__global__ void __launch_bounds__(wgmma_threads(BM), wgmma_blocks_per_sm(BM, BN))
    linear_wgmma(const __grid_constant__ CUtensorMap weight_map, const __grid_constant__ CUtensorMap x_map,
                 const __grid_constant__ WgmmaArgs args) {
  constexpr int kConsumers = 2 * BM, kWeightBytes = BM * 128, kStageBytes = (BM + BN) * 128;
  constexpr int kPitch = BM + 4;  // floats of a token's sums: no two lanes that write or read at once meet in a bank
  extern __shared__ char dynamic_shared[];
  __shared__ uint64_t full_barriers[kMaxWgmmaStages], empty_barriers[kMaxWgmmaStages];
  if (args.launch_at == 0) pdl_launch();

  // Which part of k, which of the tiles of the cluster that share x.
  const int size = args.k_split * args.share, rank = static_cast<int>(blockIdx.x) % size;
  const int part = rank / args.share, member = rank % args.share;
  const int row0 = (static_cast<int>(blockIdx.x) / size * args.share + member) * BM;
  const int token0 = static_cast<int>(blockIdx.y) * BN;
  const int all_units = (args.k + kWgmmaUnit - 1) / kWgmmaUnit, unit0 = all_units * part / args.k_split;
  const int units = all_units * (part + 1) / args.k_split - unit0, first = min(args.stages, units);
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const bool producer = warp == kConsumers / 32;
  const uint32_t shared = shared_address(dynamic_shared), ring = (shared + 1023) & ~1023u;
  const uint32_t full = shared_address(full_barriers), empty = shared_address(empty_barriers);

  const uint64_t policy = evict_first_policy();
  auto copy_weight = [&](int stage, int unit) {
    barrier_expect(full + stage * 8, kStageBytes);
    tensor_copy(ring + stage * kStageBytes, weight_map, (unit0 + unit) * kWgmmaUnit, row0, full + stage * 8, policy);
  };
  auto copy_x = [&](int stage, int unit) {  // this block's part of what it shares
    const uint32_t to = ring + stage * kStageBytes + kWeightBytes;
    const int column = (unit0 + unit) * kWgmmaUnit, rows = BN / args.share;
    if (args.share == 1) {
      tensor_copy(to, x_map, column, token0, full + stage * 8);
    } else {
      const auto blocks = static_cast<uint16_t>(((1 << args.share) - 1) << (part * args.share));
      tensor_copy_multicast(to + member * rows * 128, x_map, column, token0 + member * rows, full + stage * 8, blocks);
    }
  };

  if (producer && lane == 0) {
    tensor_map_prefetch(weight_map);
    tensor_map_prefetch(x_map);
#pragma unroll 1
    for (int s = 0; s < args.stages; ++s) {
      barrier_init(full + s * 8, 1);
      barrier_init(empty + s * 8, kConsumers / 32 * args.share);
    }
    barrier_init_fence();
#pragma unroll 1
    for (int i = 0; i < first; ++i) copy_weight(i, i);
#pragma unroll 1
    for (int i = first; i < min(first + args.prefetch_units, units); ++i) {
      tensor_prefetch_l2(weight_map, (unit0 + i) * kWgmmaUnit, row0);
    }
  }
  if (args.launch_at == 1) pdl_launch();
  __syncthreads();
  if (args.share > 1) cluster_arrive(), cluster_wait();  // the barriers of the others are there

  if (producer) {
    if (lane == 0) {
      pdl_wait();
#pragma unroll 1
      for (int i = 0; i < first; ++i) copy_x(i, i);
      int stage = 0, phase = 0;
#pragma unroll 1
      for (int i = first; i < units; ++i) {
        barrier_wait(empty + stage * 8, phase);
        copy_weight(stage, i);
        copy_x(stage, i);
        if (++stage == args.stages) stage = 0, phase ^= 1;
      }
    }
    __syncwarp();
    if (args.k_split > 1) cluster_arrive(), cluster_wait();
    if (size > 1) cluster_arrive();
  } else {
    float sums[BN / 2] = {};
    int stage = 0, phase = 0, before = -1;
    auto release = [&](int s) {
      if (args.share == 1) {
        if (lane == 0) barrier_arrive(empty + s * 8);
      } else if (lane < args.share) {
        barrier_arrive_remote(cluster_address(empty + s * 8, part * args.share + lane));
      }
    };
#pragma unroll 1
    for (int unit = 0; unit < units; ++unit) {
      barrier_wait(full + stage * 8, phase);
      const uint32_t weight = ring + stage * kStageBytes + warp / 4 * (64 * 128);
      const uint64_t a = rows_along_k(weight), b = rows_along_k(ring + stage * kStageBytes + kWeightBytes);
      wgmma_fence();
#pragma unroll
      for (int kk = 0; kk < kWgmmaUnit / 16; ++kk) wgmma<T>(sums, a + 2 * kk, b + 2 * kk);
      wgmma_commit();
      if (before >= 0) {
        wgmma_wait<1>();
        release(before);
      }
      before = stage;
      if (++stage == args.stages) stage = 0, phase ^= 1;
    }
    wgmma_wait<0>();
#pragma unroll
    for (float& sum : sums) asm volatile("" : "+f"(sum)::"memory");  // what is read below is read here

    named_sync(1, kConsumers);  // all products are done, all copies have come: the ring's memory takes the sums
    const uint32_t place = ring + ((lane % 4 * 2 * kPitch + warp * 16 + lane / 4) * 4);
#pragma unroll
    for (int i = 0; i < BN / 2; ++i) {
      const int token = i / 4 * 8 + i % 2, row = i % 4 / 2 * 8;
      asm volatile("st.shared.f32 [%0], %1;" ::"r"(place + (token * kPitch + row) * 4), "f"(sums[i]) : "memory");
    }
    __syncwarp();
    if (args.k_split > 1) cluster_arrive_release();

    // A thread has four neighbouring rows of one of 8 tokens, of every k_split-th such group.
    constexpr uint32_t kGroupBytes = 8 * kPitch * 4;
    constexpr int kQuads = BM / 4;
    const WgmmaQuad<T> quad(args.tail, row0 + thread % kQuads * 4);
    const int tokens = min(BN, args.num_tokens - token0);
    int token = part * 8 + thread / kQuads;
    uint32_t from = ring + static_cast<uint32_t>((token * kPitch + thread % kQuads * 4) * 4);
    auto load_old = [&](int at) { return at < tokens ? quad.load(token0 + at) : float4{}; };
    pdl_wait();
    if (args.launch_at == 2) pdl_launch();
    float4 old = load_old(token);
    if (args.k_split == 1) {
      named_sync(1, kConsumers);
    } else {
      cluster_wait();
    }
#pragma unroll 1
    for (; token < tokens; token += 8 * args.k_split, from += args.k_split * kGroupBytes) {
      const float4 next_old = load_old(token + 8 * args.k_split);
      float4 sum;
      if (args.k_split == 1) {
        sum = load_shared4(from);
      } else {
        float4 parts[8];
#pragma unroll
        for (int r = 0; r < 8; ++r) {
          if (r < args.k_split) parts[r] = load_remote(cluster_address(from, r * args.share + member));
        }
        sum = parts[0];
#pragma unroll
        for (int r = 1; r < 8; ++r) {
          if (r < args.k_split) sum.x += parts[r].x, sum.y += parts[r].y, sum.z += parts[r].z, sum.w += parts[r].w;
        }
      }
      quad.store(token0 + token, sum, old);
      old = next_old;
    }
    __syncwarp();
    if (size > 1) cluster_arrive();
  }
  if (size > 1) cluster_wait();  // others reach into this block until then
}

struct WgmmaCall {
  CUtensorMap weight, x;
  WgmmaArgs args;
  unsigned blocks, token_tiles;
};

template <typename T, int BM, int BN>
Status run_wgmma(const WgmmaCall& call, StreamRef stream) {
  const LaunchShape shape{dim3(call.blocks, call.token_tiles), dim3(wgmma_threads(BM)),
                          static_cast<size_t>(wgmma_shared_bytes(BM, BN, call.args.stages))};
  const auto size = static_cast<unsigned>(call.args.k_split * call.args.share);
  if (size == 1) return launch(linear_wgmma<T, BM, BN>, shape, stream, call.weight, call.x, call.args);
  return launch_cluster(linear_wgmma<T, BM, BN>, shape, size, stream, call.weight, call.x, call.args);
}

/// fn(rows, tokens, launcher, kernel) for each instantiation, until one returns an error.
template <typename T, int BM, typename Fn>
Status each_wgmma_of_height(Fn&& fn) {
  RETURN_IF_ERROR(fn(BM, 24, run_wgmma<T, BM, 24>, linear_wgmma<T, BM, 24>));
  RETURN_IF_ERROR(fn(BM, 32, run_wgmma<T, BM, 32>, linear_wgmma<T, BM, 32>));
  RETURN_IF_ERROR(fn(BM, 48, run_wgmma<T, BM, 48>, linear_wgmma<T, BM, 48>));
  RETURN_IF_ERROR(fn(BM, 64, run_wgmma<T, BM, 64>, linear_wgmma<T, BM, 64>));
  return fn(BM, 96, run_wgmma<T, BM, 96>, linear_wgmma<T, BM, 96>);
}
template <typename T, typename Fn>
Status each_wgmma(Fn&& fn) {
  RETURN_IF_ERROR((each_wgmma_of_height<T, 64>(fn)));
  RETURN_IF_ERROR((each_wgmma_of_height<T, 128>(fn)));
  return each_wgmma_of_height<T, 192>(fn);
}

template <typename T>
Status launch_wgmma_of(const WgmmaCall& call, int tile_rows, int tile_tokens, StreamRef stream) {
  bool found = false;
  RETURN_IF_ERROR(each_wgmma<T>([&](int rows, int tokens, auto run, auto) -> Status {
    if (rows != tile_rows || tokens != tile_tokens) return {};
    found = true;
    return run(call, stream);
  }));
  if (!found) return error(ErrorCode::kInternal, "linear_wgmma: no kernel of {} x {}", tile_rows, tile_tokens);
  return {};
}

template <typename T>
Status prepare_wgmma_of(int max_shared) {
  return each_wgmma<T>([&](int, int, auto, auto kernel) -> Status {
    cudaFuncAttributes attributes{};
    CUDA_RETURN_IF_ERROR(cudaFuncGetAttributes(&attributes, kernel));
    RETURN_IF_ERROR(allow_smem(kernel, static_cast<size_t>(max_shared) - attributes.sharedSizeBytes));
    CUDA_RETURN_IF_ERROR(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, 100));
    return {};
  });
}

}  // namespace vllm::linear_cuda_impl
