// The device fails while requests run: everybody gets an error, nothing hangs, and the process can end. A dead context
// stays dead, so every case runs in a process of its own: a death test that is expected to exit with 0.
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <map>
#include <mutex>

#include "engine/exec/cuda/testing/trap.h"
#include "engine/exec/cuda_executor.h"
#include "engine/make_engine.h"
#include "model/testing/golden.h"
#include "tensor/cuda/testing.h"

namespace vllm::engine {
namespace {

using Clock = std::chrono::steady_clock;

constexpr RequestId kRequests = 40;        // more than run at once: some wait for their turn
constexpr size_t kTokensBeforeTrap = 300;  // of all; no request is through then
constexpr unsigned kWatchdogSeconds = 16;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Hears the engine's outputs, and lets the device fail in their midst.
class TrapSink {
 public:
  TrapSink() : stream_(CudaStream::create().value()) {
    Status status = testing::prepare_trap();
    EXPECT_TRUE(status) << status.error().message;
  }
  void operator()(std::vector<EngineOutput>&& outputs) {
    std::lock_guard lock(mutex_);
    for (EngineOutput& o : outputs) {
      tokens_ += o.new_token_ids.size();
      if (o.finish_reason) ends_.emplace(o.id, std::move(o));
    }
    if (tokens_ >= kTokensBeforeTrap && !trapped_) {
      Status status = testing::launch_trap(stream_);
      EXPECT_TRUE(status) << status.error().message;
      trapped_ = Clock::now();
    }
    changed_.notify_all();
  }
  /// False if not all have ended in time.
  bool wait(std::chrono::seconds limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return ends_.size() == kRequests; });
  }
  std::map<RequestId, EngineOutput> ends() {
    std::lock_guard lock(mutex_);
    return ends_;
  }
  double seconds_since_trap() {
    std::lock_guard lock(mutex_);
    return trapped_ ? seconds_since(*trapped_) : -1;
  }

 private:
  CudaStream stream_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t tokens_ = 0;
  std::optional<Clock::time_point> trapped_;
  std::map<RequestId, EngineOutput> ends_;
};

EngineRequest make_request(RequestId id, int64_t vocab_size, bool host_rows) {
  EngineRequest r{.id = id};
  for (RequestId i = 0; i < 3 + id; ++i)
    r.prompt_token_ids.push_back(static_cast<TokenId>((id * 31 + i * i) % static_cast<RequestId>(vocab_size)));
  r.sampling.temperature = 0;
  r.sampling.max_tokens = 300;
  if (host_rows) r.sampling.logprobs = -1;  // the worker waits for the device in every step
  return r;
}

void fail_and_check(bool eager, bool host_rows) {
  model::testing::Golden g = model::testing::load_golden("qwen3");
  g.config.max_position = 512;
  g.config.eos_token_ids.clear();
  CudaExecutorOptions options{.engine = {.max_num_seqs = 24,
                                         .max_num_batched_tokens = 96,
                                         .max_model_len = 400,
                                         .block_size = 16,
                                         .num_blocks = 24 * 40},
                              .enforce_eager = eager,
                              .capture_interval_ms = 0};
  auto parts =
      make_cuda_executor(g.config, g.weights, {.dtype = DType::kFloat32, .kv_dtype = DType::kFloat32}, options);
  ASSERT_TRUE(parts) << parts.error().message;
  std::vector<int64_t> windows;
  for (const model::KvGroup& group : parts->kv_spec.groups) windows.push_back(group.sliding_window);
  TrapSink sink;
  auto engine = make_engine(parts->engine, windows, std::move(parts->executor),
                            [&sink](std::vector<EngineOutput>&& outputs) { sink(std::move(outputs)); });
  for (RequestId id = 1; id <= kRequests; ++id) {
    Status status = engine->submit(make_request(id, g.config.vocab_size, host_rows));
    ASSERT_TRUE(status) << status.error().message;
  }
  EXPECT_TRUE(sink.wait(std::chrono::seconds(8))) << sink.ends().size() << " of " << kRequests << " ended";
  const double until_answered = sink.seconds_since_trap();
  EXPECT_GE(until_answered, 0) << "no trap was launched";
  EXPECT_LT(until_answered, 5);
  for (const auto& [id, end] : sink.ends()) {
    EXPECT_EQ(end.finish_reason, FinishReason::kError) << id;
    EXPECT_TRUE(end.error.starts_with("the engine is dead: ")) << id << ": " << end.error;
    EXPECT_EQ(end.error, "the engine is dead: " + engine->death_reason());
  }
  EXPECT_FALSE(engine->healthy());
  EXPECT_NE(engine->death_reason(), "");
  Status late = engine->submit(make_request(kRequests + 1, g.config.vocab_size, host_rows));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kUnavailable);

  const Clock::time_point start = Clock::now();
  const std::string reason = engine->death_reason();
  engine->shutdown(10);
  engine.reset();  // and with it the executor: streams, graphs, events and memory of a dead context
  const double to_end = seconds_since(start);
  EXPECT_LT(to_end, 2);
  printf("answered %.3f s after the trap, torn down in %.3f s: %s\n", until_answered, to_end, reason.c_str());
}

// In the child: what the test has found is its exit status. The end of the process is part of the test.
void run_child(bool eager, bool host_rows) {
  ::alarm(kWatchdogSeconds);
  fail_and_check(eager, host_rows);
  fflush(stdout);
  std::exit(::testing::Test::HasFailure() ? 1 : 0);
}

class CudaFaultDeathTest : public ::testing::Test {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");  // the child starts anew, without this process's context
  }
};

TEST_F(CudaFaultDeathTest, EndsEveryRequestWithGraphsRunning) {
  REQUIRE_GPU();
  EXPECT_EXIT(run_child(false, false), ::testing::ExitedWithCode(0), "");
}

TEST_F(CudaFaultDeathTest, EndsEveryRequestOfAnEagerEngine) {
  REQUIRE_GPU();
  EXPECT_EXIT(run_child(true, false), ::testing::ExitedWithCode(0), "");
}

TEST_F(CudaFaultDeathTest, EndsEveryRequestThatTheHostSamples) {
  REQUIRE_GPU();
  EXPECT_EXIT(run_child(false, true), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace vllm::engine
