// The whole engine over executors that answer late and accept drafts at random, alone and as two ranks behind sockets:
// every sequence gets the toy model's tokens and exactly one end, whatever is aborted, and every page is free at the
// end.
#include <gtest/gtest.h>

#include <future>
#include <mutex>
#include <random>

#include "engine/make_engine.h"
#include "engine/testing/fake_executor.h"
#include "engine/testing/oracle.h"
#include "engine/testing/rank_pair.h"

namespace vllm::engine {
namespace {

struct Case {
  const char* name;
  int phases;
  bool ranks;
  int drafts;
  int max_delay_us;
};

class EngineSoak : public ::testing::TestWithParam<Case> {};

TEST_P(EngineSoak, TokensAreTheToyModelsAndEveryPageIsFreeAtTheEnd) {  // INV-1 INV-2 INV-4
  const Case& c = GetParam();
#ifdef VLLM_SANITIZED
  constexpr uint64_t kRuns = 2;
#else
  constexpr uint64_t kRuns = 6;
#endif
  for (uint64_t seed = 1; seed <= kRuns; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 rng(seed);
    EngineConfig config{.max_num_seqs = 5, .max_num_batched_tokens = 20, .max_model_len = 80, .block_size = 4};
    config.num_blocks = seed % 2 ? 40 : 90;  // a tiny pool preempts
    config.policy = seed % 3 ? EngineConfig::Policy::kPriority : EngineConfig::Policy::kFcfs;
    config.num_speculative_tokens = c.drafts;
    const std::vector<int64_t> windows = seed % 2 ? std::vector<int64_t>{0} : std::vector<int64_t>{0, 9};
    const testing::FakeDeviceOptions device{.num_blocks = config.num_blocks,
                                            .block_size = 4,
                                            .sliding_windows = windows,
                                            .max_num_seqs = 5,
                                            .max_tokens_per_step = 20,
                                            .vocab = testing::Oracle::kVocab,
                                            .phases = c.phases,
                                            .seed = seed};
    testing::StepFunction function;
    if (c.ranks)
      function = testing::make_rank_pair(device);
    else
      function = [d = std::make_shared<testing::FakeDevice>(device)](const StepInput& i, const SampleInput& s) {
        return d->run(i, s);
      };

    std::mutex mutex;  // guards the oracle
    testing::Oracle oracle(seed);
    auto engine = make_engine(
        config, windows,
        std::make_unique<testing::FakeExecutor>(
            function, testing::FakeExecutorOptions{.phases = c.phases, .max_delay_us = c.max_delay_us, .seed = seed}),
        [&](std::vector<EngineOutput>&& outputs) {
          std::lock_guard lock(mutex);
          for (const EngineOutput& o : outputs) oracle.take(o);
        });
    for (RequestId id = 1; id <= 150; ++id) {
      EngineRequest r;
      {
        std::lock_guard lock(mutex);
        r = oracle.make(id);
        oracle.expect(r);
      }
      ASSERT_TRUE(engine->submit(r));
      if (rng() % 8 == 0) {
        std::optional<RequestId> victim;
        {
          std::lock_guard lock(mutex);
          if (!oracle.open().empty()) victim = oracle.choose_abort();
        }
        if (victim) engine->abort(*victim);
      }
      if (rng() % 50 == 0) engine->reset_prefix_cache();
      if (rng() % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(rng() % 1000));
    }
    engine->shutdown(60);
    EXPECT_EQ(engine->death_reason(), "");
    std::lock_guard lock(mutex);
    EXPECT_TRUE(oracle.open().empty());
    EXPECT_EQ(oracle.num_finished(), 150);
    EngineStats stats = engine->stats();
    EXPECT_EQ(stats.num_free_blocks, stats.num_blocks);
    EXPECT_EQ(stats.num_running + stats.num_waiting, 0);
    EXPECT_GT(stats.num_generation_tokens, 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Executors, EngineSoak,
                         ::testing::Values(Case{"sync", 1, false, 0, 0}, Case{"late", 1, false, 3, 300},
                                           Case{"two_in_flight", 2, false, 0, 300},
                                           Case{"two_in_flight_drafts", 2, false, 4, 100},
                                           Case{"three_in_flight_drafts", 3, false, 2, 0},
                                           Case{"two_ranks", 1, true, 0, 0},
                                           Case{"two_ranks_two_in_flight_drafts", 2, true, 3, 100}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace vllm::engine
