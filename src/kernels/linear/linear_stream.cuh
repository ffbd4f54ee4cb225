#pragma once
// The weight-streaming kernel for up to 16 tokens.
//
// A block of 8 warps owns tiles of R * 8 weight rows; its warps share the k of a tile, 64 at a time ("unit"), and add
// their sums in a fixed order. Each thread copies with cp.async just those 16-byte pieces that it will multiply
// itself, so its ring in shared memory needs no barrier and runs on across tiles. x is the 16 rows of the tensor-core
// product, the weight rows are its 8 columns; k is permuted alike in both (16 bytes of a row are 8 neighbours in k),
// which leaves the sum as it is. The ring of the weight fills before the kernel in front is done: it is small enough
// for two kernels to share an SM (pick_config sees to it).
//   kStaged   x (or its norm) lies in shared memory; else each warp reads its part one unit ahead
//   H         8 tokens or 16
#include "kernels/linear/linear_mma.cuh"
#include "kernels/linear/linear_stage.cuh"

namespace vllm::linear_cuda_impl {

/// Until the oldest of the ring's pieces is there.
__device__ __forceinline__ void wait_for_piece(int ring_pieces) {
  switch (ring_pieces) {
    case 12: copy_wait<11>(); break;
    case 10: copy_wait<9>(); break;
    case 8: copy_wait<7>(); break;
    case 6: copy_wait<5>(); break;
    default: copy_wait<3>(); break;
  }
}

template <bool kTrace>
__device__ __forceinline__ void trace_mark(const StreamArgs& args, int mark) {
  if constexpr (kTrace) {
    if (threadIdx.x != 0) return;
    unsigned sm = 0;
    asm volatile("mov.u32 %0, %%smid;" : "=r"(sm));
    args.trace[blockIdx.x * (kTraceMarks + 1) + mark] = clock64();
    args.trace[blockIdx.x * (kTraceMarks + 1) + kTraceMarks] = sm;
  }
}

template <typename T, int R, int H, bool kStaged, bool kTrace = false>
__global__ void __launch_bounds__(kStreamThreads, 2) linear_stream(const __grid_constant__ StreamArgs args) {
  extern __shared__ __align__(128) char shared[];
  trace_mark<kTrace>(args, 0);
  pdl_launch();

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  auto* partial = reinterpret_cast<float*>(shared + kStreamWarps * args.ring_pieces * kPiece);  // [warp][R][tokens][8]
  auto* xs = reinterpret_cast<T*>(partial + kStreamWarps * R * args.num_tokens * 8);            // [token][pitch]
  const uint32_t ring = shared_address(shared) + static_cast<uint32_t>(warp * args.ring_pieces * kPiece + lane * 16);
  const uint32_t ring_end = ring + static_cast<uint32_t>(args.ring_pieces * kPiece);
  const int units = (args.k + kUnit - 1) / kUnit, my_units = (units - warp + kStreamWarps - 1) / kStreamWarps;
  const int tiles = (args.n + 8 * R - 1) / (8 * R);
  const int my_tiles =
      (tiles - static_cast<int>(blockIdx.x) + static_cast<int>(gridDim.x) - 1) / static_cast<int>(gridDim.x);
  const int pitch = units * kUnit + 32;  // 64 bytes more: neighbouring rows lie in other banks
  const uint64_t policy = evict_first_policy();

  // The next piece to copy: row group next_group of unit `next` of the warp in tile `next_tile`.
  int next_group = 0, next = 0, next_tile = blockIdx.x, left = my_tiles * my_units * R;
  auto copy_piece = [&](uint32_t place) {
    if (left > 0) {
      const int row = next_tile * (8 * R) + next_group * 8 + g, at = (warp + next * kStreamWarps) * kUnit + 8 * t;
      const bool valid = row < args.n && at < args.k, valid2 = row < args.n && at + 32 < args.k;
      const T* source = static_cast<const T*>(args.weight) + (valid ? static_cast<int64_t>(row) * args.k + at : 0);
      copy_async_once(place, source, valid, policy);
      copy_async_once(place + kPiece / 2, source + (valid2 ? 32 : 0), valid2, policy);
      --left;
      if (++next_group == R) {
        next_group = 0;
        if (++next == my_units) next = 0, next_tile += static_cast<int>(gridDim.x);
      }
    }
    copy_commit();
  };
  for (uint32_t place = ring; place != ring_end; place += kPiece) copy_piece(place);

  auto load_x = [&](int unit, uint4(&x)[H][2]) {
    const int at = (warp + unit * kStreamWarps) * kUnit + 8 * t;
#pragma unroll
    for (int h = 0; h < H; ++h) {
      const int token = 8 * h + g;
      if constexpr (kStaged) {
        const uint32_t place = shared_address(xs + token * pitch + at);
        x[h][0] = x[h][1] = uint4{};
        if (token < args.num_tokens) x[h][0] = load_shared16(place), x[h][1] = load_shared16(place + 64);
      } else {
        const auto* place = reinterpret_cast<const uint4*>(static_cast<const T*>(args.x) + token * args.x_stride + at);
        x[h][0] = token < args.num_tokens && at < args.k ? __ldcg(place) : uint4{};
        x[h][1] = token < args.num_tokens && at + 32 < args.k ? __ldcg(place + 4) : uint4{};
      }
    }
  };
  uint4 ahead[H][2];
  if constexpr (kStaged) {
    if (args.norm_weight != nullptr) {
      stage_norm<T>(args, xs, pitch, units * kUnit, partial);
    } else {
      stage_plain<T>(args, xs, pitch, units * kUnit);
    }
    __syncthreads();
  } else {
    pdl_wait();
    if (my_units > 0) load_x(0, ahead);
  }
  trace_mark<kTrace>(args, 1);

  uint32_t place = ring;
  for (int tile = blockIdx.x; tile < tiles; tile += static_cast<int>(gridDim.x)) {
    // Thread i stores pair i % 4 of row group i / 4 % R of token i / 4 / R.
    auto token_of = [](int i) { return i / (R * 4); };
    auto row_of = [&](int i) { return tile * (8 * R) + i % (R * 4) * 2; };
    const int outputs = args.num_tokens * R * 4;
    float2 before = {};
    const int mine = static_cast<int>(threadIdx.x);
    if (mine < outputs) before = load_before(args.epilogue, token_of(mine), row_of(mine));

    float sums[R][2][4] = {};  // two chains of products: the next one need not wait for the last
    for (int unit = 0; unit < my_units; ++unit) {
      uint4 x[H][2];
      if constexpr (kStaged) {
        load_x(unit, x);
      } else {
#pragma unroll
        for (int h = 0; h < H; ++h) x[h][0] = ahead[h][0], x[h][1] = ahead[h][1];
        load_x(unit + 1 == my_units ? 0 : unit + 1, ahead);
      }
      const uint4 high[2] = {H == 2 ? x[H - 1][0] : uint4{}, H == 2 ? x[H - 1][1] : uint4{}};
#pragma unroll
      for (int r = 0; r < R; ++r) {
        wait_for_piece(args.ring_pieces);
        const uint4 w[2] = {load_shared16(place), load_shared16(place + kPiece / 2)};
        mma_16816<T>(sums[r][0], x[0][0].x, high[0].x, x[0][0].y, high[0].y, w[0].x, w[0].y);
        mma_16816<T>(sums[r][1], x[0][1].x, high[1].x, x[0][1].y, high[1].y, w[1].x, w[1].y);
        mma_16816<T>(sums[r][0], x[0][0].z, high[0].z, x[0][0].w, high[0].w, w[0].z, w[0].w);
        mma_16816<T>(sums[r][1], x[0][1].z, high[1].z, x[0][1].w, high[1].w, w[1].z, w[1].w);
        copy_piece(place);
        place = place + kPiece == ring_end ? ring : place + kPiece;
      }
    }
    trace_mark<kTrace>(args, 2);

    __syncthreads();  // the sums of the tile before are read, and the norm's
#pragma unroll
    for (int r = 0; r < R; ++r) {
#pragma unroll
      for (int h = 0; h < H; ++h) {
        const int token = 8 * h + g;
        const float2 sum = {sums[r][0][2 * h] + sums[r][1][2 * h], sums[r][0][2 * h + 1] + sums[r][1][2 * h + 1]};
        float* to = partial + ((warp * R + r) * args.num_tokens + token) * 8 + 2 * t;
        if (token < args.num_tokens) *reinterpret_cast<float2*>(to) = sum;
      }
    }
    __syncthreads();
    for (int i = mine; i < outputs; i += kStreamThreads) {
      const int token = token_of(i), r = i % (R * 4) / 4, pair = i % 4;
      if (i != mine) before = load_before(args.epilogue, token, row_of(i));
      float2 sum = {};
#pragma unroll
      for (int w = 0; w < kStreamWarps; ++w) {
        const float* from = partial + ((w * R + r) * args.num_tokens + token) * 8 + 2 * pair;
        const float2 part = *reinterpret_cast<const float2*>(from);
        sum.x += part.x, sum.y += part.y;
      }
      store_pair<T>(args.epilogue, token, row_of(i), sum.x, sum.y, before);
    }
  }
  copy_wait<0>();
  trace_mark<kTrace>(args, 3);
}

template <typename T, int R, int H, bool kStaged, bool kTrace = false>
Status run_stream(const StreamArgs& args, const LinearConfig& config, StreamRef stream) {
  const int bytes = stream_shared_bytes(config, args.num_tokens, args.k);
  const LaunchShape shape{dim3(static_cast<unsigned>(config.grid)), dim3(kStreamThreads), static_cast<size_t>(bytes)};
  return launch(linear_stream<T, R, H, kStaged, kTrace>, shape, stream, args);
}

/// fn(R, halves, staged, launcher, kernel) for each instantiation, until one returns an error.
template <typename T, int R, bool kTrace, typename Fn>
Status each_of_height(Fn&& fn) {
  RETURN_IF_ERROR(fn(R, 1, true, run_stream<T, R, 1, true, kTrace>, linear_stream<T, R, 1, true, kTrace>));
  RETURN_IF_ERROR(fn(R, 1, false, run_stream<T, R, 1, false, kTrace>, linear_stream<T, R, 1, false, kTrace>));
  RETURN_IF_ERROR(fn(R, 2, true, run_stream<T, R, 2, true, kTrace>, linear_stream<T, R, 2, true, kTrace>));
  return fn(R, 2, false, run_stream<T, R, 2, false, kTrace>, linear_stream<T, R, 2, false, kTrace>);
}
template <typename T, bool kTrace, typename Fn>
Status each_stream(Fn&& fn) {
  RETURN_IF_ERROR((each_of_height<T, 1, kTrace>(fn)));
  RETURN_IF_ERROR((each_of_height<T, 2, kTrace>(fn)));
  RETURN_IF_ERROR((each_of_height<T, 4, kTrace>(fn)));
  return each_of_height<T, 6, kTrace>(fn);
}

template <typename T, bool kTrace = false>
Status launch_stream_of(const StreamArgs& args, const LinearConfig& config, StreamRef stream) {
  const int halves = args.num_tokens > 8 ? 2 : 1;
  bool found = false;
  RETURN_IF_ERROR((each_stream<T, kTrace>([&](int r, int h, bool staged, auto run, auto) -> Status {
    if (r != config.row_groups || h != halves || staged != config.staged_x) return {};
    found = true;
    return run(args, config, stream);
  })));
  if (!found) return error(ErrorCode::kInternal, "linear_stream: no kernel for {} row groups", config.row_groups);
  return {};
}

template <typename T, bool kTrace = false>
Status prepare_stream_of(int max_shared) {
  return each_stream<T, kTrace>([&](int, int, bool, auto, auto kernel) -> Status {
    RETURN_IF_ERROR(allow_smem(kernel, static_cast<size_t>(max_shared)));
    // One division of shared memory and L1 for all kernels of a step: changing it would wait for an idle SM.
    CUDA_RETURN_IF_ERROR(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, 100));
    return {};
  });
}

}  // namespace vllm::linear_cuda_impl
