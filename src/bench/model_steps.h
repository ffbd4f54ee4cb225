#pragma once
// Steps of a loaded model without an engine: some sequences of one length with KV memory of their own.
#include <vector>

#include "model/model.h"
#include "tensor/buffer.h"
#include "tensor/thread_pool.h"

namespace vllm::bench {

class ModelSteps {
 public:
  /// Room for `num_seqs` sequences of up to `max_len` tokens.
  ModelSteps(model::Model& model, int64_t num_seqs, int64_t max_len, ThreadPool& pool);
  /// One step: the last `num_queries` tokens of every sequence, each `seq_len` long, then the logits of the last token
  /// of each. Keys in front of them are whatever earlier steps wrote.
  void run(int64_t num_seqs, int64_t num_queries, int64_t seq_len);

 private:
  static constexpr int kBlockSize = 32;
  model::Model& model_;
  ThreadPool& pool_;
  int64_t blocks_per_seq_;
  Buffer kv_, hidden_, logits_;
  std::vector<int32_t> table_;
};

}  // namespace vllm::bench
