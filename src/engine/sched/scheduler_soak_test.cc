// Random requests, priorities, aborts, pools and acceptance counts, any number of steps in flight: whatever the schedule,
// each sequence gets the tokens that the toy model gives, the device finds no fault, and at the end every page is free.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>

#include "engine/sched/scheduler.h"
#include "engine/testing/fake_device.h"

namespace vllm::engine {
namespace {

struct Soak {
  std::mt19937_64 rng;
  EngineConfig config;
  std::vector<int64_t> windows;
  int phases = 1;
  PrefixCache::HashFn hash = siphash128;
  static constexpr int kVocab = 60;

  struct Open {
    EngineRequest request;
    std::vector<TokenId> got;
    bool aborted = false, prompt_logprobs_seen = false;
  };
  std::map<RequestId, Open> open;
  int64_t num_finished = 0, num_cached = 0;

  int pick(int low, int high) { return low + static_cast<int>(rng() % static_cast<uint64_t>(high - low + 1)); }

  explicit Soak(uint64_t seed) : rng(seed) {
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

  EngineRequest make(RequestId id) {
    EngineRequest r;
    r.id = id;
    r.priority = pick(-2, 2);
    // Prompts share beginnings: a few families, each with its own tokens.
    const int family = pick(0, 2), length = pick(1, 50);
    for (int i = 0; i < length; ++i) r.prompt_token_ids.push_back((family * 17 + i) % kVocab);
    if (pick(0, 1)) r.prompt_token_ids.back() = pick(0, kVocab - 1);
    r.cache_salt = pick(0, 2) == 0 ? "tenant" : "";
    r.sampling.seed = static_cast<uint64_t>(pick(0, 2));
    // Different seeds generate different tokens after one prompt, which is what a KV cache must keep apart.
    r.sampling.max_tokens = pick(1, 30);
    r.sampling.min_tokens = pick(0, 1) ? pick(0, r.sampling.max_tokens) : 0;
    r.sampling.ignore_eos = pick(0, 1);
    r.sampling.eos_token_ids = {3};
    if (pick(0, 1)) r.sampling.stop_token_ids = {5, 9};
    if (pick(0, 2) == 0) r.sampling.logprobs = 0;
    if (pick(0, 5) == 0) r.sampling.prompt_logprobs = 0;
    return r;
  }

  void take(const EngineOutput& o) {
    auto found = open.find(o.id);
    ASSERT_NE(found, open.end()) << "output for a finished sequence";
    Open& seq = found->second;
    if (!seq.request.sampling.logprobs) EXPECT_TRUE(o.logprobs.empty());
    else EXPECT_EQ(o.logprobs.size(), o.new_token_ids.size());
    if (!o.new_token_ids.empty() && seq.request.sampling.prompt_logprobs) {
      EXPECT_EQ(o.prompt_logprobs.size(), seq.got.empty() ? seq.request.prompt_token_ids.size() - 1 : 0);
      for (size_t i = 0; i < o.prompt_logprobs.size(); ++i)
        EXPECT_EQ(o.prompt_logprobs[i].at(0).token, seq.request.prompt_token_ids[i + 1]);
      EXPECT_EQ(o.num_cached_tokens, 0);
    }
    seq.got.insert(seq.got.end(), o.new_token_ids.begin(), o.new_token_ids.end());
    if (!o.finish_reason) return;
    check_end(seq, o);
    num_cached += o.num_cached_tokens;
    ++num_finished;
    open.erase(found);
  }

  void check_end(const Open& seq, const EngineOutput& o) {
    const SamplingParams& p = seq.request.sampling;
    const auto expected = testing::toy_tokens(seq.request.prompt_token_ids, p.max_tokens, p.seed, kVocab);
    ASSERT_LE(seq.got.size(), expected.size());
    EXPECT_TRUE(std::equal(seq.got.begin(), seq.got.end(), expected.begin())) << "sequence " << o.id;
    const auto stops = [&](size_t n) {
      const TokenId t = expected[n - 1];
      return n >= static_cast<size_t>(p.min_tokens) &&
             ((t == 3 && !p.ignore_eos) || std::count(p.stop_token_ids.begin(), p.stop_token_ids.end(), t));
    };
    for (size_t n = 1; n < seq.got.size(); ++n) EXPECT_FALSE(stops(n)) << "ran past a stop";
    if (seq.aborted) {
      EXPECT_EQ(o.finish_reason, FinishReason::kAbort);
      return;
    }
    ASSERT_FALSE(seq.got.empty());
    EXPECT_EQ(o.finish_reason == FinishReason::kStop, stops(seq.got.size()));
  }

  void run(int num_requests) {
    BlockManager blocks({.num_blocks = config.num_blocks, .block_size = config.block_size, .sliding_windows = windows,
                         .enable_prefix_caching = config.enable_prefix_caching, .hash = hash});
    Scheduler scheduler(config, blocks, [] { return 1.0; });
    testing::FakeDevice device({.num_blocks = config.num_blocks, .block_size = config.block_size, .sliding_windows = windows,
                                .max_num_seqs = config.max_num_seqs, .max_tokens_per_step = config.max_num_batched_tokens,
                                .vocab = kVocab, .phases = phases, .seed = rng()});
    std::deque<StepResult> flying;
    Scheduler::Outputs outputs;
    RequestId next = 1;
    int stuck = 0;
    while (next <= static_cast<RequestId>(num_requests) || !scheduler.idle()) {
      if (next <= static_cast<RequestId>(num_requests) && pick(0, 3) == 0) {
        EngineRequest r = make(next++);
        if (scheduler.check(r)) {
          open[r.id] = {.request = r, .got = {}};
          scheduler.add(r);
        }
      }
      if (!open.empty() && pick(0, 40) == 0) {
        auto it = std::next(open.begin(), pick(0, static_cast<int>(open.size()) - 1));
        it->second.aborted = true;
        scheduler.abort(it->first, outputs);
      }
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
      for (const EngineOutput& o : outputs) take(o);
      if (::testing::Test::HasFailure()) return;
      outputs.clear();
      stuck = moved || open.empty() ? 0 : stuck + 1;
      ASSERT_LT(stuck, 200) << "nothing moves any more";
    }
    EXPECT_TRUE(open.empty());
    EXPECT_EQ(blocks.num_free(), blocks.num_blocks());
  }
};

TEST(SchedulerSoak, EverySequenceGetsItsTokensWhateverTheSchedule) {
  int64_t finished = 0, cached = 0;
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
    finished += soak.num_finished;
    cached += soak.num_cached;
  }
  EXPECT_GT(finished, static_cast<int64_t>(kRuns) * 20);  // that the soak did something
  EXPECT_GT(cached, static_cast<int64_t>(kRuns) * 10);
}

}  // namespace
}  // namespace vllm::engine
