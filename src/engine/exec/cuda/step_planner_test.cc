// The planner and the batch functions of slot_arrays.h against CpuModelRunner: the same steps must give the same batch.
#include "engine/exec/cuda/step_planner.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "engine/exec/cpu_model_runner.h"
#include "engine/exec/cuda/graph_buckets.h"
#include "engine/make_engine.h"
#include "engine/testing/fake_executor.h"

namespace vllm::engine {
namespace {

constexpr int kVocab = 50, kSlots = 7, kBlock = 4, kMaxLen = 64, kBudget = 24;
constexpr int64_t kBlocks = 40;
constexpr int kMaxSeqs = 8 + kMaxMixedPrefills;

// What the model was asked to run.
struct Batch {
  std::vector<int32_t> token_ids, positions, query_start, seq_lens, logits_rows;
  std::vector<std::vector<int32_t>> tables;  // [group * seq][blocks of seq_lens]
  std::vector<std::vector<int64_t>> mapping;
  bool operator==(const Batch&) const = default;
};

// Records its batches; the next token is a hash of the last one and its position.
class RecordingModel final : public model::Model {
 public:
  RecordingModel() {
    config_.vocab_size = kVocab, config_.hidden_size = 2;
    spec_ = {.groups = {{.layers = {0}, .sliding_window = 0}, {.layers = {1}, .sliding_window = 12}},
             .num_kv_heads = 1,
             .head_dim = 8};
  }
  const model::ModelConfig& config() const override { return config_; }
  const model::KvCacheSpec& kv_spec() const override { return spec_; }
  void forward(const model::ForwardBatch& b, const model::ForwardContext&, TensorView<float, 2> hidden) override {
    last = {.token_ids = {b.token_ids.begin(), b.token_ids.end()},
            .positions = {b.positions.begin(), b.positions.end()},
            .query_start = {b.query_start.begin(), b.query_start.end()},
            .seq_lens = {b.seq_lens.begin(), b.seq_lens.end()},
            .logits_rows = {b.logits_rows.begin(), b.logits_rows.end()}};
    for (size_t g = 0; g < b.block_tables.size(); ++g) {
      last.mapping.emplace_back(b.slot_mapping[g].begin(), b.slot_mapping[g].end());
      for (size_t s = 0; s < b.seq_lens.size(); ++s) {
        const int32_t* row = b.block_tables[g].row(static_cast<int64_t>(s));
        last.tables.emplace_back(row, row + (b.seq_lens[s] + kBlock - 1) / kBlock);
      }
    }
    for (size_t i = 0; i < b.logits_rows.size(); ++i) {
      const auto row = static_cast<size_t>(b.logits_rows[i]);
      hidden.row(static_cast<int64_t>(i))[0] =
          static_cast<float>((b.token_ids[row] * 7 + b.positions[row] * 3) % kVocab);
    }
  }
  void compute_logits(TensorView<const float, 2> hidden, const model::ForwardContext&,
                      TensorView<float, 2> logits) override {
    for (int64_t r = 0; r < logits.size(0); ++r) {
      for (int v = 0; v < kVocab; ++v) logits.row(r)[v] = v == static_cast<int>(hidden.row(r)[0]) ? 1.0f : 0.0f;
    }
  }
  size_t weight_bytes() const override { return 0; }
  void reserve(int64_t, int64_t) override {}
  size_t scratch_bytes() const override { return 0; }

  Batch last;

 private:
  model::ModelConfig config_;
  model::KvCacheSpec spec_;
};

// The device's half on the host: the array, the batch, and a sampler that appends the tokens it is told.
class HostDevice {
 public:
  explicit HostDevice(const EngineConfig& config, bool pad_mixed = false)
      : layout_(SlotLayout::make(kSlots, 2, kMaxLen, kBlock, kMaxSeqs)),
        planner_({.engine = config,
                  .num_groups = 2,
                  .vocab_size = kVocab,
                  .on_start = [](const SlotStart&) -> Result<SamplingPlace> { return SamplingPlace{}; },
                  .on_end = [](SlotId) {}},
                 layout_),
        words_(static_cast<size_t>(layout_.total), -7) {
    planner_.set_num_blocks(kBlocks);
    out_.max_tokens = kBudget + 8, out_.max_seqs = kMaxSeqs;
    if (pad_mixed) planner_.pad_mixed_steps(out_.max_tokens, out_.max_seqs);
    for (auto** p : {&out_.token_ids, &out_.positions, &out_.logits_rows, &out_.row_slots}) *p = array(out_.max_tokens);
    out_.query_start = array(out_.max_seqs + 1), out_.seq_lens = array(out_.max_seqs);
    out_.block_tables = array(2 * out_.max_seqs * layout_.max_blocks);
    mapping_.assign(static_cast<size_t>(2 * out_.max_tokens), -7);
    out_.slot_mapping = mapping_.data();
  }
  Status prepare(const StepInput& input) {
    RETURN_IF_ERROR(planner_.plan(input, plan));
    for (const CopyRun& run : plan.runs) copy_run(words_.data(), run, plan.payload.data(), 0, 1);
    for (int s = 0; s < plan.shape.num_seqs; ++s) prepare_sequence(words_.data(), layout_, out_, s, 0, 1);
    prepare_padding(words_.data(), layout_, out_, plan.shape, 0, 1);
    for (int s = 0; s < plan.shape.num_seqs; ++s) finish_sequence(words_.data(), layout_, s);
    return {};
  }
  void append(SlotId slot, TokenId token) {
    int32_t& known = words_[static_cast<size_t>(layout_.num_tokens + slot)];
    words_[static_cast<size_t>(layout_.token(slot, known++))] = token;
  }
  // The real part of the batch, once the padding is checked.
  Batch batch() const {
    const auto logits = static_cast<size_t>(plan.num_logits);
    const auto tokens = static_cast<size_t>(plan.query_start.back());
    Batch b{.token_ids = {out_.token_ids, out_.token_ids + tokens},
            .positions = {out_.positions, out_.positions + tokens},
            .query_start = {0},
            .seq_lens = {},
            .logits_rows = {out_.logits_rows, out_.logits_rows + logits}};
    std::vector<int64_t> real;
    for (size_t s = 0; s < plan.seq_lens.size(); ++s) {
      if (out_.seq_lens[s] == 0) continue;
      real.push_back(static_cast<int64_t>(s));
      b.query_start.push_back(out_.query_start[s + 1]), b.seq_lens.push_back(out_.seq_lens[s]);
    }
    EXPECT_EQ(real.size(), plan.rows.size());
    if (plan.mixed) {
      for (int64_t s : real) EXPECT_TRUE(s < plan.num_decodes || s >= plan.mixed->decodes);
      EXPECT_EQ(out_.query_start[plan.mixed->decodes], plan.num_decodes);
    }
    for (int g = 0; g < 2; ++g) {
      const int64_t* mapping = out_.slot_mapping + g * out_.max_tokens;
      b.mapping.emplace_back(mapping, mapping + tokens);
      for (size_t s = 0; s < real.size(); ++s) {
        const int32_t* row = out_.block_tables + (g * out_.max_seqs + real[s]) * layout_.max_blocks;
        b.tables.emplace_back(row, row + (b.seq_lens[s] + kBlock - 1) / kBlock);
      }
      for (int i = static_cast<int>(tokens); i < plan.shape.num_tokens; ++i) EXPECT_EQ(mapping[i], -1);
    }
    for (size_t s = 0; s < plan.seq_lens.size(); ++s) {
      EXPECT_EQ(out_.seq_lens[s], plan.seq_lens[s]);
      EXPECT_EQ(out_.query_start[s + 1], plan.query_start[s + 1]);
    }
    for (int i = static_cast<int>(logits); i < plan.shape.num_logits; ++i) {
      EXPECT_EQ(out_.logits_rows[i], -1);
      EXPECT_EQ(out_.row_slots[i], -1);
    }
    return b;
  }
  SlotId row_slot(int row) const { return out_.row_slots[row]; }

  StepPlan plan;

 private:
  int32_t* array(int64_t size) {
    arrays_.push_back(std::vector<int32_t>(static_cast<size_t>(size), -7));
    return arrays_.back().data();
  }
  SlotLayout layout_;
  StepPlanner planner_;
  std::vector<int32_t> words_;
  std::vector<std::vector<int32_t>> arrays_;
  std::vector<int64_t> mapping_;
  BatchArrays out_;
};

EngineConfig small_config() {
  return {.max_num_seqs = kSlots,
          .max_num_batched_tokens = kBudget,
          .max_model_len = kMaxLen,
          .block_size = kBlock,
          .num_blocks = kBlocks};
}

class StepPlannerBatches : public ::testing::TestWithParam<bool> {};  // whether steps that prefill are padded

TEST_P(StepPlannerBatches, AreThoseOfTheCpuRunner) {
  const EngineConfig config = small_config();
  ThreadPool pool(1);
  auto owned = std::make_unique<RecordingModel>();
  RecordingModel& model = *owned;
  CpuModelRunner runner(std::move(owned), config, nullptr, pool);
  HostDevice device(config, GetParam());
  int steps = 0, decodes = 0, steady = 0, chunks = 0, mixed = 0, apart = 0;
  auto run = [&](const StepInput& input, const SampleInput& sample) -> StepResult {
    Status forward = runner.forward(input), prepared = device.prepare(input);
    EXPECT_TRUE(forward && prepared) << (prepared ? "" : prepared.error().message);
    EXPECT_TRUE(device.batch().token_ids == model.last.token_ids) << "step " << input.step;
    // Rows that sample nothing keep their logits in a plain decode; there are none in these runs, so all must be equal.
    EXPECT_TRUE(device.batch() == model.last) << "step " << input.step;
    auto result = runner.sample(sample);
    EXPECT_TRUE(result);
    for (size_t i = 0; i < device.plan.rows.size(); ++i) {
      const PlannedRow& row = device.plan.rows[i];
      EXPECT_EQ(row.samples, !result->slots[i].token_ids.empty());
      EXPECT_EQ(static_cast<size_t>(row.num_prompt_rows), result->slots[i].prompt_logprobs.size());
      if (!row.samples) continue;
      EXPECT_EQ(device.row_slot(row.last_logit()), row.slot);
      device.append(row.slot, result->slots[i].token_ids[0]);
    }
    ++steps, decodes += device.plan.decode, chunks += device.plan.query_start.back() == kBudget;
    steady += device.plan.runs.empty();
    mixed += device.plan.mixed.has_value();
    apart += device.plan.mixed && device.plan.num_decodes < device.plan.mixed->decodes;
    return std::move(*result);
  };
  std::mutex mutex;
  std::condition_variable changed;
  int ends = 0;
  auto engine =
      make_engine(config, {0, 12}, std::make_unique<testing::FakeExecutor>(run, testing::FakeExecutorOptions{}),
                  [&](std::vector<EngineOutput>&& outputs) {
                    std::lock_guard lock(mutex);
                    for (const EngineOutput& o : outputs) ends += o.finish_reason == FinishReason::kLength;
                    changed.notify_all();
                  });
  constexpr int kRequests = 60;
  uint32_t random = 3;
  auto pick = [&](uint32_t n) {
    return static_cast<int>((random = random * 1664525 + 1013904223) >> 8) % static_cast<int>(n);
  };
  for (RequestId id = 1; id <= kRequests; ++id) {
    EngineRequest r{.id = id};
    const int family = pick(2), length = 1 + pick(40);
    for (int i = 0; i < length; ++i) r.prompt_token_ids.push_back((family * 11 + i) % kVocab);
    r.sampling.temperature = 0;
    r.sampling.max_tokens = 1 + pick(20);
    if (pick(4) == 0) r.sampling.prompt_logprobs = 0;
    ASSERT_TRUE(engine->submit(r));
  }
  std::unique_lock lock(mutex);
  ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(20), [&] { return ends == kRequests; }));
  lock.unlock();
  engine->shutdown(5);
  EXPECT_GT(engine->stats().num_preemptions, 0u);
  EXPECT_GT(engine->stats().prefix_cache_hits, 0u);
  EXPECT_GT(steps, 50);
  EXPECT_GT(decodes, 10);
  EXPECT_GT(chunks, 5);
  EXPECT_GT(steady, 3);  // nothing to upload at all
  EXPECT_EQ(mixed > 5, GetParam());
  EXPECT_EQ(apart > 2, GetParam());  // with sequences of nothing between others
}
INSTANTIATE_TEST_SUITE_P(, StepPlannerBatches, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "PaddedMixed" : "AsTheyAre"; });

TEST(StepPlanner, RefusesWhatNoSchedulerSends) {
  const SlotStart start{.slot = 0, .token_ids = {1, 2, 3}, .num_prompt_tokens = 3};
  const BlockDelta blocks{.slot = 0, .group = 0, .first_index = 0, .block_ids = {1}};
  const BlockDelta window{.slot = 0, .group = 1, .first_index = 0, .block_ids = {2}};
  const StepInput good{.step = 1,
                       .starts = {start},
                       .block_deltas = {blocks, window},
                       .work = {{.slot = 0, .num_tokens = 3, .samples = true}}};
  EXPECT_TRUE(HostDevice(small_config()).prepare(good));
  auto refused = [&](auto change) {
    StepInput bad = good;
    change(bad);
    Status status = HostDevice(small_config()).prepare(bad);
    EXPECT_FALSE(status);
    return status ? "" : status.error().message;
  };
  refused([](StepInput& i) { i.ended = {0}; });
  refused([](StepInput& i) { i.ended = {-1}; });
  refused([](StepInput& i) { i.starts[0].slot = kSlots; });
  refused([](StepInput& i) { i.starts.push_back(i.starts[0]); });
  refused([](StepInput& i) { i.starts[0].token_ids[1] = kVocab; });
  refused([](StepInput& i) { i.starts[0].token_ids.clear(); });
  refused([](StepInput& i) { i.starts[0].num_computed_tokens = 3; });
  refused([](StepInput& i) { i.starts[0].token_ids.assign(kMaxLen + 1, 1); });
  refused([](StepInput& i) { i.block_deltas[0].group = 2; });
  refused([](StepInput& i) { i.block_deltas[0].first_index = 1; });
  refused([](StepInput& i) { i.block_deltas[0].block_ids = {static_cast<int32_t>(kBlocks)}; });
  refused([](StepInput& i) { i.block_deltas[0].block_ids.assign(kMaxLen / kBlock + 1, 1); });
  refused([](StepInput& i) { i.block_deltas.clear(); });
  refused([](StepInput& i) { i.work.push_back(i.work[0]); });  // twice in a step
  refused([](StepInput& i) { i.work[0].slot = 3; });
  refused([](StepInput& i) { i.work[0].num_tokens = 0; });
}

TEST(GraphBuckets, PadStepsThatPrefill) {
  const int tokens[][2] = {{1, 16}, {65, 96}, {129, 192}, {512, 512}, {513, 640}, {1025, 1280}, {2048, 2048}};
  for (auto [n, padded] : tokens) EXPECT_EQ(mixed_bucket(n, 0, 1), (MixedBucket{padded, 0, 2}));
  EXPECT_EQ(mixed_bucket(500, 61, 3), (MixedBucket{512, 64, 8}));
  EXPECT_EQ(mixed_bucket(500, 3, 32), (MixedBucket{512, 4, 32}));
  EXPECT_FALSE(mixed_bucket(2049, 0, 1));
  EXPECT_FALSE(mixed_bucket(100, 0, 33));
  EXPECT_FALSE(mixed_bucket(4, 4, 0));
}

TEST(GraphBuckets, PadAsVllmDoes) {
  const int expected[][2] = {{1, 1}, {2, 2},  {3, 4},     {4, 4},     {5, 8},
                             {8, 8}, {9, 16}, {250, 256}, {257, 272}, {500, 512}};
  for (auto [n, padded] : expected) EXPECT_EQ(padded_batch(n), padded);
  StepInput step{.work = {{.slot = 1, .num_tokens = 1}, {.slot = 2, .num_tokens = 1}}};
  EXPECT_TRUE(is_plain_decode(step));
  step.work[1].num_tokens = 2;
  EXPECT_FALSE(is_plain_decode(step));
  step.work[1] = {.slot = 2, .num_tokens = 1, .prompt_logprobs = true};
  EXPECT_FALSE(is_plain_decode(step));
  EXPECT_FALSE(is_plain_decode(StepInput{}));
}

}  // namespace
}  // namespace vllm::engine
