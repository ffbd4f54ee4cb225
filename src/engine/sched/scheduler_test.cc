// Tables of arrivals and expected plans, over the checking fake device.
#include "engine/sched/scheduler.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "engine/testing/fake_device.h"

namespace vllm::engine {
namespace {

using testing::FakeDevice;

struct Rig {
  EngineConfig config;
  BlockManager blocks;
  double now = 100;
  Scheduler scheduler;
  FakeDevice device;
  std::deque<StepResult> flying;
  Scheduler::Outputs outputs;
  std::map<RequestId, std::vector<TokenId>> tokens;
  std::map<RequestId, EngineOutput> last;

  explicit Rig(EngineConfig c, std::vector<int64_t> windows = {0}, int phases = 1)
      : config(c),
        blocks({.num_blocks = c.num_blocks,
                .block_size = c.block_size,
                .sliding_windows = windows,
                .enable_prefix_caching = c.enable_prefix_caching,
                .hash = siphash128}),
        scheduler(c, blocks, [this] { return now; }),
        device({.num_blocks = c.num_blocks,
                .block_size = c.block_size,
                .sliding_windows = windows,
                .max_num_seqs = c.max_num_seqs,
                .max_tokens_per_step = c.max_num_batched_tokens,
                .phases = phases}) {}

  void add(RequestId id, int length, int max_tokens, int priority = 0, std::function<void(EngineRequest&)> edit = {}) {
    EngineRequest r;
    r.id = id;
    r.priority = priority;
    for (int i = 0; i < length; ++i) r.prompt_token_ids.push_back(static_cast<TokenId>(id * 1000 + i));
    r.sampling.max_tokens = max_tokens;
    if (edit) edit(r);
    ASSERT_TRUE(scheduler.check(r));
    scheduler.add(std::move(r));
  }
  // Plan a step and run it on the device; its result waits in `flying`. "-1 +0 | 0:8 1:1*": slot 1 ended, slot 0
  // starts, slot 0 runs 8 tokens, slot 1 one token and samples. "" is no plan.
  std::string plan() {
    auto input = scheduler.schedule();
    if (!input) return "";
    std::string text;
    for (SlotId slot : input->ended) text += fmt::format("-{} ", slot);
    for (const SlotStart& s : input->starts)
      text +=
          s.num_computed_tokens ? fmt::format("+{}@{} ", s.slot, s.num_computed_tokens) : fmt::format("+{} ", s.slot);
    if (!text.empty()) text += "| ";
    for (const SlotWork& w : input->work)
      text += fmt::format("{}:{}{}{} ", w.slot, w.num_tokens, w.samples ? "*" : "", w.prompt_logprobs ? "p" : "");
    text.pop_back();
    flying.push_back(device.run(*input, {.step = input->step, .masks = {}}));
    EXPECT_EQ(flying.back().error, "");
    return text;
  }
  void apply() {
    outputs.clear();
    ASSERT_TRUE(scheduler.apply(std::move(flying.front()), outputs));
    flying.pop_front();
    for (EngineOutput& o : outputs) {
      tokens[o.id].insert(tokens[o.id].end(), o.new_token_ids.begin(), o.new_token_ids.end());
      EXPECT_FALSE(last[o.id].finish_reason.has_value());
      last[o.id] = o;
    }
  }
  std::string step() {
    std::string text = plan();
    if (!text.empty()) apply();
    return text;
  }
  // Let everything end; true if all pages are free then.
  bool drain() {
    for (int i = 0; i < 10000 && !scheduler.idle(); ++i) {
      if (plan().empty() && flying.empty()) return false;
      apply();
    }
    return scheduler.idle() && blocks.num_free() == blocks.num_blocks();
  }
};

EngineConfig config(int max_tokens, int max_seqs = 8, int64_t num_blocks = 100) {
  EngineConfig c;
  c.max_num_seqs = max_seqs;
  c.max_num_batched_tokens = max_tokens;
  c.max_model_len = 200;
  c.block_size = 4;
  c.num_blocks = num_blocks;
  return c;
}

TEST(Scheduler, DecodesFirstThenChunksRideAlong) {
  Rig rig(config(8));
  rig.add(1, 5, 3);
  rig.add(2, 10, 2);
  EXPECT_EQ(rig.step(), "+0 +1 | 0:5* 1:3");
  rig.add(3, 4, 1);
  EXPECT_EQ(rig.step(), "0:1* 1:7*");
  EXPECT_EQ(rig.step(), "+2 | 0:1* 1:1* 2:4*");
  EXPECT_EQ(rig.step(), "");
  EXPECT_EQ(rig.last[1].finish_reason, FinishReason::kLength);
  EXPECT_EQ(rig.tokens[1].size(), 3u);
  EXPECT_EQ(rig.last[1].scheduled_time_s, 100);
  EXPECT_TRUE(rig.drain());
}

TEST(Scheduler, EndedSlotsAreToldWithTheNextStep) {
  Rig rig(config(8, 2));
  rig.add(1, 4, 1);
  rig.add(2, 4, 2);
  rig.add(3, 4, 2);
  EXPECT_EQ(rig.step(), "+0 +1 | 0:4* 1:4*");
  EXPECT_EQ(rig.step(), "-0 +0 | 1:1* 0:4*");  // the slot is used again at once
  EXPECT_EQ(rig.step(), "-1 | 0:1*");
}

TEST(Scheduler, LongPrefillThresholdCapsOneSequence) {
  EngineConfig c = config(16);
  c.long_prefill_token_threshold = 4;
  Rig rig(c);
  rig.add(1, 10, 1);
  rig.add(2, 3, 1);
  EXPECT_EQ(rig.step(), "+0 +1 | 0:4 1:3*");
  EXPECT_EQ(rig.step(), "-1 | 0:4");
  EXPECT_EQ(rig.step(), "0:2*");
}

TEST(Scheduler, AStepThatDecodesTakesSmallerChunks) {
  EngineConfig c = config(32);
  c.max_mixed_batch_tokens = 6;
  Rig rig(c);
  rig.add(1, 20, 5);
  EXPECT_EQ(rig.step(), "+0 | 0:20*");  // nothing decodes: the whole budget
  rig.add(2, 9, 4);
  EXPECT_EQ(rig.step(), "+1 | 0:1* 1:5");
  rig.add(3, 20, 4);
  EXPECT_EQ(rig.step(), "+2 | 0:1* 1:4* 2:1");
  EXPECT_EQ(rig.step(), "0:1* 1:1* 2:4");
}

TEST(Scheduler, ChunksBesideDecodesGrowWithTheNumberOfSequences) {
  EngineConfig c = config(64, 8, 64);
  c.mixed_batch_tokens_per_sequence = 4, c.min_mixed_batch_tokens = 9, c.max_mixed_batch_tokens = 14;
  Rig rig(c);
  rig.add(1, 3, 9);
  EXPECT_EQ(rig.step(), "+0 | 0:3*");
  rig.add(2, 40, 9);
  EXPECT_EQ(rig.step(), "+1 | 0:1* 1:8");  // two would be 8: the least, 9
  rig.add(3, 9, 9);
  EXPECT_EQ(rig.step(), "0:1* 1:11");  // three, one of which waits: 12
  rig.add(4, 9, 9);
  EXPECT_EQ(rig.step(), "0:1* 1:13");  // four would be 16: the most, 14
}

TEST(Scheduler, WithoutChunkedPrefillPromptsRunWhole) {
  EngineConfig c = config(8);
  c.enable_chunked_prefill = false;
  Rig rig(c);
  rig.add(1, 5, 2);
  rig.add(2, 6, 1);
  rig.add(3, 1, 1);
  EXPECT_EQ(rig.step(), "+0 | 0:5*");  // 2 does not fit beside it, and 3 does not overtake
  EXPECT_EQ(rig.step(), "+1 +2 | 0:1* 1:6* 2:1*");
  EngineRequest too_long;
  too_long.prompt_token_ids.resize(9);
  EXPECT_EQ(rig.scheduler.check(too_long).error().code, ErrorCode::kInvalidArgument);
}

TEST(Scheduler, FcfsIgnoresPriorityAndPriorityOrders) {
  for (bool priority : {false, true}) {
    EngineConfig c = config(4, 1);
    c.policy = priority ? EngineConfig::Policy::kPriority : EngineConfig::Policy::kFcfs;
    Rig rig(c);
    rig.add(1, 4, 1, 5);
    rig.add(2, 4, 1, 0);
    rig.add(3, 4, 1, 5);
    std::vector<RequestId> order;
    while (!rig.step().empty()) order.push_back(rig.outputs.at(0).id);
    EXPECT_EQ(order, priority ? (std::vector<RequestId>{2, 1, 3}) : (std::vector<RequestId>{1, 2, 3}));
  }
}

TEST(Scheduler, NewestIsPreemptedAndResumes) {  // INV-1
  EngineConfig c = config(16, 8, 6);            // 5 pages of 4 tokens
  c.enable_prefix_caching = false;
  Rig rig(c);
  rig.add(1, 7, 6);
  rig.add(2, 8, 4);
  EXPECT_EQ(rig.step(), "+0 +1 | 0:7* 1:8*");  // 2 pages each
  EXPECT_EQ(rig.step(), "0:1* 1:1*");          // 2 takes the last page
  EXPECT_EQ(rig.step(), "-1 | 0:1*");          // 1 needs a page: 2 goes
  EXPECT_EQ(rig.scheduler.counters().num_preemptions, 1u);
  EXPECT_EQ(rig.step(), "0:1*");  // 2 has 10 tokens, 3 pages; 2 are free
  EXPECT_EQ(rig.step(), "0:1*");
  EXPECT_EQ(rig.step(), "0:1*");
  EXPECT_EQ(rig.last[1].finish_reason, FinishReason::kLength);
  EXPECT_EQ(rig.step(), "-0 +0 | 0:10*");
  EXPECT_TRUE(rig.drain());
  EXPECT_EQ(rig.last[2].num_preemptions, 1);
  std::vector<TokenId> prompt;
  for (int i = 0; i < 8; ++i) prompt.push_back(2000 + i);
  EXPECT_EQ(rig.tokens[2], testing::toy_tokens(prompt, 4, 0));
}

TEST(Scheduler, LowestPriorityIsTheVictim) {
  EngineConfig c = config(16, 8, 6);
  c.policy = EngineConfig::Policy::kPriority;
  c.enable_prefix_caching = false;
  Rig rig(c);
  rig.add(1, 7, 6, 9);
  EXPECT_EQ(rig.step(), "+0 | 0:7*");
  rig.add(2, 8, 4, 1);
  EXPECT_EQ(rig.step(), "+1 | 0:1* 1:8*");
  EXPECT_EQ(rig.step(), "1:1*");  // 2 goes first and takes the last page; 1 keeps what it has and waits for one
  EXPECT_EQ(rig.scheduler.counters().num_preemptions, 0u);
  EXPECT_EQ(rig.step(), "1:1*");
  EXPECT_EQ(rig.step(), "1:1*");
  EXPECT_EQ(rig.step(), "-1 | 0:1*");
  EXPECT_TRUE(rig.drain());
}

TEST(Scheduler, AloneItRunsInSmallerChunksRatherThanNever) {  // INV-10
  EngineConfig c = config(64, 8, 5);                          // 4 pages; window of 4 needs 2, whatever the length
  Rig rig(c, {4});
  rig.add(1, 40, 3);
  while (!rig.scheduler.idle()) ASSERT_NE(rig.step(), "");
  EXPECT_EQ(rig.tokens[1].size(), 3u);
  EXPECT_TRUE(rig.drain());
}

TEST(Scheduler, PrefixHitSkipsTokensAndReportsThem) {
  Rig rig(config(32));
  const auto same_prompt = [](EngineRequest& r) { r.prompt_token_ids.assign(10, 7); };
  rig.add(1, 1, 1, 0, same_prompt);
  EXPECT_EQ(rig.step(), "+0 | 0:10*");
  rig.add(2, 1, 1, 0, same_prompt);
  EXPECT_EQ(rig.step(), "-0 +0@8 | 0:2*");
  EXPECT_EQ(rig.last[2].num_cached_tokens, 8);
  EXPECT_EQ(rig.scheduler.counters().prefix_cache_queries, 20u);
  EXPECT_EQ(rig.scheduler.counters().prefix_cache_hits, 8u);
  rig.add(3, 1, 1, 0, [&](EngineRequest& r) { same_prompt(r), r.cache_salt = "tenant"; });
  EXPECT_EQ(rig.step(), "-0 +0 | 0:10*");
  EXPECT_EQ(rig.last[1].new_token_ids, rig.last[2].new_token_ids);
}

TEST(Scheduler, PromptLogprobsBypassTheCacheAndComeWhole) {
  Rig rig(config(4));
  rig.add(1, 8, 1);
  while (!rig.step().empty()) {
  }
  rig.add(1, 10, 2, 0, [](EngineRequest& r) {
    r.sampling.prompt_logprobs = 0;
    for (int i = 0; i < 10; ++i) r.prompt_token_ids[i] = 1000 + i;
  });
  rig.last.clear();
  EXPECT_EQ(rig.step(), "-0 +0 | 0:4p");
  EXPECT_EQ(rig.step(), "0:4p");
  EXPECT_EQ(rig.step(), "0:2*p");
  ASSERT_EQ(rig.last[1].prompt_logprobs.size(), 9u);
  for (int i = 0; i < 9; ++i) EXPECT_EQ(rig.last[1].prompt_logprobs[i].at(0).token, 1001 + i);
  EXPECT_EQ(rig.step(), "0:1*");
  EXPECT_TRUE(rig.last[1].prompt_logprobs.empty());
}

TEST(Scheduler, TwoStepsInFlightNeedNoResult) {  // INV-8
  Rig rig(config(8), {0}, 2);
  rig.add(1, 12, 3);
  EXPECT_EQ(rig.plan(), "+0 | 0:8");
  EXPECT_EQ(rig.plan(), "0:4*");
  rig.apply();
  EXPECT_EQ(rig.plan(), "0:1*");
  rig.apply();
  EXPECT_EQ(rig.plan(), "0:1*");
  EXPECT_EQ(rig.plan(), "");  // three outputs are on their way: the limit is never overshot
  rig.apply();
  rig.apply();
  EXPECT_EQ(rig.tokens[1].size(), 3u);
  EXPECT_TRUE(rig.drain());
}

TEST(Scheduler, BlocksEnterTheCacheWithTheirResultNotWithTheirPlan) {  // INV-6
  Rig rig(config(32), {0}, 2);
  const auto same_prompt = [](EngineRequest& r) { r.prompt_token_ids.assign(10, 7); };
  rig.add(1, 1, 3, 0, same_prompt);
  EXPECT_EQ(rig.plan(), "+0 | 0:10*");
  rig.add(2, 1, 1, 0, same_prompt);
  EXPECT_EQ(rig.plan(), "+1 | 0:1* 1:10*");
  rig.apply();
  rig.add(3, 1, 1, 0, same_prompt);
  EXPECT_EQ(rig.plan(), "+2@8 | 0:1* 2:2*");
  rig.apply();
  rig.apply();
  EXPECT_TRUE(rig.drain());
}

TEST(Scheduler, OutputTokensAreCachedToo) {  // INV-6
  Rig rig(config(32));
  const std::vector<TokenId> prompt{1, 2, 3};
  rig.add(1, 1, 9, 0, [&](EngineRequest& r) { r.prompt_token_ids = prompt; });
  while (!rig.step().empty()) {
  }
  std::vector<TokenId> turn = prompt;  // the next turn of a chat: prompt, answer, and more
  turn.insert(turn.end(), rig.tokens[1].begin(), rig.tokens[1].end());
  turn.push_back(5);
  rig.add(2, 1, 1, 0, [&](EngineRequest& r) { r.prompt_token_ids = turn; });
  EXPECT_EQ(rig.step(), "-0 +0@8 | 0:5*");  // of the 12 tokens, the newest was never computed: two full blocks
}

TEST(Scheduler, AbortMidStepKeepsPagesUntilTheStepIsBack) {  // INV-3
  Rig rig(config(8), {0}, 2);
  rig.add(1, 8, 9);
  rig.add(2, 4, 1);
  EXPECT_EQ(rig.plan(), "+0 | 0:8*");
  EXPECT_EQ(rig.plan(), "+1 | 0:1* 1:4*");
  Scheduler::Outputs outputs;
  rig.scheduler.abort(1, outputs);
  rig.scheduler.abort(1, outputs);
  rig.scheduler.abort(77, outputs);
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_EQ(outputs[0].finish_reason, FinishReason::kAbort);
  const int64_t held = rig.blocks.num_blocks() - rig.blocks.num_free();
  EXPECT_EQ(held, 4);
  rig.add(1, 4, 1);  // the id may be used again at once
  rig.apply();
  EXPECT_EQ(rig.blocks.num_blocks() - rig.blocks.num_free(), held);
  EXPECT_TRUE(rig.outputs.empty());
  rig.apply();
  EXPECT_EQ(rig.blocks.num_free(), rig.blocks.num_blocks());
  EXPECT_EQ(rig.step(), "-0 -1 +1 | 1:4*");
}

TEST(Scheduler, SpeculationPlansBoundsAndTrims) {
  EngineConfig c = config(64);
  c.num_speculative_tokens = 3;
  Rig rig(c, {0}, 2);
  rig.add(1, 5, 40);
  EXPECT_EQ(rig.plan(), "+0 | 0:5*");
  EXPECT_EQ(rig.plan(), "0:4*");
  EXPECT_EQ(rig.blocks.num_blocks() - rig.blocks.num_free(), 3);  // up to 9 tokens
  rig.apply();
  EXPECT_EQ(rig.plan(), "0:4*");  // up to 13 tokens
  EXPECT_EQ(rig.blocks.num_blocks() - rig.blocks.num_free(), 4);
  StepResult& back = rig.flying.front();
  back.slots[0].token_ids.resize(1);
  // The device's own count may differ from the result that was cut here, so the rest is the scheduler's view only.
  rig.apply();
  EXPECT_EQ(rig.blocks.num_blocks() - rig.blocks.num_free(), 3);  // 6 computed and at most 4: 10 tokens
}

TEST(Scheduler, SpeculationNeverOvershootsTheLimit) {  // INV-8
  EngineConfig c = config(64);
  c.num_speculative_tokens = 3;
  Rig rig(c);
  rig.add(1, 4, 3);
  EXPECT_EQ(rig.plan(), "+0 | 0:4*");
  rig.apply();
  EXPECT_EQ(rig.plan(), "0:2*");  // two outputs are missing
}

TEST(Scheduler, RefusesWhatCanNeverRun) {
  EngineConfig c = config(8, 8, 6);
  Rig rig(c);
  const auto check = [&](int length, int max_tokens) {
    EngineRequest r;
    r.prompt_token_ids.resize(static_cast<size_t>(length));
    r.sampling.max_tokens = max_tokens;
    return rig.scheduler.check(r);
  };
  EXPECT_FALSE(check(0, 1));
  EXPECT_FALSE(check(1, 0));
  EXPECT_TRUE(check(20, 1));
  EXPECT_EQ(check(21, 1).error().message, "the prompt has 21 tokens, but the KV cache of 5 blocks holds only 20");
  EXPECT_FALSE(check(200, 1));
  EXPECT_TRUE(check(199 - 180, 1));
}

TEST(Scheduler, PoolSmallerThanTheContextEndsWithLength) {  // INV-10
  Rig rig(config(8, 8, 6));
  rig.add(1, 18, 100);
  EXPECT_TRUE(rig.drain());
  EXPECT_EQ(rig.last[1].finish_reason, FinishReason::kLength);
  EXPECT_EQ(rig.tokens[1].size(), 3u);  // 20 tokens with KV, and the newest
}

TEST(Scheduler, LyingResultsAreRefused) {  // INV-11
  Rig rig(config(8));
  rig.add(1, 4, 9);
  rig.plan();
  const StepResult good = rig.flying.front();
  std::vector<StepResult> lies(7, good);
  lies[0].step = 9;
  lies[1].slots.clear();
  lies[2].slots[0].slot = 5;
  lies[3].slots[0].token_ids.clear();
  lies[4].slots[0].token_ids.push_back(1);
  lies[5].slots[0].prompt_logprobs.resize(1);
  lies[6].error = "gone";
  for (StepResult& lie : lies) EXPECT_FALSE(rig.scheduler.apply(lie, rig.outputs));
  EXPECT_TRUE(rig.outputs.empty());
  EXPECT_TRUE(rig.scheduler.apply(good, rig.outputs));
  EXPECT_FALSE(rig.scheduler.apply(good, rig.outputs));
}

TEST(Scheduler, StopTruncatesAcceptedDrafts) {  // INV-8
  EngineConfig c = config(64);
  c.num_speculative_tokens = 3;
  Rig rig(c);
  std::vector<TokenId> prompt(4, 1);
  const auto expected = testing::toy_tokens(prompt, 3, 0);
  rig.add(1, 4, 40, 0, [&](EngineRequest& r) {
    r.prompt_token_ids = prompt;
    r.sampling.stop_token_ids = {expected[1]};
  });
  rig.step();
  rig.plan();
  rig.flying.front().slots[0].token_ids = {expected[1], expected[2], 5};
  rig.apply();
  EXPECT_EQ(rig.tokens[1], (std::vector<TokenId>{expected[0], expected[1]}));
  EXPECT_EQ(rig.last[1].stop_token, expected[1]);
  EXPECT_EQ(rig.blocks.num_free(), rig.blocks.num_blocks());
}

}  // namespace
}  // namespace vllm::engine
