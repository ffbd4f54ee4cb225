// The whole engine with drafts against the whole engine without: the same tokens and logprobs, bit for bit, whoever
// drafts.
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>

#include "engine/exec/cpu_executor.h"
#include "engine/make_engine.h"
#include "model/testing/golden.h"

namespace vllm::engine {
namespace {

struct Answer {
  std::vector<TokenId> tokens;
  std::vector<PositionLogprobs> logprobs;
  std::optional<FinishReason> end;
};
struct Served {
  std::map<RequestId, Answer> answers;
  EngineStats stats;
};

std::unique_ptr<model::Model> load(const char* name) {
  model::testing::Golden g = model::testing::load_golden(name);
  g.config.max_position = 512;
  ThreadPool pool(2);
  auto model = model::load_model(g.config, g.weights, {.dtype = DType::kFloat32, .kv_dtype = DType::kFloat32}, pool);
  EXPECT_TRUE(model) << model.error().message;
  return std::move(*model);
}

// The pool is too small for all sequences at once, so that some are preempted and come back with their prefix cached.
constexpr EngineConfig kConfig = {
    .max_num_seqs = 8, .max_num_batched_tokens = 48, .max_model_len = 256, .block_size = 16, .num_blocks = 24};

std::vector<EngineRequest> requests(bool penalties) {
  std::vector<EngineRequest> all;
  for (int i = 0; i < 12; ++i) {
    EngineRequest r;
    r.id = static_cast<RequestId>(i + 1);
    for (int t = 0; t < 5 + 7 * i; ++t) r.prompt_token_ids.push_back(2 + (t * (i % 4 + 1)) % 23);
    r.sampling.max_tokens = 40 + i;
    r.sampling.ignore_eos = true;
    r.sampling.temperature = i % 3 == 0 ? 0.0f : 0.7f;
    r.sampling.seed = static_cast<uint64_t>(100 + i);
    if (penalties && i % 4 == 1) r.sampling.frequency_penalty = 0.5f;
    if (i % 4 == 2) r.sampling.logprobs = 2;
    if (i == 7) r.sampling.stop_token_ids = {11, 12, 13};
    all.push_back(std::move(r));
  }
  return all;
}

Served serve(const char* target, int num_speculative_tokens, SpeculationOptions speculation, bool penalties = true) {
  EngineConfig config = kConfig;
  config.num_speculative_tokens = num_speculative_tokens;
  auto model = load(target);
  std::vector<int64_t> windows;
  for (const model::KvGroup& group : model->kv_spec().groups) windows.push_back(group.sliding_window);
  auto executor = make_cpu_executor(std::move(model), {.engine = config, .num_threads = 2}, std::move(speculation));
  EXPECT_TRUE(executor) << executor.error().message;
  Served run;
  std::mutex mutex;
  std::condition_variable changed;
  size_t ends = 0;
  auto engine = make_engine(config, windows, std::move(*executor), [&](std::vector<EngineOutput>&& outputs) {
    std::lock_guard lock(mutex);
    for (EngineOutput& o : outputs) {
      Answer& a = run.answers[o.id];
      a.tokens.insert(a.tokens.end(), o.new_token_ids.begin(), o.new_token_ids.end());
      std::move(o.logprobs.begin(), o.logprobs.end(), std::back_inserter(a.logprobs));
      if (o.finish_reason) a.end = o.finish_reason, ++ends;
    }
    changed.notify_all();
  });
  const auto all = requests(penalties);
  for (const EngineRequest& r : all) EXPECT_TRUE(engine->submit(r));
  {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(60), [&] { return ends == all.size(); }));
  }
  EXPECT_TRUE(engine->healthy()) << engine->death_reason();
  engine->shutdown(10);
  run.stats = engine->stats();
  EXPECT_EQ(run.stats.num_free_blocks, run.stats.num_blocks);
  return run;
}

void expect_same(const Served& expected, const Served& got) {
  ASSERT_EQ(expected.answers.size(), got.answers.size());
  for (const auto& [id, a] : expected.answers) {
    SCOPED_TRACE(id);
    const Answer& b = got.answers.at(id);
    EXPECT_EQ(a.tokens, b.tokens);
    EXPECT_EQ(a.end, b.end);
    ASSERT_EQ(a.logprobs.size(), b.logprobs.size());
    for (size_t i = 0; i < a.logprobs.size(); ++i) {
      ASSERT_EQ(a.logprobs[i].size(), b.logprobs[i].size());
      for (size_t j = 0; j < a.logprobs[i].size(); ++j) {
        EXPECT_EQ(a.logprobs[i][j].token, b.logprobs[i][j].token);
        EXPECT_EQ(a.logprobs[i][j].logprob, b.logprobs[i][j].logprob);
      }
    }
  }
}

TEST(Speculation, ADraftModelChangesNoToken) {
  const Served plain = serve("llama", 0, {});
  EXPECT_EQ(plain.stats.num_drafts, 0u);
  for (const char* drafter : {"llama-linear", "qwen2"}) {
    SCOPED_TRACE(drafter);
    SpeculationOptions speculation;
    speculation.draft_model = load(drafter);
    const Served run = serve("llama", 3, std::move(speculation));
    expect_same(plain, run);
    EXPECT_GT(run.stats.num_drafts, 100u);
    EXPECT_GT(run.stats.num_accepted_tokens, 0u);
  }
}

// The draft has the target's weights and random numbers: all is accepted, or its cache and positions are not right.
// Only penalties are not drafted with.
TEST(Speculation, AModelDraftsForItselfWithoutFail) {
  SpeculationOptions speculation;
  speculation.draft_model = load("llama");
  const Served run = serve("llama", 4, std::move(speculation), false);
  expect_same(serve("llama", 0, {}, false), run);
  EXPECT_GT(run.stats.num_preemptions, 0u);
  EXPECT_EQ(run.stats.num_accepted_tokens, run.stats.num_draft_tokens);
  ASSERT_EQ(run.stats.accepted_per_position.size(), 4u);
  EXPECT_GT(run.stats.accepted_per_position[3], 0u);
}

TEST(Speculation, PromptLookupChangesNoToken) {
  SpeculationOptions speculation;
  speculation.ngram = NgramOptions{.min_length = 1, .max_length = 3};
  const Served run = serve("qwen2", 5, std::move(speculation));
  expect_same(serve("qwen2", 0, {}), run);
  EXPECT_GT(run.stats.num_accepted_tokens, 0u);
}

TEST(Speculation, RefusesPairsThatCannotWork) {
  EngineConfig config = kConfig;
  config.num_speculative_tokens = 2;
  SpeculationOptions speculation;
  speculation.draft_model = load("gemma3");
  auto refused = make_cpu_executor(load("llama"), {.engine = config, .num_threads = 1}, std::move(speculation));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("draft"), std::string::npos) << refused.error().message;
}

}  // namespace
}  // namespace vllm::engine
