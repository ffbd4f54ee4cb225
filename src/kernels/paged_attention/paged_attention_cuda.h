#pragma once
// Causal attention over the paged KV cache on a GPU: kernels/paged_attention/paged_attention.h is the definition.
//
// Once per step and KV group plan() is called, then run() once per layer. Both read the lengths on the device, so a
// captured plan() and run() follow whatever seq_lens holds at replay; eager steps may tell the number of queries to the
// host. All calls of one object go to one stream: phases have their own plans, but share the scratch of split
// sequences.
#include <cstdint>
#include <span>

#include "base/result.h"
#include "kernels/kv_layout/kv_layout_cuda.h"
#include "tensor/cuda/stream_ref.h"
#include "tensor/tensor_view.h"

namespace vllm {

struct AttentionCudaShape {
  int num_heads = 0, num_kv_heads = 0, head_dim = 0;
  DType dtype = DType::kBFloat16;     // of q and out
  DType kv_dtype = DType::kBFloat16;  // of the cache
  int block_size = 16;
  int max_seqs = 0;
  int64_t max_tokens = 0;  // of one step
  int64_t max_blocks = 0;  // columns of a block table
  int num_phases = 2;      // plans that may be in flight
  bool plain = false;      // the simple kernel even where there is a faster one: for tests and comparisons
  bool hopper = true;      // the kernel for prefills on Hopper, where it fits
};

/// A step's lengths. Device arrays are exact; so must host_query_start be, while host_seq_lens may be upper bounds.
struct AttentionCudaBatch {
  int num_seqs = 0;                          // padded
  int num_tokens = 0;                        // padded
  const int32_t* query_start = nullptr;      // device [num_seqs + 1]
  const int32_t* seq_lens = nullptr;         // device [num_seqs]; 0 = a padded sequence
  TensorView<const int32_t, 2> block_table;  // device [num_seqs, max_blocks]
  bool decode = false;  // every sequence has one query (or is padding): plan on the device, nothing from the host
  std::span<const int32_t> host_query_start, host_seq_lens;  // not for decode; empty: the device plans for num_tokens
  int64_t sliding_window =
      0;  // if not 0: no layer of this plan sees more keys than this (a better plan, no other effect)
};

struct AttentionCudaLayer {
  TensorView<void, 3> out;      // [num_tokens, num_heads, head_dim] of T, contiguous; rows of padding are not written
  TensorView<const void, 3> q;  // [num_tokens, num_heads, head_dim] of T, row stride free
  KvLayerView kv;
  float scale = 1, softcap = 0;
  int64_t sliding_window = 0;  // keys a query sees, itself included; 0 = all
};

class PagedAttentionCuda {
 public:
  static Result<PagedAttentionCuda> create(const AttentionCudaShape& shape);
  PagedAttentionCuda(PagedAttentionCuda&&) noexcept;
  PagedAttentionCuda& operator=(PagedAttentionCuda&&) noexcept;
  ~PagedAttentionCuda();
  /// Plan a step into the workspace of `phase` (0 .. num_phases - 1). Graph-safe without lengths of the host.
  Status plan(const AttentionCudaBatch& batch, int phase, StreamRef stream);
  /// One layer, with the plan of `phase`. Graph-safe likewise.
  Status run(const AttentionCudaLayer& layer, int phase, StreamRef stream) const;
  size_t workspace_bytes() const;

 private:
  struct Impl;
  explicit PagedAttentionCuda(Impl* impl);
  Impl* impl_ = nullptr;
};

}  // namespace vllm
