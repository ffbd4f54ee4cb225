#pragma once
// FlashInfer's FA2 template for paged prefill, for decodes too: the query heads of a KV head are packed into its tile.
//
// Its device function is called from a kernel of ours, which takes work items from our plan, hands it one item at a
// time through registers (it believes in a batch of one), waits as every kernel does, and joins the parts of split
// tiles.
#include <flashinfer/attention/mask.cuh>
#include <flashinfer/attention/prefill.cuh>
#include <flashinfer/attention/variant_helper.cuh>
#include <flashinfer/page.cuh>

#include "kernels/paged_attention/attention_kernels_cuda.h"
#include "kernels/paged_attention/fast_attention_join.cuh"
#include "tensor/cuda/launch.cuh"
#include "tensor/cuda/types.cuh"

namespace vllm {

/// What FlashInfer's function asks of its parameters, for one item.
template <typename T, typename KvT>
struct FastAttentionItem {
  using DTypeQ = T;
  using DTypeKV = KvT;
  using DTypeO = T;
  using IdType = int32_t;
  T* q;
  flashinfer::paged_kv_t<KvT, int32_t> paged_kv;
  T* o;
  float* lse;
  flashinfer::uint_fastdiv group_size;
  uint32_t q_stride_n, q_stride_h;
  uint32_t k_sf_stride_page = 0, k_sf_stride_n = 0, k_sf_stride_h = 0;
  uint32_t v_sf_stride_page = 0, v_sf_stride_n = 0, v_sf_stride_h = 0;
  int32_t *request_indices, *qo_tile_indices, *kv_tile_indices, *q_indptr, *o_indptr, *kv_chunk_size_ptr;
  bool* block_valid_mask = nullptr;
  bool partition_kv;
  int32_t q_len, kv_len, window_left;
  float sm_scale, softcap;
  __device__ __forceinline__ uint32_t get_qo_len(uint32_t) const { return static_cast<uint32_t>(q_len); }
  __device__ __forceinline__ uint32_t get_kv_len(uint32_t) const { return static_cast<uint32_t>(kv_len); }
};

/// The mask of a sliding window and the cap of the scores. FlashInfer's own variant caps with an approximate tanh that
/// is off by up to 5e-4 of the cap, which is more than bfloat16 loses.
template <bool kWindow, bool kSoftcap>
struct FastAttentionVariant : flashinfer::AttentionVariantBase {
  uint32_t qo_len, kv_len, window_left;
  float sm_scale_log2;

  template <typename Params>
  __device__ __forceinline__ FastAttentionVariant(const Params& p, uint32_t batch, uint8_t*)
      : qo_len(p.get_qo_len(batch)), kv_len(p.get_kv_len(batch)) {
    sm_scale_log2 = (kSoftcap ? p.softcap : p.sm_scale) * flashinfer::math::log2e;
    window_left = kWindow && p.window_left >= 0 ? static_cast<uint32_t>(p.window_left) : kv_len;
  }
  template <typename Params, typename S>
  __device__ __forceinline__ S LogitsTransform(const Params& p, S score, uint32_t, uint32_t, uint32_t, uint32_t,
                                               uint32_t) {
    if constexpr (kSoftcap) {
      float x = score * p.sm_scale / p.softcap;
      return 1.f - 2.f / (__expf(2.f * x) + 1.f);  // tanh: exact to 1e-6, and +-1 where exp over- or underflows
    }
    return score;
  }
  template <typename Params>
  __device__ __forceinline__ bool LogitsMask(const Params&, uint32_t, uint32_t qo_idx, uint32_t kv_idx, uint32_t,
                                             uint32_t) {
    return !kWindow || kv_idx + qo_len + window_left >= kv_len + qo_idx;
  }
};

/// The template's numbers for a tile of kTile rows, as FlashInfer's own launcher picks them on an SM with 228 KB: keys
/// per tile so that two blocks fit.
template <typename T, typename KvT, int kHeadDim, int kTile, typename Variant>
struct FastAttentionTraits {
  static constexpr uint32_t kWarpsQ = flashinfer::get_num_warps_q(kTile),
                            kWarpsKv = flashinfer::get_num_warps_kv(kTile);
  static constexpr uint32_t kMmaQ = flashinfer::get_num_mma_q(kTile);
  static constexpr int kBudget = 228 * 1024 / 2 - kTile * kHeadDim * static_cast<int>(sizeof(T));
  static constexpr int kFits = kBudget / (2 * kHeadDim * 16 * static_cast<int>(kWarpsKv * sizeof(KvT)));
  static constexpr int kWanted = kFits < 8 / static_cast<int>(kMmaQ) ? kFits : 8 / static_cast<int>(kMmaQ);
  static constexpr uint32_t kMmaKv = kWanted >= 8 ? 8 : kWanted >= 4 ? 4 : kWanted >= 2 ? 2 : 1;
  using Traits = flashinfer::KernelTraits<flashinfer::MaskMode::kCausal, kTile, kMmaQ, kMmaKv, kHeadDim / 16,
                                          kHeadDim / 16, kWarpsQ, kWarpsKv, flashinfer::PosEncodingMode::kNone, T, KvT,
                                          T, float, int32_t, Variant>;
  static_assert(!Traits::IsInvalid() && kFits >= 1);
};

template <typename T, typename KvT>
struct FastAttentionKernelArgs {
  T *out, *q, *partial_out;
  float* partial_lse;
  flashinfer::paged_kv_t<KvT, int32_t> kv;  // without indptr: an item brings its own
  flashinfer::uint_fastdiv group_size;
  const AttentionPlanHeader* header;
  const AttentionWork* work;
  int* counters;
  int32_t *block_table, table_stride;
  uint32_t q_stride;
  int32_t window_left;
  float scale, softcap;
};

/// A decode's grid is what fits on the device at once, and walks over the items; a prefill's has a block for each.
template <typename Traits>
constexpr bool kWalks = Traits::CTA_TILE_Q == 16;

template <typename Traits>
__global__ void __launch_bounds__(Traits::NUM_THREADS, kWalks<Traits>&& Traits::HEAD_DIM_VO < 256 ? 3 : 1)
    fast_attention(
        const __grid_constant__ FastAttentionKernelArgs<typename Traits::DTypeQ, typename Traits::DTypeKV> a) {
  using T = typename Traits::DTypeQ;
  extern __shared__ __align__(16) uint8_t shared[];
  auto& storage = reinterpret_cast<typename Traits::SharedStoragePaged&>(shared);
  pdl_launch();
  pdl_wait();
  const int num_items = a.header->num_items;
  int32_t chunk = a.header->chunk;
  const int kv_head = static_cast<int>(blockIdx.z), num_kv_heads = static_cast<int>(gridDim.z);
#pragma unroll 1
  for (int i = static_cast<int>(blockIdx.x); i < num_items; i += static_cast<int>(gridDim.x)) {
    const int4* packed = reinterpret_cast<const int4*>(a.work + i);
    const int4 first = packed[0], second = packed[1];
    int32_t seq = first.x, q_tile = first.y, kv_tile = first.z, unit = first.w, zero = 0;
    int32_t kv_len = second.x, q_len = second.z, partial_row = second.w;
    // The template cuts a tile's keys by this rule too, so rows of parts are counted with its number of chunks; a plan
    // that knows no window may have made more.
    int32_t window_left = a.window_left >= 0 ? a.window_left : kv_len;
    int32_t chunks = attention_chunks(min(kv_len, window_left + static_cast<int32_t>(Traits::CTA_TILE_Q)), chunk);
    if (kv_tile >= chunks) continue;
    int32_t q_range[2] = {second.y, second.y + q_len};
    int32_t o_start = chunks > 1 ? partial_row : second.y;
    int32_t pages[2] = {seq * a.table_stride, (seq + 1) * a.table_stride};

    FastAttentionItem<T, typename Traits::DTypeKV> item;
    item.q = a.q, item.q_stride_n = a.q_stride, item.q_stride_h = Traits::HEAD_DIM_QK;
    item.paged_kv = a.kv;
    item.paged_kv.batch_size = 1, item.paged_kv.indptr = pages, item.paged_kv.indices = a.block_table;
    item.o = chunks > 1 ? a.partial_out : a.out;
    item.lse = chunks > 1 ? a.partial_lse : nullptr;
    item.group_size = a.group_size;
    item.request_indices = &zero, item.qo_tile_indices = &q_tile, item.kv_tile_indices = &kv_tile;
    item.q_indptr = q_range, item.o_indptr = &o_start, item.kv_chunk_size_ptr = &chunk;
    item.partition_kv = chunks > 1;
    item.q_len = q_len, item.kv_len = kv_len, item.window_left = a.window_left;
    item.sm_scale = a.scale, item.softcap = a.softcap;
    flashinfer::BatchPrefillWithPagedKVCacheDevice<Traits, true>(item, storage, threadIdx, 0, blockIdx.z, gridDim.z);
    if (chunks > 1) {
      const int group = static_cast<int>(static_cast<uint32_t>(a.group_size));
      JoinTile join{.chunks = chunks, .group = group, .kv_head = kv_head, .num_heads = group * num_kv_heads};
      join.first_row = q_tile * static_cast<int>(Traits::CTA_TILE_Q);
      join.num_rows = min(static_cast<int>(Traits::CTA_TILE_Q), q_len * group - join.first_row);
      join.q_start = q_range[0], join.partial_row = partial_row;
      join_if_last<T, static_cast<int>(Traits::HEAD_DIM_VO), static_cast<int>(Traits::NUM_THREADS)>(
          join, a.counters + unit * num_kv_heads + kv_head, a.partial_out, a.partial_lse, a.out, shared,
          static_cast<int>(threadIdx.x + 32 * (threadIdx.y + blockDim.y * threadIdx.z)), [] { __syncthreads(); });
    }
    if constexpr (!kWalks<Traits>) return;
  }
}

template <typename T, typename KvT, int kHeadDim, int kTile, bool kWindow, bool kSoftcap>
using FastTraits =
    typename FastAttentionTraits<T, KvT, kHeadDim, kTile, FastAttentionVariant<kWindow, kSoftcap>>::Traits;

/// fn(Traits{}-like tag) for the variant that a layer needs: capped scores are rare, so they always come with a window.
template <typename T, typename KvT, int kHeadDim, int kTile, typename Fn>
Status with_traits(bool window, bool softcap, Fn&& fn) {
  if (softcap) return fn(std::type_identity<FastTraits<T, KvT, kHeadDim, kTile, true, true>>{});
  if (window) return fn(std::type_identity<FastTraits<T, KvT, kHeadDim, kTile, true, false>>{});
  return fn(std::type_identity<FastTraits<T, KvT, kHeadDim, kTile, false, false>>{});
}

template <typename T, int kHeadDim, typename KvT = T>
struct FastAttentionOf {
  static constexpr int kTiles[kAttentionPlans] = {16, kHeadDim == 256 ? 64 : 128};
  template <typename Fn>
  static Status with_plan(int plan, bool window, bool softcap, Fn&& fn) {
    if (plan == 0) return with_traits<T, KvT, kHeadDim, kTiles[0]>(window, softcap, fn);
    return with_traits<T, KvT, kHeadDim, kTiles[1]>(window, softcap, fn);
  }
  static Status prepare(int (&blocks_per_sm)[kAttentionPlans]) {
    for (int plan = 0; plan < kAttentionPlans; ++plan) {
      blocks_per_sm[plan] = 1 << 20;
      for (int variant = 0; variant < 3; ++variant) {
        RETURN_IF_ERROR(with_plan(plan, variant == 1, variant == 2, [&](auto tag) -> Status {
          using Traits = typename decltype(tag)::type;
          constexpr size_t kBytes = sizeof(typename Traits::SharedStoragePaged);
          int blocks = 0;
          RETURN_IF_ERROR(allow_smem(fast_attention<Traits>, kBytes));
          CUDA_RETURN_IF_ERROR(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fast_attention<Traits>,
                                                                             Traits::NUM_THREADS, kBytes));
          if (blocks < 1) return error(ErrorCode::kInternal, "attention: a kernel does not fit on this GPU");
          blocks_per_sm[plan] = std::min(blocks_per_sm[plan], blocks);
          return {};
        }));
      }
    }
    return {};
  }
  static Status run(const FastAttentionArgs& args, int plan, StreamRef stream) {
    const AttentionKernelArgs& l = args.layer;
    FastAttentionKernelArgs<T, KvT> a{};
    a.out = static_cast<T*>(l.out), a.q = static_cast<T*>(const_cast<void*>(l.q));
    a.partial_out = static_cast<T*>(args.partial_out), a.partial_lse = args.partial_lse;
    a.kv.page_size = static_cast<uint32_t>(l.block_size), a.kv.num_heads = static_cast<uint32_t>(l.num_kv_heads);
    a.kv.head_dim = kHeadDim;
    a.kv.stride_page = a.kv.v_stride_page = static_cast<uint32_t>(l.page_stride);
    a.kv.stride_n = a.kv.v_stride_n = kHeadDim;
    a.kv.stride_h = a.kv.v_stride_h = static_cast<uint32_t>(l.block_size) * kHeadDim;
    a.kv.k_data = reinterpret_cast<KvT*>(const_cast<std::byte*>(l.k));
    a.kv.v_data = reinterpret_cast<KvT*>(const_cast<std::byte*>(l.v));
    a.group_size = static_cast<uint32_t>(l.num_heads / l.num_kv_heads);
    a.header = args.header, a.work = args.work, a.counters = args.counters;
    a.block_table = const_cast<int32_t*>(l.block_table), a.table_stride = static_cast<int32_t>(l.table_stride);
    a.q_stride = static_cast<uint32_t>(l.q_stride);
    a.window_left =
        l.sliding_window > 0 && l.sliding_window < INT32_MAX / 4 ? static_cast<int32_t>(l.sliding_window) - 1 : -1;
    a.scale = l.scale, a.softcap = l.softcap;
    return with_plan(plan, a.window_left >= 0, l.softcap > 0, [&](auto tag) {
      using Traits = typename decltype(tag)::type;
      LaunchShape shape{dim3(static_cast<unsigned>(args.grid), 1, static_cast<unsigned>(l.num_kv_heads)),
                        dim3(32, Traits::NUM_WARPS_Q, Traits::NUM_WARPS_KV)};
      shape.smem_bytes = sizeof(typename Traits::SharedStoragePaged);
      return launch(fast_attention<Traits>, shape, stream, a);
    });
  }
  static constexpr FastAttention kEntry = {{kTiles[0], kTiles[1]}, prepare, run};
};

}  // namespace vllm
