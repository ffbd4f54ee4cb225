// Random requests, priorities, aborts, pools and acceptance counts, any number of steps in flight: whatever the
// schedule, each sequence gets the tokens that the toy model gives, the device finds no fault, and at the end every
// page is free.
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "engine/sched/scheduler.h"
#include "engine/testing/fake_device.h"
#include "engine/testing/oracle.h"

namespace vllm::engine {
namespace {

struct Soak {
  std::mt19937_64 rng;
  EngineConfig config;
  std::vector<int64_t> windows;
  int phases = 1;
  PrefixCache::HashFn hash = siphash128;

  testing::Oracle oracle;
  uint64_t num_preemptions = 0;

  int pick(int low, int high) { return low + static_cast<int>(rng() % static_cast<uint64_t>(high - low + 1)); }

  explicit Soak(uint64_t seed) : rng(seed), oracle(seed) {
    config.max_num_seqs = pick(1, 6);
    config.max_num_batched_tokens = pick(1, 24);
    config.max_model_len = pick(20, 80);
    config.block_size = pick(1, 5);
    config.num_blocks = pick(8, 60);
    config.enable_prefix_caching = pick(0, 3) > 0;
    config.enable_chunked_prefill = pick(0, 3) > 0;
    config.policy = pick(0, 1) ? EngineConfig::Policy::kPriority : EngineConfig::Policy::kFcfs;
    config.long_prefill_token_threshold = pick(0, 1) ? pick(1, 9) : 0;
    config.num_speculative_tokens = pick(0, 1) ? pick(1, 4) : 0;
    phases = pick(1, 3);
    const std::vector<std::vector<int64_t>> choices{{0}, {0}, {0, 7}, {5}, {9, 0, 3}};
    windows = choices[static_cast<size_t>(pick(0, 4))];
    if (pick(0, 4) == 0)  // few different hashes: collisions all the time
      hash = [](Hash128 key, std::span<const std::byte> data) { return Hash128{siphash128(key, data).lo % 7, 0}; };
  }

  void run(int num_requests) {
    BlockManager blocks({.num_blocks = config.num_blocks,
                         .block_size = config.block_size,
                         .sliding_windows = windows,
                         .enable_prefix_caching = config.enable_prefix_caching,
                         .hash = hash});
    Scheduler scheduler(config, blocks, [] { return 1.0; });
    testing::FakeDevice device({.num_blocks = config.num_blocks,
                                .block_size = config.block_size,
                                .sliding_windows = windows,
                                .max_num_seqs = config.max_num_seqs,
                                .max_tokens_per_step = config.max_num_batched_tokens,
                                .vocab = testing::Oracle::kVocab,
                                .phases = phases,
                                .seed = rng()});
    std::deque<StepResult> flying;
    Scheduler::Outputs outputs;
    RequestId next = 1;
    int stuck = 0;
    while (next <= static_cast<RequestId>(num_requests) || !scheduler.idle()) {
      if (next <= static_cast<RequestId>(num_requests) && pick(0, 3) == 0) {
        EngineRequest r = oracle.make(next++);
        if (scheduler.check(r)) {
          oracle.expect(r);
          scheduler.add(r);
        }
      }
      if (!oracle.open().empty() && pick(0, 40) == 0) scheduler.abort(oracle.choose_abort(), outputs);
      if (pick(0, 500) == 0) blocks.reset_prefix_cache();
      bool moved = false;
      if (static_cast<int>(flying.size()) < phases && pick(0, 2) > 0)
        if (auto input = scheduler.schedule()) {
          flying.push_back(device.run(*input, {.step = input->step, .masks = {}}));
          ASSERT_EQ(flying.back().error, "");
          moved = true;
        }
      if (!flying.empty() && pick(0, 1)) {
        auto applied = scheduler.apply(std::move(flying.front()), outputs);
        ASSERT_TRUE(applied) << applied.error().message;
        flying.pop_front();
        moved = true;
      }
      for (const EngineOutput& o : outputs) oracle.take(o);
      if (::testing::Test::HasFailure()) return;
      outputs.clear();
      stuck = moved || oracle.open().empty() ? 0 : stuck + 1;
      ASSERT_LT(stuck, 200) << "nothing moves any more";
    }
    EXPECT_TRUE(oracle.open().empty());
    EXPECT_EQ(blocks.num_free(), blocks.num_blocks());
    num_preemptions += scheduler.counters().num_preemptions;
  }
};

TEST(SchedulerSoak, EverySequenceGetsItsTokensWhateverTheSchedule) {  // INV-1 INV-2 INV-3 INV-4 INV-8 INV-9 INV-10
  int64_t finished = 0, cached = 0;
  uint64_t preempted = 0;
#ifdef VLLM_SANITIZED
  constexpr uint64_t kRuns = 60;
#else
  constexpr uint64_t kRuns = 1000;
#endif
  for (uint64_t seed = 1; seed <= kRuns; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Soak soak(seed);
    soak.run(60);
    if (HasFailure()) return;
    finished += soak.oracle.num_finished();
    cached += soak.oracle.num_cached_tokens();
    preempted += soak.num_preemptions;
  }
  EXPECT_GT(finished, static_cast<int64_t>(kRuns) * 20);  // that the soak did something
  EXPECT_GT(cached, static_cast<int64_t>(kRuns) * 10);
  EXPECT_GT(preempted, kRuns * 2);
}

}  // namespace
}  // namespace vllm::engine
