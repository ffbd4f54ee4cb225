#include <vector>

#include "engine/sample/cuda/sample_kernels.h"
#include "tensor/cuda/buffer.h"
#include "tensor/cuda/growing_buffer.h"

namespace vllm::engine {
namespace {

// At most, for all penalty tables: 441 slots of 152k tokens. They exist from the first sequence on that needs them.
constexpr size_t kPenaltyBytes = size_t{256} << 20;

bool edits(const SamplingParams& params) {
  return !params.allowed_token_ids.empty() || !params.bad_words.empty() || params.min_tokens > 0 ||
         !params.logit_bias.empty() || uses_penalties(params);
}

class RowClusterSampler final : public CudaSampler {
 public:
  RowClusterSampler(int num_slots, int vocab_size, int max_rows)
      : num_slots_(num_slots),
        vocab_size_(vocab_size),
        max_rows_(max_rows),
        table_of_slot_(static_cast<size_t>(num_slots), -1) {}

  Status allocate() {
    auto slots = static_cast<size_t>(num_slots_), vocab = static_cast<size_t>(vocab_size_);
    size_t num_tables = std::min(slots, kPenaltyBytes / (vocab * sizeof(uint32_t)));
    ASSIGN_OR_RETURN(params_, DeviceBuffer::allocate(slots * sizeof(SlotParams), "the sampler's parameters"));
    ASSIGN_OR_RETURN(lists_,
                     DeviceBuffer::allocate(slots * kSlotListWords * sizeof(int32_t), "the sampler's lists of tokens"));
    ASSIGN_OR_RETURN(counted_, DeviceBuffer::allocate(slots * sizeof(int32_t), "the sampler's counters"));
    ASSIGN_OR_RETURN(tables_, GrowingBuffer::reserve(num_tables * vocab * sizeof(uint32_t)));
    for (size_t i = num_tables; i > 0; --i) free_tables_.push_back(static_cast<int32_t>(i) - 1);
    return init_sample_kernels(vocab_size_);
  }

  bool on_device(const SamplingParams& params) const override {
    if (uses_penalties(params) && !has_free_table()) return false;
    if (vocab_size_ > kMaxVocab && features(params) != 0) return false;
    PackedSlot packed;
    return static_cast<bool>(pack_slot(params, packed));
  }

  Status start(SlotId slot, const SamplingParams& params, std::span<const TokenId>, int64_t,
               StreamRef stream) override {
    if (slot < 0 || slot >= num_slots_) return invalid_argument("sampling slot {} of {}", slot, num_slots_);
    end(slot);
    PackedSlot packed;
    RETURN_IF_ERROR(pack_slot(params, packed));
    if (vocab_size_ > kMaxVocab && features(params) != 0) {
      return error(ErrorCode::kUnimplemented, "the device samples greedily only from {} tokens", vocab_size_);
    }
    if (uses_penalties(params)) {
      if (!has_free_table()) return error(ErrorCode::kResourceExhausted, "no table of penalty counts is free");
      packed.params.penalty_table = table_of_slot_[static_cast<size_t>(slot)] = free_tables_.back();
      free_tables_.pop_back();
    }
    SlotTarget target{.params = params_.as<SlotParams>() + slot,
                      .lists = lists_.as<int32_t>() + int64_t{slot} * kSlotListWords,
                      .num_counted = counted_.as<int32_t>() + slot};
    return launch_write_slot(packed, target, stream);
  }

  void end(SlotId slot) override {
    if (slot < 0 || slot >= num_slots_) return;
    int32_t& table = table_of_slot_[static_cast<size_t>(slot)];
    if (table >= 0) free_tables_.push_back(table);
    table = -1;
  }

  uint32_t features(const SamplingParams& params) const override {
    uint32_t bits = 0;
    if (!(params.temperature < 1e-5f)) {
      bits |= kSampleRandom;
      if (params.top_k > 0 || params.top_p < 1 || params.min_p > 0) bits |= kSampleFilters;
    }
    if (edits(params)) bits |= kSampleEdits;
    if (params.logprobs) bits |= kSampleLogprobs;
    return bits;
  }

  Status sample(const SampleCudaBatch& batch, const DeviceHistory& history, uint32_t features,
                StreamRef stream) override {
    if (batch.num_rows == 0) return {};
    if (batch.num_rows < 0 || batch.num_rows > max_rows_ || batch.logits.size(0) < batch.num_rows ||
        batch.logits.size(1) != vocab_size_) {
      return invalid_argument("sampling {} rows of [{}, {}] logits, made for {} of {}", batch.num_rows,
                              batch.logits.size(0), batch.logits.size(1), max_rows_, vocab_size_);
    }
    SampleArgs args{.logits = batch.logits.data,
                    .stride = batch.logits.stride[0],
                    .vocab = vocab_size_,
                    .num_slots = num_slots_,
                    .slots = batch.slots,
                    .out = batch.out,
                    .top = batch.top,
                    .mask_rows = batch.masks ? batch.mask_rows : nullptr,
                    .masks = batch.masks,
                    .history = history,
                    .params = params_.as<SlotParams>(),
                    .lists = lists_.as<int32_t>(),
                    .num_counted = counted_.as<int32_t>(),
                    .penalty_tables = reinterpret_cast<uint32_t*>(tables_.data())};
    if (features == 0 && !args.mask_rows) return launch_greedy(args, batch.num_rows, stream);
    if (vocab_size_ > kMaxVocab) return error(ErrorCode::kUnimplemented, "{} tokens are too many", vocab_size_);
    return launch_sample(args, batch.num_rows, stream);
  }

  size_t device_bytes() const override { return params_.size() + lists_.size() + counted_.size() + tables_.size(); }

 private:
  // The next table in line is in memory, or the device had room for it.
  bool has_free_table() const {
    if (free_tables_.empty()) return false;
    const size_t end = (static_cast<size_t>(free_tables_.back()) + 1) * static_cast<size_t>(vocab_size_);
    return tables_.grow(end * sizeof(uint32_t)).has_value();
  }

  int num_slots_, vocab_size_, max_rows_;
  DeviceBuffer params_, lists_, counted_;
  mutable GrowingBuffer tables_;        // grows when it is asked whether a sequence can have one
  std::vector<int32_t> table_of_slot_;  // -1: none
  std::vector<int32_t> free_tables_;    // a table changes hands in stream order: start() comes after earlier samples
};

}  // namespace

Result<std::unique_ptr<CudaSampler>> CudaSampler::create(int num_slots, int vocab_size, int max_rows, int) {
  if (num_slots < 1 || vocab_size < 1 || max_rows < 1) {
    return invalid_argument("a sampler for {} slots, {} tokens, {} rows", num_slots, vocab_size, max_rows);
  }
  auto sampler = std::make_unique<RowClusterSampler>(num_slots, vocab_size, max_rows);
  RETURN_IF_ERROR(sampler->allocate());
  return std::unique_ptr<CudaSampler>(std::move(sampler));
}

}  // namespace vllm::engine
