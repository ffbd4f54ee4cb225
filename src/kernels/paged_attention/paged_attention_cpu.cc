#include <algorithm>
#include <atomic>

#include "kernels/kv_layout/kv_dtypes.h"
#include "kernels/linear/linear_amx_check.h"
#include "kernels/paged_attention/attention_task.h"
#include "kernels/paged_attention/paged_attention.h"

namespace vllm {
namespace {

auto pick(CpuIsa isa, AttentionProducts products) {
#if defined(__x86_64__)
  if (isa == CpuIsa::kAvx512) {
    switch (products) {
      case AttentionProducts::kFloat32: break;
      case AttentionProducts::kBFloat16: return attend_avx512_bf16;
      case AttentionProducts::kTiles: return attend_amx;
      case AttentionProducts::kEmulatedTiles: return attend_amx_emulated;
    }
  }
#endif
  static_cast<void>(products);
  return VLLM_BY_ISA(isa, attend);
}

int64_t queries_per_task(int64_t group) { return std::max<int64_t>(1, kAttentionMaxRows / group); }

// Scales of a tile, its keys and values, then the rows' weights and two states; whole cache lines. One query may have
// more heads over a KV head than kAttentionMaxRows: MQA models have up to 128.
constexpr int64_t kMaxGroup = 256;
size_t scratch_floats(int64_t head_dim, int64_t rows) {
  const int64_t dims = 2 * padded_pairs(head_dim) + padded_head_dim(head_dim);
  const int64_t tile = (2 + dims + rows) * kAttentionTileKeys;
  return static_cast<size_t>(tile + 2 * attention_state_floats(head_dim, rows));
}

// For the states of spans that run apart: pages that only long contexts touch. What finds no room here runs whole.
constexpr int64_t kStateFloats = int64_t{4} << 20;

// What runs of one sequence for each KV head.
struct Share {
  int32_t first_item;   // of all sequences' items
  int32_t num_spans;    // items of its only task, each a span of the keys; 0: its items are whole tasks
  int64_t first_state;  // of the spans, in floats: for each KV head a cache line with a counter, then the states
};
size_t shares_bytes(int64_t num_seqs) { return (static_cast<size_t>(num_seqs + 1) * sizeof(Share) + 63) / 64 * 64; }

struct Spans {
  int64_t first, count;
};

// The work of one call, cut into items.
class Cut {
 public:
  Cut(const PagedAttentionParams& p, Share* shares, int num_threads) : p_(p), shares_(shares) {
    const int64_t num_seqs = static_cast<int64_t>(p.seq_lens.size());
    int64_t cost = 0;  // of all, in queries x spans
    for (int64_t s = 0; s < num_seqs; ++s) cost += num_queries(s) * spans(s).count;
    cost *= p.kv.num_kv_heads;
    int64_t states = 0;
    shares_[0].first_item = 0;
    for (int64_t s = 0; s < num_seqs; ++s) {
      const int64_t queries = num_queries(s), num_spans = spans(s).count, tasks = (queries + step() - 1) / step();
      // One that may keep a thread for more than half of the time that all need.
      const bool split = tasks == 1 && num_spans > 1 && 2 * num_threads * queries * num_spans > cost &&
                         num_threads > 1 && states + p.kv.num_kv_heads * head_floats(s) <= kStateFloats;
      shares_[s].num_spans = split ? static_cast<int32_t>(num_spans) : 0;
      shares_[s].first_state = states;
      if (split) states += p.kv.num_kv_heads * head_floats(s);
      shares_[s + 1].first_item = shares_[s].first_item + static_cast<int32_t>(split ? num_spans : tasks);
    }
    num_items_ = shares_[num_seqs].first_item;
  }

  int64_t num_items() const { return num_items_; }
  int64_t group() const { return p_.q.size(1) / p_.kv.num_kv_heads; }
  int64_t step() const { return queries_per_task(group()); }
  int64_t num_queries(int64_t s) const {
    return p_.query_start[static_cast<size_t>(s) + 1] - p_.query_start[static_cast<size_t>(s)];
  }
  /// Those in which any query of the sequence sees keys.
  Spans spans(int64_t s) const {
    const int64_t end = p_.seq_lens[static_cast<size_t>(s)];
    const int64_t first = first_attended_key(end - num_queries(s), p_.sliding_window) / kAttentionSpanKeys;
    return {first, num_queries(s) > 0 ? (end - 1) / kAttentionSpanKeys - first + 1 : 0};
  }
  int64_t state_floats(int64_t s) const { return attention_state_floats(p_.kv.head_dim, num_queries(s) * group()); }
  int64_t head_floats(int64_t s) const { return kLineFloats + spans(s).count * state_floats(s); }
  int64_t sequence_of(int64_t item) const {
    auto after = std::upper_bound(shares_, shares_ + p_.seq_lens.size(), item,
                                  [](int64_t i, const Share& share) { return i < share.first_item; });
    return after - shares_ - 1;
  }

  static constexpr int64_t kLineFloats = 16;

 private:
  const PagedAttentionParams& p_;
  Share* shares_;
  int64_t num_items_ = 0;
};

}  // namespace

AttentionProducts attention_products() {
  if (!cpu_has_avx512_bf16()) return AttentionProducts::kFloat32;
  if (amx_use() == AmxUse::kEmulated) return AttentionProducts::kEmulatedTiles;
#if defined(__x86_64__)
  if (amx_use() == AmxUse::kNative && linear::amx_can_be_trusted()) return AttentionProducts::kTiles;
#endif
  return AttentionProducts::kBFloat16;
}

size_t paged_attention_workspace_bytes(int64_t max_seqs, int64_t head_dim, int num_threads) {
  const size_t scratch = static_cast<size_t>(num_threads) * scratch_floats(head_dim, kMaxGroup);
  return shares_bytes(max_seqs) + (scratch + (num_threads > 1 ? size_t{kStateFloats} : 0)) * sizeof(float);
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
                         AttentionProducts products) {
  const KvLayerView& kv = p.kv;
  int64_t num_seqs = static_cast<int64_t>(p.seq_lens.size()), group = p.q.size(1) / kv.num_kv_heads;
  CHECK(workspace.size() >= paged_attention_workspace_bytes(num_seqs, kv.head_dim, pool.num_threads()));
  CHECK(group <= kMaxGroup && kv.head_dim % 8 == 0);
  auto* shares = reinterpret_cast<Share*>(workspace.data());
  auto* scratch = reinterpret_cast<float*>(workspace.data() + shares_bytes(num_seqs));
  const size_t thread_floats = scratch_floats(kv.head_dim, kMaxGroup);
  float* const states = scratch + static_cast<size_t>(pool.num_threads()) * thread_floats;
  const Cut cut(p, shares, pool.num_threads());
  auto attend = pick(isa, products);
  // Of a KV head of a sequence whose spans run apart: how many are done, then their states.
  auto head_of = [&](int64_t s, int64_t kv_head) {
    return states + shares[s].first_state + kv_head * cut.head_floats(s);
  };
  auto done_of = [&](int64_t s, int64_t kv_head) {
    return std::atomic_ref(*reinterpret_cast<int32_t*>(head_of(s, kv_head)));
  };
  for (int64_t s = 0; s < num_seqs; ++s)
    for (int64_t h = 0; shares[s].num_spans > 0 && h < kv.num_kv_heads; ++h) done_of(s, h) = 0;

  auto run_item = [&](int64_t item, int64_t kv_head, int thread) {
    const int64_t s = cut.sequence_of(item);
    const Share& share = shares[s];
    const int64_t number = item - share.first_item, num_queries = cut.num_queries(s);
    const int64_t first = share.num_spans > 0 ? 0 : number * cut.step();
    const int64_t token = p.query_start[static_cast<size_t>(s)] + first, head = kv_head * group * kv.head_dim;
    AttentionTask task = {.out = p.out.row(token) + head,
                          .q = p.q.row(token) + head,
                          .out_stride = p.out.stride[0],
                          .q_stride = p.q.stride[0],
                          .num_queries = std::min(cut.step(), num_queries - first),
                          .group = group,
                          .position = p.seq_lens[static_cast<size_t>(s)] - num_queries + first,
                          .sliding_window = p.sliding_window,
                          .scale = p.scale,
                          .softcap = p.softcap,
                          .kv = &kv,
                          .kv_head = kv_head,
                          .block_table = p.block_table.row(s),
                          .scratch = scratch + static_cast<size_t>(thread) * thread_floats};
    if (share.num_spans == 0) return attend(task);
    float* const head_states = head_of(s, kv_head) + Cut::kLineFloats;
    task.part = AttentionTask::Part::kSpan, task.span = cut.spans(s).first + number;
    task.states = head_states + number * cut.state_floats(s);
    attend(task);
    if (done_of(s, kv_head).fetch_add(1) + 1 < share.num_spans) return;
    task.part = AttentionTask::Part::kMerge, task.states = head_states, task.num_states = share.num_spans;
    attend(task);
  };
  // From the last on: a prompt's last queries see the most keys, and small tasks let threads end together. Where there
  // are many sequences, the heads of one follow each other on a thread: they are neighbours in the pages.
  if (num_seqs >= 8 * pool.num_threads()) {
    pool.parallel_for(cut.num_items(), [&](int64_t i, int thread) {
      for (int64_t h = 0; h < kv.num_kv_heads; ++h) run_item(cut.num_items() - 1 - i, h, thread);
    });
  } else {
    pool.parallel_for(cut.num_items() * kv.num_kv_heads, [&](int64_t tile, int thread) {
      run_item(cut.num_items() - 1 - tile / kv.num_kv_heads, tile % kv.num_kv_heads, thread);
    });
  }
}

}  // namespace vllm
