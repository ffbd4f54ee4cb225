#pragma once
// A small model drafts for a large one (vLLM's method "draft_model"). Its KV lives in pages of its own under the same
// page ids and block tables as the target's, so prefix hits, trims and preemptions need no second bookkeeping.
#include <memory>

#include "engine/exec/cpu_batch.h"
#include "engine/spec/drafter.h"
#include "model/model.h"
#include "tensor/buffer.h"

namespace vllm::engine {

class ModelDrafter : public Drafter {
 public:
  /// `kv_memory` holds config.num_blocks pages of the drafter's KvCacheSpec. The groups must be the target's
  /// (check_draft_model).
  ModelDrafter(std::unique_ptr<model::Model> model, const EngineConfig& config, std::byte* kv_memory, ThreadPool& pool);
  void start(SlotId slot, int64_t num_computed_tokens) override;
  /// Runs what the drafter has not seen of each sequence, then one token a sequence and draft. A sampled sequence is
  /// drafted with the random numbers that the target will use, so that equal distributions give equal tokens.
  Status propose(std::span<const DraftRequest> requests, std::vector<std::vector<TokenId>>& drafts) override;

 private:
  Status catch_up(std::span<const DraftRequest> requests, std::vector<std::vector<TokenId>>& drafts);
  void run_batch();
  void sample(std::span<const DraftRequest> requests, std::vector<std::vector<TokenId>>& drafts);

  std::unique_ptr<model::Model> model_;
  EngineConfig config_;
  ThreadPool& pool_;
  model::ForwardContext context_;
  CpuBatch batch_;
  std::vector<int64_t> num_computed_;  // by slot: tokens whose KV is here and right
  std::vector<size_t> sampled_;        // requests whose logits the batch wants, in its order
  int vocab_size_;
  Buffer hidden_, logits_;
  std::vector<SamplerScratch> scratch_;  // per thread
};

/// kInvalidArgument, with the reason, for a pair that cannot work together.
Status check_draft_model(const model::Model& target, const model::Model& draft, int64_t max_model_len);

}  // namespace vllm::engine
