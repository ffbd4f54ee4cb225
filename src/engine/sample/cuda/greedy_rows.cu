// The argmax of rows that nothing changes, and the upload of a slot's record.
#include "engine/sample/cuda/row_cluster.cuh"

namespace vllm::engine {
namespace {

constexpr int kGreedyThreads = 1024;
constexpr int kInFlight = 4;  // 16-byte loads of a thread at a time

struct GreedyShared {
  Best warp_best[kGreedyThreads / 32];
  Best best;  // read by block 0 of the cluster
};

__device__ __forceinline__ void take(Best& best, float value, int32_t id) {
  if (value > best.value) best = {value, id};  // false for NaN; ids rise
}

// The best of the ids [begin, end) of a row, as far as this thread looks. begin is a multiple of 4.
__device__ Best argmax_of(const float* row, int begin, int end) {
  const int tid = static_cast<int>(threadIdx.x);
  Best best = no_best();
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) {
    for (int i = begin + tid; i < end; i += kGreedyThreads) take(best, row[i], i);
    return best;
  }
  const float4* vectors = reinterpret_cast<const float4*>(row);
  const int last = end / 4;  // whole vectors end here
  int v = begin / 4 + tid;
  auto take4 = [&](float4 four, int at) {
    take(best, four.x, 4 * at), take(best, four.y, 4 * at + 1);
    take(best, four.z, 4 * at + 2), take(best, four.w, 4 * at + 3);
  };
  for (; v + (kInFlight - 1) * kGreedyThreads < last; v += kInFlight * kGreedyThreads) {
    float4 loaded[kInFlight];
#pragma unroll
    for (int k = 0; k < kInFlight; ++k) loaded[k] = vectors[v + k * kGreedyThreads];
#pragma unroll
    for (int k = 0; k < kInFlight; ++k) take4(loaded[k], v + k * kGreedyThreads);
  }
  for (; v < last; v += kGreedyThreads) take4(vectors[v], v);
  if (int i = last * 4 + tid; i >= begin && i < end) take(best, row[i], i);
  return best;
}

// A cluster of kBlocks blocks per row.
template <int kBlocks>
__global__ void __cluster_dims__(kBlocks, 1, 1) __launch_bounds__(kGreedyThreads, 2)
    greedy_rows(const __grid_constant__ SampleArgs args) {
  __shared__ GreedyShared shared;
  pdl_launch();
  pdl_wait();
  const int row = static_cast<int>(blockIdx.y), rank = static_cast<int>(blockIdx.x);
  const int32_t slot = args.slots[row];
  const bool padded = slot < 0 || slot >= args.num_slots;
  const bool writes = rank == 0 && threadIdx.x == 0;
  const int32_t num_tokens = writes && !padded ? args.history.num_tokens[slot] : 0;  // on its way while the row is read
  const int size = (args.vocab + 4 * kBlocks - 1) / (4 * kBlocks) * 4;
  const int begin = min(rank * size, args.vocab / 4 * 4), end = min((rank + 1) * size, args.vocab);
  Best best = argmax_of(args.logits + row * args.stride, begin, end);
  best = block_reduce(best, shared.warp_best, better);
  if constexpr (kBlocks > 1) {
    auto cluster = cooperative_groups::this_cluster();
    if (threadIdx.x == 0) shared.best = best;
    cluster.sync();
    if (writes) {
      for (unsigned r = 1; r < kBlocks; ++r) best = better(best, *cluster.map_shared_rank(&shared.best, r));
    }
    cluster.sync();
  }
  if (!writes) return;
  if (padded) {
    args.out[row] = {};
    return;
  }
  const int32_t token = best.value > minus_infinity() ? best.id : 0;
  args.out[row] = {.token = token};
  if (num_tokens < args.history.stride) {
    args.history.tokens[slot * args.history.stride + num_tokens] = token;
    args.history.num_tokens[slot] = num_tokens + 1;
  }
}

// kWords: of the lists; a launch copies all its arguments, so short lists have their own.
template <int kWords>
struct SlotUpload {
  SlotParams params;
  int32_t lists[kWords];
};

template <int kWords>
__global__ void write_slot(const __grid_constant__ SlotUpload<kWords> slot, SlotTarget target) {
  pdl_launch();
  pdl_wait();
  for (int i = threadIdx.x; i < slot.params.num_words; i += static_cast<int>(blockDim.x)) {
    target.lists[i] = slot.lists[i];
  }
  if (threadIdx.x == 0) *target.params = slot.params, *target.num_counted = -1;
}

template <int kWords>
Status launch_write(const PackedSlot& slot, const SlotTarget& target, StreamRef stream) {
  SlotUpload<kWords> upload{.params = slot.params};
  for (int i = 0; i < slot.params.num_words; ++i) upload.lists[i] = slot.lists[i];
  return launch(write_slot<kWords>, {.grid = dim3(1), .block = dim3(128)}, stream, upload, target);
}

}  // namespace

Status launch_greedy(const SampleArgs& args, int num_rows, StreamRef stream) {
  // As many blocks as fill the device (132 SMs, two blocks each), not more: each has its start and its barriers.
  auto run = [&](auto kernel, unsigned blocks) {
    return launch(kernel, {.grid = dim3(blocks, static_cast<unsigned>(num_rows)), .block = dim3(kGreedyThreads)},
                  stream, args);
  };
  if (num_rows <= 32) return run(greedy_rows<8>, 8);
  if (num_rows <= 64) return run(greedy_rows<4>, 4);
  if (num_rows <= 128) return run(greedy_rows<2>, 2);
  return run(greedy_rows<1>, 1);
}

Status launch_write_slot(const PackedSlot& slot, const SlotTarget& target, StreamRef stream) {
  if (slot.params.num_words <= 128) return launch_write<128>(slot, target, stream);
  return launch_write<kSlotListWords>(slot, target, stream);
}

}  // namespace vllm::engine
