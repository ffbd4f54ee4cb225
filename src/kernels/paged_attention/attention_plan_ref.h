#pragma once
// The plan of attention_plan.cu in plain loops, for tests.
#include <span>
#include <vector>

#include "kernels/paged_attention/attention_plan.h"

namespace vllm {

struct AttentionPlan {
  AttentionPlanHeader header;
  std::vector<AttentionWork> work;
};

inline AttentionPlan plan_attention_ref(const AttentionPlanRules& rules, std::span<const int32_t> query_start,
                                        std::span<const int32_t> seq_lens) {
  AttentionPlan plan{};
  std::vector<AttentionPlanSeq> seqs;
  int32_t tiles = 0;
  for (size_t s = 0; s < seq_lens.size(); ++s) {
    seqs.push_back(attention_plan_seq(rules, query_start[s + 1] - query_start[s], seq_lens[s]));
    tiles += seqs.back().tiles;
  }
  for (int k = 0;; ++k) {
    int32_t items = 0;
    for (const AttentionPlanSeq& s : seqs) items += s.tiles * attention_chunks(s.keys, attention_chunk(k));
    plan.header.chunk = attention_chunk(k);
    if (attention_chunk_fits(rules, k, tiles, items)) break;
  }
  AttentionPlanHeader& h = plan.header;
  for (size_t s = 0; s < seqs.size(); ++s) {
    int32_t chunks = attention_chunks(seqs[s].keys, h.chunk);
    for (int32_t i = 0; i < seqs[s].tiles * chunks; ++i) {
      AttentionWork w = attention_work(seqs[s], h.chunk, i, static_cast<int32_t>(s), h.num_units, h.num_partial_rows);
      w.q_start = query_start[s], w.q_len = query_start[s + 1] - w.q_start, w.kv_len = seq_lens[s];
      plan.work.push_back(w);
    }
    if (chunks > 1) h.num_units += seqs[s].tiles, h.num_partial_rows += (query_start[s + 1] - query_start[s]) * chunks;
  }
  h.num_items = static_cast<int32_t>(plan.work.size());
  return plan;
}

}  // namespace vllm
