#pragma once
// Forced tokens through a CudaModel, without an engine: TokenRunner (parity/token_runner.h) on a device. Pages lie in a
// scattered order in a pool that starts as NaNs; steps of one token per sequence can run from captured graphs.
#include <cuda_runtime_api.h>

#include <map>
#include <vector>

#include "model/cuda/cuda_model.h"
#include "model/cuda/testing/device_batch.h"
#include "tensor/cuda/handles.h"

namespace vllm::model::testing {

struct CudaRunOptions {
  int64_t chunk = 1 << 20;    // tokens of a sequence in one step ...
  int64_t prefill = 1 << 20;  // ... of its first so many; the rest goes one at a time
  size_t decoding = 0;        // so many first prompts go one token at a time from their third on
  int block_size = 16;
  bool pad = false;              // rows, sequences and logits behind the real ones, host lengths that are too high
  bool graphs = false;           // steps of one token per sequence are captured once and replayed
  bool mixed_graphs = false;     // other steps too, where the model knows CudaBatch::decodes; with padded decodes
  bool release_windows = false;  // give up pages in front of sliding windows, as the engine does
  bool use_cublaslt = true;
  int64_t first_page = 1;      // of the prompts; those in front are there and hold nothing
  int32_t first_position = 0;  // that a prompt's first token is turned by
};

class CudaTokenRunner {
 public:
  using Prompts = std::vector<std::vector<int32_t>>;
  using Logits = std::vector<std::vector<std::vector<float>>>;  // [prompt][position][vocab]

  CudaTokenRunner(CudaModel& model, CudaRunOptions options) : model_(model), o_(options) {}

  Result<Logits> run(const Prompts& prompts);

 private:
  static constexpr int kPadding = 3;
  static constexpr int64_t kTile = 64;  // rows of a compute_logits call

  Status start(const Prompts& prompts);
  HostBatch next(const Prompts& prompts, std::vector<size_t>& who);
  Status launch(const CudaBatch& batch, StreamRef stream);
  int pad_decodes(HostBatch& host, int count) const;
  Status step(HostBatch host, const std::vector<size_t>& who, Logits& out);
  TensorView<void, 2> hidden(int64_t rows) const {
    return {hidden_.data(), {rows, model_.config().hidden_size}, model_.dtype()};
  }

  CudaModel& model_;
  const CudaRunOptions o_;
  int64_t max_blocks_ = 0, num_blocks_ = 0;
  std::vector<std::vector<int32_t>> tables_;  // [group][prompt * max_blocks]
  std::vector<size_t> done_;                  // per prompt
  int steps_ = 0;
  std::optional<DeviceBatch> batch_;
  DeviceBuffer pool_, hidden_, logits_;
  CudaStream stream_;
  std::map<std::array<int, 5>, CudaGraph> graphs_;  // by padded sequences, logits, tokens, decodes and phase
};

inline Status CudaTokenRunner::start(const Prompts& prompts) {
  const KvCacheSpec& spec = model_.kv_spec();
  size_t longest = 0, total = 0;
  for (const auto& p : prompts) longest = std::max(longest, p.size()), total += p.size();
  max_blocks_ = static_cast<int64_t>(longest + kPadding) / o_.block_size + 1;
  const size_t entries = prompts.size() * static_cast<size_t>(max_blocks_);
  num_blocks_ = static_cast<int64_t>(spec.groups.size() * entries) + o_.first_page;
  tables_.assign(spec.groups.size(), std::vector<int32_t>(entries));
  auto next = static_cast<int32_t>(num_blocks_);  // from the back: neighbours in a sequence are none in memory
  for (auto& table : tables_) {
    for (int32_t& id : table) id = --next;
  }
  done_.assign(prompts.size(), 0);

  DeviceBatch::Limits limits{.max_tokens = static_cast<int>(total) + kPadding,
                             .max_seqs = static_cast<int>(prompts.size()) + kPadding,
                             .max_blocks = max_blocks_,
                             .num_groups = spec.groups.size()};
  ASSIGN_OR_RETURN(batch_, [&]() -> Result<std::optional<DeviceBatch>> {
    ASSIGN_OR_RETURN(DeviceBatch batch, DeviceBatch::create(limits));
    return std::optional<DeviceBatch>(std::move(batch));
  }());
  RETURN_IF_ERROR(model_.reserve({.max_tokens = limits.max_tokens,
                                  .max_seqs = limits.max_seqs,
                                  .max_logits = kTile,
                                  .max_model_len = max_blocks_ * o_.block_size,
                                  .block_size = o_.block_size,
                                  .num_phases = 2,
                                  .use_cublaslt = o_.use_cublaslt}));
  ASSIGN_OR_RETURN(pool_, DeviceBuffer::allocate(static_cast<size_t>(num_blocks_ * spec.bytes_per_block(o_.block_size)),
                                                 "a test's pages"));
  CUDA_RETURN_IF_ERROR(cudaMemset(pool_.data(), 0xff, pool_.size()));  // NaNs: what no query may see
  const auto rows = static_cast<size_t>(limits.max_tokens);
  ASSIGN_OR_RETURN(hidden_,
                   DeviceBuffer::allocate(rows * static_cast<size_t>(model_.config().hidden_size) * 4, "a test"));
  ASSIGN_OR_RETURN(logits_,
                   DeviceBuffer::allocate(rows * static_cast<size_t>(model_.config().vocab_size) * 4, "a test"));
  ASSIGN_OR_RETURN(stream_, CudaStream::create());
  return {};
}

// The next chunk of every prompt that has tokens left, with logits of every token.
inline HostBatch CudaTokenRunner::next(const Prompts& prompts, std::vector<size_t>& who) {
  const KvCacheSpec& spec = model_.kv_spec();
  HostBatch b;
  for (size_t p = 0; p < prompts.size(); ++p) {
    const auto done = static_cast<int64_t>(done_[p]), size = static_cast<int64_t>(prompts[p].size());
    const int64_t prefill = p < o_.decoding ? 2 : o_.prefill;
    const int64_t left = done < prefill ? std::min(size, prefill) - done : std::min<int64_t>(1, size - done);
    const int64_t n = std::min(left, o_.chunk);
    if (n <= 0) continue;
    for (int64_t i = done; i < done + n; ++i) {
      b.logits_rows.push_back(static_cast<int32_t>(b.token_ids.size()));
      b.token_ids.push_back(prompts[p][static_cast<size_t>(i)]),
          b.positions.push_back(static_cast<int32_t>(i) + o_.first_position);
    }
    who.push_back(p);
    b.query_start.push_back(static_cast<int32_t>(b.token_ids.size()));
    b.seq_lens.push_back(static_cast<int32_t>(done + n));
  }
  b.tables.resize(spec.groups.size()), b.slot_mapping.resize(spec.groups.size());
  for (size_t g = 0; g < spec.groups.size(); ++g) {
    for (size_t s = 0; s < who.size(); ++s) {
      auto first = tables_[g].begin() + static_cast<std::ptrdiff_t>(who[s]) * max_blocks_;
      b.tables[g].insert(b.tables[g].end(), first, first + max_blocks_);
      int32_t* table = &b.tables[g][s * static_cast<size_t>(max_blocks_)];
      const int64_t window = spec.groups[g].sliding_window;
      const int64_t oldest = static_cast<int64_t>(done_[who[s]]) - window + 1;
      for (int64_t k = 0; o_.release_windows && window > 0 && (k + 1) * o_.block_size <= oldest; ++k) table[k] = 0;
      for (int64_t k = (b.seq_lens[s] + o_.block_size - 1) / o_.block_size; k < max_blocks_; ++k) table[k] = 0;
      for (int32_t i = b.query_start[s]; i < b.query_start[s + 1]; ++i) {
        const int64_t position = b.positions[static_cast<size_t>(i)] - o_.first_position;
        b.slot_mapping[g].push_back(int64_t{table[position / o_.block_size]} * o_.block_size +
                                    position % o_.block_size);
      }
    }
  }
  return b;
}

inline Status CudaTokenRunner::launch(const CudaBatch& batch, StreamRef stream) {
  const KvCacheView kv{
      .base = pool_.data(), .num_blocks = num_blocks_, .block_size = o_.block_size, .spec = &model_.kv_spec()};
  const int64_t vocab = model_.config().vocab_size;
  RETURN_IF_ERROR(model_.forward(batch, kv, hidden(batch.num_logits), stream));
  for (int64_t begin = 0; begin < batch.num_logits; begin += kTile) {
    const int64_t end = std::min<int64_t>(batch.num_logits, begin + kTile);
    RETURN_IF_ERROR(model_.compute_logits(hidden(batch.num_logits).slice(begin, end),
                                          {logits_.as<float>() + begin * vocab, {end - begin, vocab}}, stream));
  }
  return {};
}

// Put `count` sequences of nothing behind those in front that have one query; how many these then are together.
inline int CudaTokenRunner::pad_decodes(HostBatch& host, int count) const {
  int decodes = 0;
  while (decodes < host.num_seqs() && host.query_start[static_cast<size_t>(decodes) + 1] == decodes + 1) ++decodes;
  host.query_start.insert(host.query_start.begin() + decodes, static_cast<size_t>(count), decodes);
  host.seq_lens.insert(host.seq_lens.begin() + decodes, static_cast<size_t>(count), 0);
  for (std::vector<int32_t>& table : host.tables)
    table.insert(table.begin() + decodes * max_blocks_, static_cast<size_t>(count * max_blocks_), 0x3fffffff);
  return decodes + count;
}

inline Status CudaTokenRunner::step(HostBatch host, const std::vector<size_t>& who, Logits& out) {
  const auto vocab = static_cast<size_t>(model_.config().vocab_size);
  const size_t rows = host.logits_rows.size();
  const bool decode = host.token_ids.size() == host.seq_lens.size();
  DeviceBatch::Padding padding;
  if (o_.pad) {
    padding = {.tokens = kPadding, .seqs = decode ? kPadding : 2, .logits = decode ? kPadding : 1, .slack = 2};
  }
  const std::vector<int32_t> starts = host.query_start;
  const bool mixed = !decode && o_.mixed_graphs && model_.mixes(host.num_seqs());
  if (mixed) padding.seqs = 1;
  const int decodes = mixed ? pad_decodes(host, 2) : -1;
  ASSIGN_OR_RETURN(CudaBatch batch, batch_->set(std::move(host), padding, decode, steps_++ % 2));
  const size_t all_rows = rows + static_cast<size_t>(padding.logits);
  CUDA_RETURN_IF_ERROR(cudaMemset(hidden_.data(), 0xff, hidden_.size()));
  CUDA_RETURN_IF_ERROR(cudaMemset(logits_.data(), 0xff, logits_.size()));
  CUDA_RETURN_IF_ERROR(cudaDeviceSynchronize());
  if (mixed) batch.decodes = decodes, batch.host_query_start = batch.host_seq_lens = {};
  if (mixed || (decode && o_.graphs)) {
    CudaGraph& graph = graphs_[{batch.num_seqs, batch.num_logits, batch.num_tokens, decodes, batch.phase}];
    if (!graph) {
      ASSIGN_OR_RETURN(graph, CudaGraph::capture(stream_, [&](StreamRef s) { return launch(batch, s); }));
    }
    RETURN_IF_ERROR(graph.launch(stream_));
  } else {
    RETURN_IF_ERROR(launch(batch, stream_));
  }
  RETURN_IF_ERROR(stream_.synchronize());
  std::vector<float> logits(all_rows * vocab);
  CUDA_RETURN_IF_ERROR(cudaMemcpy(logits.data(), logits_.data(), logits.size() * 4, cudaMemcpyDeviceToHost));
  for (size_t i = rows * vocab; i < logits.size(); ++i) {
    if (logits[i] != 0) return error(ErrorCode::kInternal, "a padded row has logit {}, expected 0", logits[i]);
  }
  for (size_t r = 0; r < rows; ++r) {
    const size_t s = static_cast<size_t>(std::upper_bound(starts.begin(), starts.end(), static_cast<int32_t>(r)) -
                                         starts.begin() - 1);
    auto row = logits.begin() + static_cast<std::ptrdiff_t>(r * vocab);
    out[who[s]].emplace_back(row, row + static_cast<std::ptrdiff_t>(vocab));
  }
  return {};
}

inline Result<CudaTokenRunner::Logits> CudaTokenRunner::run(const Prompts& prompts) {
  RETURN_IF_ERROR(start(prompts));
  Logits out(prompts.size());
  for (;;) {
    std::vector<size_t> who;
    HostBatch host = next(prompts, who);
    if (who.empty()) break;
    const std::vector<int32_t> starts = host.query_start;
    RETURN_IF_ERROR(step(std::move(host), who, out).with_context("step {}", steps_));
    for (size_t s = 0; s < who.size(); ++s) done_[who[s]] += static_cast<size_t>(starts[s + 1] - starts[s]);
  }
  std::vector<unsigned char> null_page(
      static_cast<size_t>(model_.kv_spec().bytes_per_block(o_.block_size)));  // nobody writes it
  CUDA_RETURN_IF_ERROR(cudaMemcpy(null_page.data(), pool_.data(), null_page.size(), cudaMemcpyDeviceToHost));
  for (unsigned char c : null_page) {
    if (c != 0xff) return error(ErrorCode::kInternal, "the null block was written");
  }
  return out;
}

}  // namespace vllm::model::testing
