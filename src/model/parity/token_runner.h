#pragma once
// Forced tokens through a Model, without an engine: pages in a scattered order, one sequence per prompt. For tests.
#include <algorithm>
#include <vector>

#include "model/model.h"
#include "tensor/buffer.h"

namespace vllm::model {

class TokenRunner {
 public:
  struct Options {
    int64_t chunk = 1 << 20;  // tokens of a sequence in one step
    int block_size = 16;
    bool release_windows = false;  // give up pages in front of sliding windows, as the engine does
  };
  TokenRunner(Model& model, ThreadPool& pool, Options options) : model_(model), pool_(pool), options_(options) {}

  /// Logits after every token: [prompt][position][vocab].
  std::vector<std::vector<std::vector<float>>> run(const std::vector<std::vector<int32_t>>& prompts);

 private:
  struct Pages {
    std::vector<std::vector<int32_t>> table;  // [group][prompt * max_blocks]
    int64_t max_blocks = 0;
    int64_t count = 1;
  };
  Pages place(const std::vector<std::vector<int32_t>>& prompts) const;

  Model& model_;
  ThreadPool& pool_;
  Options options_;
};

inline TokenRunner::Pages TokenRunner::place(const std::vector<std::vector<int32_t>>& prompts) const {
  Pages pages;
  size_t longest = 0;
  for (const auto& p : prompts) longest = std::max(longest, p.size());
  pages.max_blocks = static_cast<int64_t>(longest) / options_.block_size + 1;
  size_t groups = model_.kv_spec().groups.size(), entries = prompts.size() * static_cast<size_t>(pages.max_blocks);
  pages.count = static_cast<int64_t>(groups * entries) + 1;
  pages.table.assign(groups, std::vector<int32_t>(entries));
  int32_t next = static_cast<int32_t>(pages.count) -
                 1;  // from the back, so that neighbours in a sequence are none in memory order
  for (auto& table : pages.table) {
    for (int32_t& id : table) id = next--;
  }
  return pages;
}

inline std::vector<std::vector<std::vector<float>>> TokenRunner::run(const std::vector<std::vector<int32_t>>& prompts) {
  const KvCacheSpec& spec = model_.kv_spec();
  const int64_t vocab = model_.config().vocab_size, hidden_size = model_.config().hidden_size,
                block_size = options_.block_size;
  Pages pages = place(prompts);
  Buffer kv(static_cast<size_t>(pages.count * spec.bytes_per_block(options_.block_size)));
  ForwardContext context{
      .kv = {.base = kv.data(), .num_blocks = pages.count, .block_size = options_.block_size, .spec = &spec},
      .pool = &pool_};
  std::vector<std::vector<std::vector<float>>> out(prompts.size());
  size_t total = 0;
  for (const auto& p : prompts) total += p.size();
  model_.reserve(static_cast<int64_t>(std::max<size_t>(total, 1)), static_cast<int64_t>(prompts.size()));
  std::vector<size_t> done(prompts.size(), 0);
  for (;;) {
    std::vector<int32_t> ids, positions, query_start = {0}, seq_lens, rows;
    std::vector<size_t> who;
    for (size_t p = 0; p < prompts.size(); ++p) {
      size_t n = std::min(prompts[p].size() - done[p], static_cast<size_t>(options_.chunk));
      if (n == 0) continue;
      for (size_t i = done[p]; i < done[p] + n; ++i) {
        rows.push_back(static_cast<int32_t>(ids.size()));
        ids.push_back(prompts[p][i]), positions.push_back(static_cast<int32_t>(i));
      }
      who.push_back(p), query_start.push_back(static_cast<int32_t>(ids.size())),
          seq_lens.push_back(static_cast<int32_t>(done[p] + n));
    }
    if (ids.empty()) return out;
    ForwardBatch batch{.token_ids = ids,
                       .positions = positions,
                       .query_start = query_start,
                       .seq_lens = seq_lens,
                       .block_tables = {},
                       .slot_mapping = {},
                       .logits_rows = rows,
                       .input_embeds = {}};
    std::vector<std::vector<int32_t>> tables(spec.groups.size());
    std::vector<std::vector<int64_t>> slots(spec.groups.size());
    for (size_t g = 0; g < spec.groups.size(); ++g) {
      for (size_t s = 0; s < who.size(); ++s) {
        auto first = pages.table[g].begin() + static_cast<std::ptrdiff_t>(who[s]) * pages.max_blocks;
        tables[g].insert(tables[g].end(), first, first + pages.max_blocks);
        int32_t* table = &tables[g][s * static_cast<size_t>(pages.max_blocks)];
        int64_t window = spec.groups[g].sliding_window, oldest = static_cast<int64_t>(done[who[s]]) - window + 1;
        for (int64_t b = 0; options_.release_windows && window > 0 && (b + 1) * block_size <= oldest; ++b) table[b] = 0;
        for (int32_t i = query_start[s]; i < query_start[s + 1]; ++i) {
          int64_t position = positions[static_cast<size_t>(i)];
          slots[g].push_back(int64_t{table[position / block_size]} * block_size + position % block_size);
        }
      }
      batch.block_tables.push_back(
          TensorView<const int32_t, 2>(tables[g].data(), {static_cast<int64_t>(who.size()), pages.max_blocks}));
      batch.slot_mapping.push_back(slots[g]);
    }
    std::vector<float> hidden(rows.size() * static_cast<size_t>(hidden_size));
    TensorView<float, 2> hidden_view(hidden.data(), {static_cast<int64_t>(rows.size()), hidden_size});
    model_.forward(batch, context, hidden_view);
    for (int64_t begin = 0; begin < static_cast<int64_t>(rows.size()); begin += 64) {
      int64_t end = std::min<int64_t>(begin + 64, static_cast<int64_t>(rows.size()));
      std::vector<float> logits(static_cast<size_t>((end - begin) * vocab));
      model_.compute_logits(hidden_view.slice(begin, end), context, {logits.data(), {end - begin, vocab}});
      for (int64_t r = begin; r < end; ++r) {
        size_t s =
            static_cast<size_t>(std::upper_bound(query_start.begin(), query_start.end(), r) - query_start.begin() - 1);
        out[who[s]].emplace_back(logits.begin() + (r - begin) * vocab, logits.begin() + (r - begin + 1) * vocab);
      }
    }
    for (size_t s = 0; s < who.size(); ++s) done[who[s]] += static_cast<size_t>(query_start[s + 1] - query_start[s]);
  }
}

}  // namespace vllm::model
