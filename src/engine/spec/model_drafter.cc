#include "engine/spec/model_drafter.h"

#include <algorithm>

namespace vllm::engine {
namespace {
constexpr int64_t kDraftTile = 32;  // rows of logits at a time
// The head is a third of a small model's bytes. Vocabularies are sorted by how early a token was merged, so the first
// ids are nearly all that common text needs (cf. FR-Spec, Zhao et al. 2025); a sequence that used others lately gets
// the whole head.
constexpr int64_t kCommonTokens = 32768;
constexpr size_t kRecent = 8;

bool uses_common_tokens(std::span<const TokenId> tokens) {
  tokens = tokens.last(std::min(tokens.size(), kRecent));
  return std::all_of(tokens.begin(), tokens.end(), [](TokenId t) { return t < kCommonTokens; });
}
}  // namespace

ModelDrafter::ModelDrafter(std::unique_ptr<model::Model> model, const EngineConfig& config, std::byte* kv_memory,
                           ThreadPool& pool)
    : model_(std::move(model)),
      config_(config),
      pool_(pool),
      batch_(config, model_->kv_spec().groups.size()),
      num_computed_(static_cast<size_t>(config.max_num_seqs), 0),
      vocab_size_(static_cast<int>(model_->config().vocab_size)) {
  context_ = {.kv = {.base = kv_memory,
                     .num_blocks = config.num_blocks,
                     .block_size = config.block_size,
                     .spec = &model_->kv_spec()},
              .pool = &pool};
  model_->reserve(config.max_num_batched_tokens, config.max_num_seqs);
  const auto rows = static_cast<size_t>(config.max_num_seqs);
  sampled_.reserve(rows);
  hidden_ = Buffer(rows * static_cast<size_t>(model_->config().hidden_size) * sizeof(float));
  logits_ = Buffer(kDraftTile * static_cast<size_t>(vocab_size_) * sizeof(float));
  for (int i = 0; i < pool.num_threads(); ++i) scratch_.emplace_back(vocab_size_);
}

void ModelDrafter::start(SlotId slot, int64_t num_computed_tokens) {
  num_computed_[static_cast<size_t>(slot)] = num_computed_tokens;
}

Status ModelDrafter::propose(std::span<const DraftRequest> requests, std::vector<std::vector<TokenId>>& drafts) {
  RETURN_IF_ERROR(catch_up(requests, drafts));
  for (int round = 1;; ++round) {
    batch_.clear(), sampled_.clear();
    for (size_t i = 0; i < requests.size(); ++i) {
      const DraftRequest& request = requests[i];
      if (request.max_drafts <= round) continue;
      RETURN_IF_ERROR(batch_.add(*request.state, request.end + round - 1, std::span(drafts[i]).last(1)));
      batch_.want_logits(0);
      sampled_.push_back(i);
      ++num_computed_[static_cast<size_t>(request.slot)];
    }
    if (sampled_.empty()) return {};
    run_batch();
    sample(requests, drafts);
  }
}

// What the sequences have gained since the last step: mostly the tokens of the last step that were not drafts of ours,
// or a piece of the prompt. A sequence can be far behind only after steps without room for drafts; then it needs more
// than one batch.
Status ModelDrafter::catch_up(std::span<const DraftRequest> requests, std::vector<std::vector<TokenId>>& drafts) {
  const auto budget = static_cast<int64_t>(config_.max_num_batched_tokens);
  batch_.clear(), sampled_.clear();
  for (size_t i = 0; i < requests.size(); ++i) {
    const DraftRequest& request = requests[i];
    int64_t& computed = num_computed_[static_cast<size_t>(request.slot)];
    // Drafts that the target refused left KV behind that is not the sequence's.
    computed = std::min(computed, request.end - 1);
    while (computed < request.end) {
      if (batch_.num_tokens() == budget) {
        run_batch();
        sample(requests, drafts);
        batch_.clear(), sampled_.clear();
      }
      const int64_t count = std::min(request.end - computed, budget - batch_.num_tokens());
      RETURN_IF_ERROR(batch_.add(
          *request.state, computed,
          std::span(request.state->tokens).subspan(static_cast<size_t>(computed), static_cast<size_t>(count))));
      computed += count;
      if (computed == request.end && request.max_drafts > 0) {
        batch_.want_logits(count - 1);
        sampled_.push_back(i);
      }
    }
  }
  if (batch_.num_tokens() > 0) {
    run_batch();
    sample(requests, drafts);
  }
  return {};
}

void ModelDrafter::run_batch() {
  model_->forward(batch_.view(), context_,
                  TensorView<float, 2>(hidden_.as<float>(), {batch_.num_rows(), model_->config().hidden_size}));
}

void ModelDrafter::sample(std::span<const DraftRequest> requests, std::vector<std::vector<TokenId>>& drafts) {
  const auto rows = static_cast<int64_t>(sampled_.size());
  TensorView<float, 2> hidden(hidden_.as<float>(), {rows, model_->config().hidden_size});
  const bool common = std::all_of(sampled_.begin(), sampled_.end(),
                                  [&](size_t i) { return uses_common_tokens(requests[i].state->tokens); });
  const int64_t columns = common ? std::min<int64_t>(kCommonTokens, vocab_size_) : vocab_size_;
  for (int64_t first = 0; first < rows; first += kDraftTile) {
    const int64_t count = std::min<int64_t>(kDraftTile, rows - first);
    TensorView<float, 2> logits(logits_.as<float>(), {count, columns});
    model_->compute_logits(hidden.slice(first, first + count), context_, logits);
    pool_.parallel_for(count, [&](int64_t row, int thread) {
      const size_t i = sampled_[static_cast<size_t>(first + row)];
      const SlotState& state = *requests[i].state;
      const int64_t position = requests[i].end + static_cast<int64_t>(drafts[i].size()) - state.num_prompt_tokens;
      drafts[i].push_back(sample_token(std::span<const float>(logits.row(row), static_cast<size_t>(columns)),
                                       state.sampling.params(), position, scratch_[static_cast<size_t>(thread)]));
    });
  }
}

Status check_draft_model(const model::Model& target, const model::Model& draft, int64_t max_model_len) {
  if (draft.config().vocab_size != target.config().vocab_size)
    return invalid_argument(
        "the draft model has {} tokens in its vocabulary, the target {}: they must share a tokenizer",
        draft.config().vocab_size, target.config().vocab_size);
  if (draft.config().max_position < max_model_len)
    return invalid_argument(
        "the draft model's context of {} tokens is shorter than the {} served; lower --max-model-len",
        draft.config().max_position, max_model_len);
  const auto& a = target.kv_spec().groups;
  const auto& b = draft.kv_spec().groups;
  bool same = a.size() == b.size();
  for (size_t i = 0; same && i < a.size(); ++i) same = a[i].sliding_window == b[i].sliding_window;
  if (!same)
    return error(ErrorCode::kUnimplemented,
                 "a draft model whose sliding windows differ from the target's is not supported");
  return {};
}

}  // namespace vllm::engine
