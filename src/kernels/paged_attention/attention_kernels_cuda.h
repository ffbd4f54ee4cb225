#pragma once
// Inside of paged_attention_cuda: what the host hands to a kernel of one layer.
#include <cstdint>

#include "base/result.h"
#include "kernels/paged_attention/attention_plan.h"
#include "kernels/paged_attention/paged_attention_cuda.h"

namespace vllm {

/// A batch and a layer, as pointers and strides. Strides count elements.
struct AttentionKernelArgs {
  void* out;
  const void* q;
  const std::byte *k, *v;  // the layer's areas in page 0
  int64_t q_stride, out_stride, page_stride, table_stride;
  const int32_t *query_start, *seq_lens, *block_table;
  int num_seqs, num_tokens, num_heads, num_kv_heads, head_dim, block_size;
  float scale, softcap;
  int64_t sliding_window;
};

/// The plain kernel: any float types, head_dim a multiple of 8 up to 256. It needs no plan.
Status plain_attention_cuda(const AttentionKernelArgs& a, DType dtype, DType kv_dtype, StreamRef stream);

/// Two plans are made of a step: sequences of few packed rows (decodes), and the others.
constexpr int kAttentionPlans = 2;
constexpr int kAttentionPlanSeqs = 2048;  // sequences that a plan has room for

struct AttentionPlanArgs {
  AttentionPlanRules rules[kAttentionPlans];
  AttentionWork* work[kAttentionPlans];  // [attention_max_items]
  AttentionPlanHeader* headers;          // [kAttentionPlans]
  const int32_t *query_start, *seq_lens;
  int num_seqs;
};
/// Make the first `num_plans` plans.
Status plan_attention_cuda(const AttentionPlanArgs& a, int num_plans, StreamRef stream);

/// A layer, a plan, and where the parts of split sequences go.
struct FastAttentionArgs {
  AttentionKernelArgs layer;
  const AttentionPlanHeader* header;
  const AttentionWork* work;
  int* counters;       // [units, num_kv_heads]: zero before and after
  void* partial_out;   // [rows, num_heads, head_dim] of T
  float* partial_lse;  // [rows, num_heads], base 2
  int grid;            // blocks for each KV head
};
/// The fast kernels of one type and head size, by plan.
struct FastAttention {
  int tile[kAttentionPlans];
  /// Once per process and device: lets the kernels use their shared memory and says how many of them an SM holds.
  Status (*prepare)(int (&blocks_per_sm)[kAttentionPlans]);
  Status (*run)(const FastAttentionArgs& a, int plan, StreamRef stream);
};
/// Null if there is none: it needs 16-bit activations, a cache of the same type (or of float8_e4m3 under
/// bfloat16), and a head_dim of 64, 128 or 256.
const FastAttention* find_fast_attention(DType dtype, DType kv_dtype, int head_dim);

/// The kernel for prefills on Hopper: full causal attention without a cap, in place of the fast kernels' second plan.
bool hopper_attention_fits(const AttentionCudaShape& s);
/// Once per process and device; kUnimplemented on another GPU.
Status prepare_hopper_attention();
/// `ticket`: two ints that are zero before and after; args.grid: blocks in all.
Status run_hopper_attention(const FastAttentionArgs& args, DType dtype, int64_t num_pages, int* ticket,
                            StreamRef stream);

}  // namespace vllm
