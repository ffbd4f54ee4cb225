// The engine's promises to its callers: one end per sequence, bounded queue, idleness, death, shutdown.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <mutex>
#include <regex>
#include <set>

#include "engine/make_engine.h"
#include "engine/testing/fake_device.h"
#include "engine/testing/fake_executor.h"

namespace vllm::engine {
namespace {

using namespace std::chrono_literals;
using testing::FakeDevice;
using testing::FakeExecutor;

// Collects outputs; anybody may wait for them.
class Inbox {
 public:
  OutputSink sink() {
    return [this](std::vector<EngineOutput>&& outputs) {
      std::lock_guard lock(mutex_);
      for (EngineOutput& o : outputs) {
        tokens_[o.id] += static_cast<int>(o.new_token_ids.size());
        if (o.finish_reason) ends_[o.id].push_back(o);
      }
      changed_.notify_all();
    };
  }
  EngineOutput wait_end(RequestId id) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, 20s, [&] { return ends_.contains(id); })) throw std::runtime_error("no end");
    return ends_[id].at(0);
  }
  void wait_tokens(RequestId id, int count) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, 20s, [&] { return tokens_[id] >= count; })) throw std::runtime_error("no tokens");
  }
  size_t num_ends(RequestId id) {
    std::lock_guard lock(mutex_);
    return ends_[id].size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<RequestId, int> tokens_;
  std::map<RequestId, std::vector<EngineOutput>> ends_;
};

// Holds every step back until it is opened.
class Gate {
 public:
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

EngineConfig small_config() {
  return {
      .max_num_seqs = 2, .max_num_batched_tokens = 16, .max_model_len = 100000, .block_size = 4, .num_blocks = 30000};
}
testing::StepFunction device(const EngineConfig& c) {
  auto d =
      std::make_shared<FakeDevice>(testing::FakeDeviceOptions{.num_blocks = c.num_blocks, .block_size = c.block_size});
  return [d](const StepInput& i, const SampleInput& s) { return d->run(i, s); };
}
testing::StepFunction behind(Gate& gate, testing::StepFunction inner) {
  return [&gate, inner = std::move(inner)](const StepInput& i, const SampleInput& s) {
    gate.pass();
    return inner(i, s);
  };
}
std::unique_ptr<Engine> make(const EngineConfig& c, testing::StepFunction f, OutputSink sink, int delay_us = 0) {
  return make_engine(
      c, {0}, std::make_unique<FakeExecutor>(std::move(f), testing::FakeExecutorOptions{.max_delay_us = delay_us}),
      std::move(sink));
}
EngineRequest request(RequestId id, int max_tokens = 4) {
  EngineRequest r;
  r.id = id;
  r.prompt_token_ids = {1, 2, 3};
  r.sampling.max_tokens = max_tokens;
  return r;
}

TEST(Engine, AnswersAndCounts) {
  Inbox inbox;
  auto engine = make(small_config(), device(small_config()), inbox.sink());
  ASSERT_TRUE(engine->submit(request(1)));
  EngineOutput end = inbox.wait_end(1);
  EXPECT_EQ(end.finish_reason, FinishReason::kLength);
  EXPECT_GT(end.scheduled_time_s, 0);
  engine->shutdown(10);
  EngineStats stats = engine->stats();
  EXPECT_EQ(stats.num_steps, 4u);
  EXPECT_EQ(stats.iteration_tokens, (std::vector<int>{3, 1, 1, 1}));
  EXPECT_TRUE(engine->stats().iteration_tokens.empty());
  EXPECT_EQ(stats.num_prompt_tokens, 3u);
  EXPECT_EQ(stats.num_generation_tokens, 4u);
  EXPECT_EQ(stats.num_free_blocks, stats.num_blocks);
}

TEST(Engine, RefusesWhatCanNeverRunAndUsedIds) {
  Inbox inbox;
  Gate gate;
  auto engine = make(small_config(), behind(gate, device(small_config())), inbox.sink());
  EngineRequest empty = request(1);
  empty.prompt_token_ids.clear();
  EXPECT_EQ(engine->submit(empty).error().code, ErrorCode::kInvalidArgument);
  EngineRequest huge = request(1);
  huge.prompt_token_ids.resize(100000);
  EXPECT_EQ(engine->submit(huge).error().code, ErrorCode::kInvalidArgument);
  ASSERT_TRUE(engine->submit(request(1)));
  EXPECT_EQ(engine->submit(request(1)).error().code, ErrorCode::kInvalidArgument);
  gate.open();
  inbox.wait_end(1);
  EXPECT_TRUE(engine->submit(request(1)));  // free again after its end
  inbox.wait_end(1);
}

TEST(Engine, QueueIsBounded) {
  EngineConfig config = small_config();
  config.max_num_queued_reqs = 5;
  Inbox inbox;
  Gate gate;
  auto engine = make(config, behind(gate, device(config)), inbox.sink());
  for (RequestId id = 1; id <= 3; ++id) ASSERT_TRUE(engine->submit(request(id)));
  const auto submit = [&](RequestId id, int num_admitted) {
    EngineRequest r = request(id);
    r.num_admitted = num_admitted;
    return engine->submit(r);
  };
  Status refused = submit(4, 3);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(refused.error().param, "max_num_queued_reqs");
  EXPECT_TRUE(refused.error().message.starts_with("The engine is currently busy and cannot accept new requests."));
  EXPECT_TRUE(submit(4, 2));
  EXPECT_TRUE(submit(5, 0));
  EXPECT_FALSE(submit(6, 1));
  gate.open();
  for (RequestId id = 1; id <= 5; ++id) inbox.wait_end(id);
  EXPECT_TRUE(submit(99, 5));
  inbox.wait_end(99);
}

TEST(Engine, PromptTokensThatWaitAreBounded) {
  EngineConfig config = small_config();
  config.max_num_queued_tokens = 5;
  Inbox inbox;
  Gate gate;
  auto engine = make(config, behind(gate, device(config)), inbox.sink());
  for (RequestId id = 1; id <= 2; ++id) ASSERT_TRUE(engine->submit(request(id, 1000)));  // 3 tokens each
  Status refused = engine->submit(request(3));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(refused.error().param, "max_num_queued_tokens");
  EXPECT_TRUE(refused.error().message.starts_with("The engine has reached its prefill token backlog limit."));
  gate.open();
  for (RequestId id = 1; id <= 2; ++id) inbox.wait_tokens(id, 1);
  EXPECT_TRUE(engine->submit(request(4)));  // both decode: their prompts wait no more
  inbox.wait_end(4);
  for (RequestId id = 1; id <= 2; ++id) engine->abort(id);
  for (RequestId id = 1; id <= 2; ++id) inbox.wait_end(id);
  for (RequestId id = 5; id <= 9; ++id) {  // what has ended is not counted any more either
    ASSERT_TRUE(engine->submit(request(id)));
    inbox.wait_end(id);
  }
}

TEST(Engine, AbortEndsOnceWhateverItsState) {  // INV-2 INV-4
  Inbox inbox;
  auto engine = make(small_config(), device(small_config()), inbox.sink(), 200);
  for (RequestId id = 1; id <= 3; ++id) ASSERT_TRUE(engine->submit(request(id, 50000)));  // the third waits
  inbox.wait_tokens(1, 3);
  for (RequestId id : {3, 1, 1, 2, 77}) engine->abort(id);
  for (RequestId id = 1; id <= 3; ++id) EXPECT_EQ(inbox.wait_end(id).finish_reason, FinishReason::kAbort);
  ASSERT_TRUE(engine->submit(request(4)));
  EXPECT_EQ(inbox.wait_end(4).finish_reason, FinishReason::kLength);
  engine->shutdown(10);
  for (RequestId id = 1; id <= 4; ++id) EXPECT_EQ(inbox.num_ends(id), 1u);
  EXPECT_EQ(engine->stats().num_free_blocks, engine->stats().num_blocks);
}

TEST(Engine, IdleCostsNoCpu) {  // INV-9
  Inbox inbox;
  auto engine = make(small_config(), device(small_config()), inbox.sink());
  ASSERT_TRUE(engine->submit(request(1)));
  inbox.wait_end(1);
  const auto cpu_us = [] {
    rusage u{};
    ::getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
  };
  std::this_thread::sleep_for(20ms);
  const auto before = cpu_us();
  std::this_thread::sleep_for(400ms);
  EXPECT_LT(cpu_us() - before, 40000);  // a loop that polls would take all of the 400 ms
}

TEST(Engine, DeathOfTheWorkerAnswersEverybody) {  // INV-2 INV-11
  Inbox inbox;
  auto inner = device(small_config());
  auto engine = make(
      small_config(),
      [&](const StepInput& i, const SampleInput& s) {
        if (i.step == 3) return StepResult{.step = 3, .slots = {}, .error = "device lost"};
        return inner(i, s);
      },
      inbox.sink());
  int accepted = 0;
  for (RequestId id = 1; id <= 5; ++id) accepted += engine->submit(request(id, 50000)).has_value();
  ASSERT_GE(accepted, 1);
  for (RequestId id = 1; id <= static_cast<RequestId>(accepted); ++id) {
    EngineOutput end = inbox.wait_end(id);
    EXPECT_EQ(end.finish_reason, FinishReason::kError);
    EXPECT_EQ(end.error, "the engine is dead: device lost");
  }
  EXPECT_FALSE(engine->healthy());
  EXPECT_EQ(engine->death_reason(), "device lost");
  EXPECT_EQ(engine->submit(request(9)).error().code, ErrorCode::kUnavailable);
  engine->abort(1);
  engine->shutdown(1);
}

TEST(Engine, LyingWorkerIsADeadWorker) {  // INV-11
  Inbox inbox;
  auto engine = make(
      small_config(),
      [](const StepInput& i, const SampleInput&) { return StepResult{.step = i.step, .slots = {}, .error = {}}; },
      inbox.sink());
  ASSERT_TRUE(engine->submit(request(1)));
  EXPECT_EQ(inbox.wait_end(1).finish_reason, FinishReason::kError);
  EXPECT_FALSE(engine->healthy());
}

// An exception (here: of the executor, and of the sink) ends the engine, not the process.
TEST(Engine, ExceptionsDoNotLeaveTheThread) {  // INV-11
  struct Throwing : FakeExecutor {
    using FakeExecutor::FakeExecutor;
    void forward(StepInput) override { throw std::runtime_error("no memory on the device"); }
  };
  Inbox inbox;
  auto engine =
      make_engine(small_config(), {0},
                  std::make_unique<Throwing>(device(small_config()), testing::FakeExecutorOptions{}), inbox.sink());
  ASSERT_TRUE(engine->submit(request(1)));
  EXPECT_EQ(inbox.wait_end(1).error, "the engine is dead: no memory on the device");

  auto other = make(small_config(), device(small_config()), [](std::vector<EngineOutput>&&) { throw 1; });
  ASSERT_TRUE(other->submit(request(1)));
  for (int i = 0; i < 2000 && other->healthy(); ++i) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(other->death_reason(), "unknown exception");
}

TEST(Engine, ShutdownLetsRunningSequencesFinish) {
  Inbox inbox;
  auto engine = make(small_config(), device(small_config()), inbox.sink(), 500);
  for (RequestId id = 1; id <= 6; ++id) ASSERT_TRUE(engine->submit(request(id, 20)));
  engine->shutdown(30);
  for (RequestId id = 1; id <= 6; ++id) EXPECT_EQ(inbox.wait_end(id).finish_reason, FinishReason::kLength);
  EXPECT_EQ(engine->submit(request(7)).error().code, ErrorCode::kUnavailable);
  engine->shutdown(0);
  EXPECT_TRUE(engine->healthy());
}

TEST(Engine, ShutdownAbortsAtItsDeadlineEvenIfAStepHangs) {  // INV-2
  for (double deadline_s : {0.0, 0.1, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
    Inbox inbox;
    Gate gate;
    auto engine = make(small_config(), behind(gate, device(small_config())), inbox.sink());
    for (RequestId id = 1; id <= 3; ++id) ASSERT_TRUE(engine->submit(request(id)));
    const auto start = std::chrono::steady_clock::now();
    engine->shutdown(deadline_s);
    EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
    for (RequestId id = 1; id <= 3; ++id) {
      EXPECT_EQ(inbox.wait_end(id).finish_reason, FinishReason::kAbort);
      EXPECT_EQ(inbox.num_ends(id), 1u);
    }
    gate.open();
  }
}

TEST(Engine, SecondShutdownShortensTheFirst) {
  Inbox inbox;
  auto engine = make(small_config(), device(small_config()), inbox.sink(), 500);
  ASSERT_TRUE(engine->submit(request(1, 90000)));
  std::thread patient([&] { engine->shutdown(1e300); });
  inbox.wait_tokens(1, 2);
  engine->shutdown(0);
  patient.join();
  EXPECT_EQ(inbox.wait_end(1).finish_reason, FinishReason::kAbort);
}

// As the output processor does at a stop string, and a client that asks again from its callback.
TEST(Engine, SinkMayAbortAndSubmit) {
  Inbox inbox;
  Engine* handle = nullptr;
  OutputSink collect = inbox.sink();
  auto engine = make(small_config(), device(small_config()), [&](std::vector<EngineOutput>&& outputs) {
    for (const EngineOutput& o : outputs) {
      if (o.id == 1 && !o.finish_reason) handle->abort(1);
      if (o.id == 1 && o.finish_reason) {
        EXPECT_TRUE(handle->submit(request(2)));
      }
    }
    collect(std::move(outputs));
  });
  handle = engine.get();
  ASSERT_TRUE(engine->submit(request(1, 90000)));
  EXPECT_EQ(inbox.wait_end(1).finish_reason, FinishReason::kAbort);
  EXPECT_EQ(inbox.wait_end(2).finish_reason, FinishReason::kLength);
}

// The README lists the invariants; a test must name each, and no test one that is not listed.
TEST(EngineContract, EveryInvariantIsNamedByATest) {
  const auto names_in = [](const std::filesystem::path& path) {
    std::ifstream in(path);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    const std::regex pattern("INV-[0-9]+");
    return std::set<std::string>(std::sregex_token_iterator(text.begin(), text.end(), pattern), {});
  };
  std::set<std::string> named;
  for (const auto& entry : std::filesystem::recursive_directory_iterator("src/engine"))
    if (entry.path().string().ends_with("_test.cc")) named.merge(names_in(entry.path()));
  EXPECT_GE(named.size(), 10u);
  EXPECT_EQ(named, names_in("src/engine/README.md"));
}

TEST(Engine, ResetPrefixCacheForgets) {
  Inbox inbox;
  auto engine = make(small_config(), device(small_config()), inbox.sink());
  const auto ask = [&](RequestId id) {
    EngineRequest r = request(id);
    r.prompt_token_ids.assign(9, 7);
    EXPECT_TRUE(engine->submit(r));
    return inbox.wait_end(id).num_cached_tokens;
  };
  EXPECT_EQ(ask(1), 0);
  EXPECT_EQ(ask(2), 8);
  engine->reset_prefix_cache();
  EXPECT_EQ(ask(3), 0);
}

}  // namespace
}  // namespace vllm::engine
