#include <algorithm>

#include "kernels/kv_layout/kv_dtypes.h"
#include "kernels/paged_attention/attention_task.h"
#include "kernels/paged_attention/paged_attention.h"

namespace vllm {
namespace {

auto pick(CpuIsa isa, bool bfloat16_products) {
#if defined(__x86_64__)
  if (isa == CpuIsa::kAvx512 && bfloat16_products) return attend_avx512_bf16;
#endif
  return VLLM_BY_ISA(isa, attend);
}

int64_t queries_per_task(int64_t group) { return std::max<int64_t>(1, kAttentionMaxRows / group); }

// Scales of a tile, its keys and values, then weights, maxima, totals and sums of the rows; whole cache lines. One
// query may have more heads over a KV head than kAttentionMaxRows: MQA models have up to 128.
constexpr int64_t kMaxGroup = 256;
size_t scratch_floats(int64_t head_dim, int64_t rows) {
  int64_t padded = padded_head_dim(head_dim);
  int64_t floats = 2 * (1 + padded) * kAttentionTileKeys + rows * (kAttentionTileKeys + 2 + padded);
  return static_cast<size_t>((floats + 15) / 16 * 16);
}

}  // namespace

size_t paged_attention_workspace_bytes(int64_t max_seqs, int64_t head_dim, int num_threads) {
  size_t task_starts = (static_cast<size_t>(max_seqs) + 1 + 15) / 16 * 16 * sizeof(int32_t);
  return task_starts + static_cast<size_t>(num_threads) * scratch_floats(head_dim, kMaxGroup) * sizeof(float);
}

Status check(const PagedAttentionParams& p) {
  const KvLayerView& kv = p.kv;
  if (!is_cpu_kv_dtype(kv.dtype))
    return invalid_argument("paged_attention: a KV cache of {} is not built", info(kv.dtype).name);
  int64_t num_heads = p.q.size(1), num_seqs = static_cast<int64_t>(p.seq_lens.size());
  if (kv.num_kv_heads < 1 || num_heads % kv.num_kv_heads != 0 || num_heads / kv.num_kv_heads > kMaxGroup) {
    return invalid_argument("paged_attention: {} heads over {} KV heads", num_heads, kv.num_kv_heads);
  }
  if (p.q.size(2) != kv.head_dim || kv.head_dim % 8 != 0) {
    return invalid_argument("paged_attention: head_dim is {}, expected {}, a multiple of 8", p.q.size(2), kv.head_dim);
  }
  if (p.out.shape != p.q.shape) return invalid_argument("paged_attention: out and q differ in shape");
  if (p.q.stride[1] != kv.head_dim || p.out.stride[1] != kv.head_dim) {
    return invalid_argument("paged_attention: the heads of a token are not contiguous");
  }
  if (static_cast<int64_t>(p.query_start.size()) != num_seqs + 1 || p.block_table.size(0) < num_seqs) {
    return invalid_argument("paged_attention: query_start has {} and block_table {} rows for {} sequences",
                            p.query_start.size(), p.block_table.size(0), num_seqs);
  }
  if (p.query_start.front() < 0 || p.query_start.back() > p.q.size(0)) {
    return invalid_argument("paged_attention: query_start leaves the {} tokens", p.q.size(0));
  }
  for (int64_t s = 0; s < num_seqs; ++s) {
    size_t i = static_cast<size_t>(s);
    int64_t num_queries = p.query_start[i + 1] - p.query_start[i];
    if (num_queries < 0 || num_queries > p.seq_lens[i]) {
      return invalid_argument("paged_attention: sequence {} has {} queries and {} tokens", s, num_queries,
                              p.seq_lens[i]);
    }
    int64_t blocks = (p.seq_lens[i] + kv.block_size - 1) / kv.block_size;
    if (blocks > p.block_table.size(1)) {
      return invalid_argument("paged_attention: sequence {} needs {} blocks, its table has {}", s, blocks,
                              p.block_table.size(1));
    }
    for (int64_t b = 0; b < blocks; ++b) {
      if (p.block_table(s, b) < 0 || p.block_table(s, b) >= kv.num_blocks) {
        return invalid_argument("paged_attention: page {} of sequence {} is not one of {}", p.block_table(s, b), s,
                                kv.num_blocks);
      }
    }
  }
  return {};
}

void paged_attention_cpu(const PagedAttentionParams& p, std::span<std::byte> workspace, ThreadPool& pool, CpuIsa isa,
                         bool bfloat16_products) {
  const KvLayerView& kv = p.kv;
  int64_t num_seqs = static_cast<int64_t>(p.seq_lens.size()), group = p.q.size(1) / kv.num_kv_heads;
  CHECK(workspace.size() >= paged_attention_workspace_bytes(num_seqs, kv.head_dim, pool.num_threads()));
  CHECK(group <= kMaxGroup && kv.head_dim % 8 == 0);
  // task_starts[s] = tasks (per KV head) in front of sequence s.
  auto* task_starts = reinterpret_cast<int32_t*>(workspace.data());
  auto* scratch =
      reinterpret_cast<float*>(workspace.data() + (static_cast<size_t>(num_seqs) + 1 + 15) / 16 * 16 * sizeof(int32_t));
  const int64_t step = queries_per_task(group);
  task_starts[0] = 0;
  for (int64_t s = 0; s < num_seqs; ++s) {
    int64_t num_queries = p.query_start[static_cast<size_t>(s) + 1] - p.query_start[static_cast<size_t>(s)];
    task_starts[s + 1] = task_starts[s] + static_cast<int32_t>((num_queries + step - 1) / step);
  }
  auto attend = pick(isa, bfloat16_products);
  const size_t thread_floats = scratch_floats(kv.head_dim, kMaxGroup);
  pool.parallel_for(task_starts[num_seqs] * int64_t{kv.num_kv_heads}, [&](int64_t tile, int thread) {
    int64_t index = tile / kv.num_kv_heads, kv_head = tile % kv.num_kv_heads;
    int64_t s = std::upper_bound(task_starts, task_starts + num_seqs + 1, index) - task_starts - 1;
    size_t i = static_cast<size_t>(s);
    int64_t first = (index - task_starts[s]) * step, num_queries = p.query_start[i + 1] - p.query_start[i];
    int64_t token = p.query_start[i] + first, head = kv_head * group * kv.head_dim;
    attend({.out = p.out.row(token) + head,
            .q = p.q.row(token) + head,
            .out_stride = p.out.stride[0],
            .q_stride = p.q.stride[0],
            .num_queries = std::min(step, num_queries - first),
            .group = group,
            .position = p.seq_lens[i] - num_queries + first,
            .sliding_window = p.sliding_window,
            .scale = p.scale,
            .softcap = p.softcap,
            .kv = &kv,
            .kv_head = kv_head,
            .block_table = p.block_table.row(s),
            .scratch = scratch + static_cast<size_t>(thread) * thread_floats});
  });
}

}  // namespace vllm
