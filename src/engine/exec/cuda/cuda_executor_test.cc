// The whole engine on a GPU against the whole engine on the CPU: same requests, same float32 weights, same tokens.
#include "engine/exec/cuda/cuda_executor.h"

#include <algorithm>
#include <bit>
#include <condition_variable>
#include <map>
#include <mutex>

#include "engine/exec/cpu_executor.h"
#include "engine/exec/cuda_executor.h"
#include "engine/make_engine.h"
#include "kernels/kv_layout/kv_float8.h"
#include "model/testing/golden.h"
#include "tensor/cuda/testing.h"

namespace vllm::engine {
namespace {

using model::testing::Golden;

struct Answer {
  std::vector<TokenId> tokens;
  std::vector<PositionLogprobs> logprobs, prompt_logprobs;
  std::optional<FinishReason> end;
  std::string error;
};

struct Served {
  std::map<RequestId, Answer> answers;
  EngineStats stats;
  bool healthy = false;
  int64_t graph_steps = 0, mixed_graph_steps = 0;
};

Golden golden(const char* name) {
  Golden g = model::testing::load_golden(name);
  g.config.max_position = 512;
  g.config.eos_token_ids.clear();
  return g;
}

EngineConfig engine_config() {
  return {.max_num_seqs = 24,
          .max_num_batched_tokens = 96,
          .max_model_len = 400,
          .block_size = 16,
          .num_blocks = 24 * 40,
          .enable_prefix_caching = true};
}

std::vector<int64_t> windows(const model::KvCacheSpec& spec) {
  std::vector<int64_t> out;
  for (const model::KvGroup& group : spec.groups) out.push_back(group.sliding_window);
  return out;
}

// Serve all requests at once; those in `aborts` are aborted after their third token.
Served serve(std::unique_ptr<Executor> executor, const EngineConfig& config, const model::KvCacheSpec& spec,
             const std::vector<EngineRequest>& requests, const std::vector<RequestId>& aborts = {}) {
  Served run;
  std::mutex mutex;
  std::condition_variable changed;
  size_t ends = 0;
  Engine* engine_of_sink = nullptr;
  auto* cuda = dynamic_cast<CudaExecutor*>(executor.get());
  auto sink = [&](std::vector<EngineOutput>&& outputs) {
    std::lock_guard lock(mutex);
    for (EngineOutput& o : outputs) {
      Answer& a = run.answers[o.id];
      a.tokens.insert(a.tokens.end(), o.new_token_ids.begin(), o.new_token_ids.end());
      std::move(o.logprobs.begin(), o.logprobs.end(), std::back_inserter(a.logprobs));
      std::move(o.prompt_logprobs.begin(), o.prompt_logprobs.end(), std::back_inserter(a.prompt_logprobs));
      if (a.tokens.size() >= 3 && !o.finish_reason && std::count(aborts.begin(), aborts.end(), o.id))
        engine_of_sink->abort(o.id);
      if (!o.finish_reason) continue;
      a.end = o.finish_reason, a.error = o.error;
      ++ends;
    }
    changed.notify_all();
  };
  auto engine = make_engine(config, windows(spec), std::move(executor), sink);
  engine_of_sink = engine.get();
  for (const EngineRequest& r : requests) {
    Status status = engine->submit(r);
    EXPECT_TRUE(status) << status.error().message;
  }
  {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(60), [&] { return ends == requests.size(); }))
        << ends << " of " << requests.size() << " ended";
  }
  run.healthy = engine->healthy();
  EXPECT_TRUE(run.healthy) << engine->death_reason();
  if (cuda) run.graph_steps = cuda->num_graph_steps(), run.mixed_graph_steps = cuda->num_mixed_graph_steps();
  engine->shutdown(10);
  run.stats = engine->stats();
  EXPECT_EQ(run.stats.num_free_blocks, run.stats.num_blocks);
  return run;
}

Served on_cpu(const Golden& g, const EngineConfig& config, const std::vector<EngineRequest>& requests) {
  ThreadPool pool(2);
  auto model = model::load_model(g.config, g.weights, {.dtype = DType::kFloat32, .kv_dtype = DType::kFloat32}, pool);
  EXPECT_TRUE(model) << model.error().message;
  model::KvCacheSpec spec = (*model)->kv_spec();
  auto executor = make_cpu_executor(std::move(*model), {.engine = config, .num_threads = 2});
  EXPECT_TRUE(executor);
  return serve(std::move(*executor), config, spec, requests);
}

struct Gpu {
  bool eager = false;
  int capture_interval_ms = 0;
  std::vector<RequestId> aborts;
  DType dtype = DType::kFloat32;
  bool batch_invariant = false;
  std::optional<DType> kv_dtype;  // as dtype
  bool dummy_weights = false;
};

Served on_gpu(const Golden& g, const EngineConfig& config, const std::vector<EngineRequest>& requests, const Gpu& gpu) {
  CudaExecutorOptions options{.engine = config,
                              .enforce_eager = gpu.eager,
                              .batch_invariant = gpu.batch_invariant,
                              .capture_interval_ms = gpu.capture_interval_ms};
  auto parts = make_cuda_executor(
      g.config, g.weights,
      {.dtype = gpu.dtype, .kv_dtype = gpu.kv_dtype.value_or(gpu.dtype), .dummy_weights = gpu.dummy_weights}, options);
  EXPECT_TRUE(parts) << parts.error().message;
  if (!parts) return {};
  EXPECT_EQ(parts->engine.num_blocks, config.num_blocks);
  return serve(std::move(parts->executor), parts->engine, parts->kv_spec, requests, gpu.aborts);
}

// Prompts share beginnings, lengths go from 1 token to several blocks.
std::vector<EngineRequest> make_requests(int count, int max_prompt, int max_tokens, int64_t vocab_size) {
  std::vector<EngineRequest> requests;
  uint32_t state = 7;
  auto pick = [&](int n) { return static_cast<int>((state = state * 1664525 + 1013904223) >> 9) % n; };
  for (RequestId id = 1; id <= static_cast<RequestId>(count); ++id) {
    EngineRequest r;
    r.id = id;
    const int family = pick(3), length = 1 + pick(max_prompt);
    for (int i = 0; i < length; ++i)
      r.prompt_token_ids.push_back(static_cast<TokenId>((family * 31 + i * i) % vocab_size));
    if (pick(2)) r.prompt_token_ids.back() = static_cast<TokenId>(pick(static_cast<int>(vocab_size)));
    r.sampling.temperature = 0;
    r.sampling.max_tokens = 1 + pick(max_tokens);
    requests.push_back(std::move(r));
  }
  return requests;
}

void expect_same(const Served& gpu, const Served& cpu, const char* what) {
  int different = 0;
  size_t tokens = 0;
  for (const auto& [id, expected] : cpu.answers) {
    const auto found = gpu.answers.find(id);
    ASSERT_NE(found, gpu.answers.end()) << what << ": no answer for " << id;
    const Answer& got = found->second;
    tokens += got.tokens.size();
    EXPECT_EQ(got.end, expected.end) << what << ": request " << id << " " << got.error;
    if (got.tokens == expected.tokens) continue;
    ++different;
    size_t at = 0;
    while (at < std::min(got.tokens.size(), expected.tokens.size()) && got.tokens[at] == expected.tokens[at]) ++at;
    ADD_FAILURE() << what << ": request " << id << " differs from output token " << at << " of "
                  << expected.tokens.size() << " on (" << got.tokens.size() << " came)";
  }
  printf("%-28s %zu tokens, %d of %zu answers differ; %llu steps (%lld from graphs), %llu preemptions, %llu cached\n",
         what, tokens, different, cpu.answers.size(), static_cast<unsigned long long>(gpu.stats.num_steps),
         static_cast<long long>(gpu.graph_steps), static_cast<unsigned long long>(gpu.stats.num_preemptions),
         static_cast<unsigned long long>(gpu.stats.prefix_cache_hits));
  fflush(stdout);
}

TEST(CudaExecutor, GivesTheCpusGreedyTokens) {
  REQUIRE_GPU();
  for (const char* name : {"qwen3", "gemma3", "llama-mqa-tied-biases"}) {
    const Golden g = golden(name);
    const auto requests = make_requests(32, 90, 40, g.config.vocab_size);
    const Served cpu = on_cpu(g, engine_config(), requests);
    const Served graphs = on_gpu(g, engine_config(), requests, {});
    expect_same(graphs, cpu, (std::string(name) + ", graphs").c_str());
    EXPECT_GT(graphs.graph_steps, 5);
    const Served eager = on_gpu(g, engine_config(), requests, {.eager = true});
    expect_same(eager, cpu, (std::string(name) + ", eager").c_str());
    EXPECT_EQ(eager.graph_steps, 0);
  }
}

// Steps that prefill run from graphs too where attention has its own kernels (heads of 64 and 128 in two bytes): with
// some decodes fewer than a graph is for, and other lengths at each replay. GEMMs of padded steps round differently, so
// that a near-tie may send an answer another way.
TEST(CudaExecutor, ReplaysStepsThatPrefill) {
  REQUIRE_GPU();
  Golden g = golden("qwen3");
  model::ModelConfig& c = g.config;
  c.num_heads = 4, c.num_kv_heads = 2, c.head_dim = 64, c.hidden_size = 256, c.intermediate_size = 512;
  const auto requests = make_requests(60, 90, 40, c.vocab_size);
  const Gpu bfloat16{.dtype = DType::kBFloat16, .dummy_weights = true};
  Gpu eager_too = bfloat16;
  eager_too.eager = true;
  const Served eager = on_gpu(g, engine_config(), requests, eager_too);
  const Served graphs = on_gpu(g, engine_config(), requests, bfloat16);
  int same = 0;
  for (const auto& [id, answer] : graphs.answers) {
    ASSERT_TRUE(answer.error.empty()) << answer.error;
    EXPECT_EQ(answer.end, FinishReason::kLength);
    same += answer.tokens == eager.answers.at(id).tokens;
  }
  printf("%d of %zu answers as without graphs; %lld steps from graphs, %lld of them prefilled\n", same,
         graphs.answers.size(), static_cast<long long>(graphs.graph_steps),
         static_cast<long long>(graphs.mixed_graph_steps));
  EXPECT_GT(same, 40);
  EXPECT_GT(graphs.mixed_graph_steps, 10);
  EXPECT_EQ(eager.graph_steps, 0);
}

// More rows than there is room for logits: they are sampled in turns, those behind the first outside of the graph.
TEST(CudaExecutor, SamplesManyRowsInTurns) {
  REQUIRE_GPU();
  const Golden g = golden("qwen3");
  auto requests = make_requests(310, 20, 1, g.config.vocab_size);
  for (EngineRequest& r : requests) r.sampling.max_tokens = 24;
  EngineConfig config = engine_config();
  config.max_num_seqs = 320, config.max_num_batched_tokens = 640, config.num_blocks = 320 * 6;
  const Served cpu = on_cpu(g, config, requests);
  for (bool eager : {false, true}) {
    const Served gpu = on_gpu(g, config, requests, {.eager = eager});
    expect_same(gpu, cpu, eager ? "310 sequences, eager" : "310 sequences, graphs");
    EXPECT_EQ(gpu.graph_steps > 0, !eager);
  }
}

// A cache of float8 rounds keys and values: greedy tokens are those of a float32 cache for a while only. Graphs, eager
// steps and chunks see the same rounded values, but for those that a last bit of float32 rounds the other way.
TEST(CudaExecutor, ServesFromACacheOfFloat8) {
  REQUIRE_GPU();
  const Golden g = golden("qwen3");
  const auto requests = make_requests(32, 90, 40, g.config.vocab_size);
  const Served exact = on_gpu(g, engine_config(), requests, {});
  const Served graphs = on_gpu(g, engine_config(), requests, {.kv_dtype = kKvFloat8});
  EXPECT_GT(graphs.graph_steps, 5);
  EngineConfig chunks = engine_config();
  chunks.max_num_batched_tokens = 40;
  const Served eager = on_gpu(g, chunks, requests, {.eager = true, .kv_dtype = kKvFloat8});
  int first = 0, all = 0;
  for (const auto& [id, answer] : graphs.answers) {
    ASSERT_TRUE(answer.error.empty() && !answer.tokens.empty()) << answer.error;
    first += answer.tokens.front() == exact.answers.at(id).tokens.front();
    all += answer.tokens == eager.answers.at(id).tokens;
  }
  printf("float8: %d of %zu first tokens as with a float32 cache; %d answers as eager in chunks\n", first,
         graphs.answers.size(), all);
  EXPECT_GT(first, 20);
  EXPECT_GT(all, 24);
}

TEST(CudaExecutor, SurvivesAFullPoolAndSmallChunks) {
  REQUIRE_GPU();
  uint64_t preemptions = 0;
  for (const char* name : {"qwen3", "gemma3"}) {
    const Golden g = golden(name);
    const auto requests = make_requests(32, 60, 60, g.config.vocab_size);
    EngineConfig config = engine_config();
    config.max_num_seqs = 9, config.max_num_batched_tokens = 20, config.block_size = 8;
    config.max_model_len = 200, config.num_blocks = 110;
    const Served cpu = on_cpu(g, config, requests);
    const Served gpu = on_gpu(g, config, requests, {.capture_interval_ms = 5});
    expect_same(gpu, cpu, (std::string(name) + ", few blocks").c_str());
    config.num_blocks = std::string(name) == "qwen3" ? 40 : 60;
    const Served fewer = on_gpu(g, config, requests, {.capture_interval_ms = 5});
    expect_same(fewer, cpu, (std::string(name) + ", fewer blocks").c_str());
    preemptions += fewer.stats.num_preemptions + gpu.stats.num_preemptions;
    EXPECT_GT(gpu.stats.prefix_cache_hits, 0u);
  }
  EXPECT_GT(preemptions, 0u);
}

TEST(CudaExecutor, SamplesAsTheCpuWithTheSameSeeds) {
  REQUIRE_GPU();
  const Golden g = golden("qwen3");
  auto requests = make_requests(40, 50, 30, g.config.vocab_size);
  for (EngineRequest& r : requests) {
    SamplingParams& p = r.sampling;
    p.seed = r.id * 77;
    p.temperature = r.id % 5 == 0 ? 0.0f : 0.8f;
    if (r.id % 3 == 0) p.top_p = 0.8f;
    if (r.id % 4 == 0) p.top_k = 10;
    if (r.id % 7 == 0) p.repetition_penalty = 1.3f, p.frequency_penalty = 0.2f;
    if (r.id % 6 == 0) p.min_tokens = 5, p.stop_token_ids = {3, 4};
    if (r.id % 2 == 0) p.logprobs = 3;
    if (r.id % 8 == 1) p.logprobs = -1;  // the whole vocabulary: sampled on the host
    if (r.id % 9 == 1) p.prompt_logprobs = 2;
    if (r.id % 10 == 3) p.logit_bias = {{5, 3.0f}, {6, -100.0f}};
  }
  const Served cpu = on_cpu(g, engine_config(), requests);
  const Served gpu = on_gpu(g, engine_config(), requests, {});
  expect_same(gpu, cpu, "sampled");
  for (const auto& [id, expected] : cpu.answers) {
    const Answer& got = gpu.answers.at(id);
    auto compare = [&](const std::vector<PositionLogprobs>& a, const std::vector<PositionLogprobs>& b,
                       const char* what) {
      ASSERT_EQ(a.size(), b.size()) << what << " of " << id;
      for (size_t i = 0; i < a.size(); ++i) {
        ASSERT_EQ(a[i].size(), b[i].size()) << what << " of " << id << " at " << i;
        for (size_t k = 0; k < a[i].size(); ++k) ASSERT_NEAR(a[i][k].logprob, b[i][k].logprob, 1e-3) << what;
        ASSERT_EQ(a[i][0].token, b[i][0].token) << what;
      }
    };
    if (got.tokens == expected.tokens) compare(got.logprobs, expected.logprobs, "logprobs");
    compare(got.prompt_logprobs, expected.prompt_logprobs, "prompt logprobs");
  }
}

TEST(CudaExecutor, SurvivesAborts) {
  REQUIRE_GPU();
  const Golden g = golden("qwen3");
  const auto requests = make_requests(60, 60, 50, g.config.vocab_size);
  std::vector<RequestId> aborts;
  for (RequestId id = 2; id <= 60; id += 3) aborts.push_back(id);
  const Served cpu = on_cpu(g, engine_config(), requests);
  const Served gpu = on_gpu(g, engine_config(), requests, {.aborts = aborts});
  int aborted = 0;
  for (const auto& [id, expected] : cpu.answers) {
    const Answer& got = gpu.answers.at(id);
    const bool ended_early = got.end == FinishReason::kAbort;
    aborted += ended_early;
    if (ended_early) {
      EXPECT_TRUE(std::count(aborts.begin(), aborts.end(), id)) << id;
      ASSERT_LE(got.tokens.size(), expected.tokens.size());
      EXPECT_TRUE(std::equal(got.tokens.begin(), got.tokens.end(), expected.tokens.begin())) << id;
    } else {
      EXPECT_EQ(got.tokens, expected.tokens) << id;
    }
  }
  EXPECT_GT(aborted, 5);
  printf("aborts: %d of %zu requests ended early, the others are whole\n", aborted, requests.size());
}

bool same_bits(const std::vector<PositionLogprobs>& a, const std::vector<PositionLogprobs>& b) {
  auto same = [](const TokenLogprob& x, const TokenLogprob& y) {
    return x.token == y.token && x.rank == y.rank &&
           std::bit_cast<uint32_t>(x.logprob) == std::bit_cast<uint32_t>(y.logprob);
  };
  return std::ranges::equal(a, b, [&](const auto& x, const auto& y) { return std::ranges::equal(x, y, same); });
}

// Answers that are not the same tokens with the same bits of all log probabilities.
int num_different(const Served& served, const Served& alone, const std::string& what) {
  int different = 0;
  for (const auto& [id, expected] : alone.answers) {
    const auto found = served.answers.find(id);
    if (found != served.answers.end()) {
      const Answer& got = found->second;
      if (got.end == expected.end && got.tokens == expected.tokens && same_bits(got.logprobs, expected.logprobs) &&
          same_bits(got.prompt_logprobs, expected.prompt_logprobs))
        continue;
    }
    ++different;
  }
  printf("%-44s %d of %zu answers differ; %llu steps (%lld from graphs), %llu preemptions, %llu cached\n", what.c_str(),
         different, alone.answers.size(), static_cast<unsigned long long>(served.stats.num_steps),
         static_cast<long long>(served.graph_steps), static_cast<unsigned long long>(served.stats.num_preemptions),
         static_cast<unsigned long long>(served.stats.prefix_cache_hits));
  fflush(stdout);
  return different;
}

// The requests of a batch-invariant engine one by one, each prompt in one chunk, are what every other way must give.
TEST(CudaExecutor, BatchInvariantLogitsAreTheSameBitsHoweverTheyAreServed) {
  REQUIRE_GPU();
  for (DType dtype : {DType::kBFloat16, DType::kFloat32}) {
    uint64_t preemptions = 0, hits = 0;
    for (const char* name : {"qwen3", "gemma3"}) {
      const Golden g = golden(name);
      const std::string what = fmt::format("{} {}", name, info(dtype).name);
      auto requests = make_requests(32, 60, 60, g.config.vocab_size);
      for (EngineRequest& r : requests) {
        SamplingParams& p = r.sampling;
        p.logprobs = r.id % 4 == 0 ? -1 : 5;  // -1: the whole vocabulary, on the host
        if (r.id % 3 == 0) p.temperature = 0.8f, p.seed = r.id * 77;
        if (r.id % 8 == 3) p.prompt_logprobs = 3;
      }
      const Gpu eager{.eager = true, .dtype = dtype, .batch_invariant = true};
      const Gpu graphs{.dtype = dtype, .batch_invariant = true};
      EngineConfig one = engine_config(), all = engine_config(), few = engine_config();
      one.max_num_seqs = 1, one.enable_prefix_caching = false;
      const Served alone = on_gpu(g, one, requests, eager);
      ASSERT_EQ(alone.answers.size(), requests.size());
      auto expect_same_bits = [&](const EngineConfig& config, const Gpu& gpu, const char* how) {
        const Served served = on_gpu(g, config, requests, gpu);
        EXPECT_EQ(num_different(served, alone, what + ", " + how), 0);
        preemptions += served.stats.num_preemptions, hits += served.stats.prefix_cache_hits;
        return served.graph_steps;
      };
      expect_same_bits(one, graphs, "alone, graphs");
      EXPECT_GT(expect_same_bits(all, graphs, "together, graphs, prefix cache"), 5);
      all.enable_prefix_caching = false;
      EXPECT_EQ(expect_same_bits(all, eager, "together, eager, no prefix cache"), 0);
      all.max_num_seqs = 32, all.max_num_batched_tokens = 1024;
      expect_same_bits(all, graphs, "all prompts in a step");
      few.max_num_seqs = 9, few.max_num_batched_tokens = 20, few.block_size = 8;
      few.max_model_len = 200, few.num_blocks = std::string(name) == "qwen3" ? 40 : 60;
      expect_same_bits(few, {.capture_interval_ms = 5, .dtype = dtype, .batch_invariant = true}, "chunks, few blocks");
      // For comparison: what the fast kernels give. No promise, so nothing is expected.
      num_different(on_gpu(g, engine_config(), requests, {.dtype = dtype}), alone, what + ", without the flag");
    }
    EXPECT_GT(preemptions, 0u);
    EXPECT_GT(hits, 0u);
  }
}

TEST(CudaExecutor, RefusesAPoolThatHoldsNoSequence) {
  REQUIRE_GPU();
  const Golden g = golden("qwen3");
  CudaExecutorOptions options{.engine = engine_config()};
  options.engine.num_blocks = 5;
  auto parts =
      make_cuda_executor(g.config, g.weights, {.dtype = DType::kFloat32, .kv_dtype = DType::kFloat32}, options);
  ASSERT_FALSE(parts);
  EXPECT_TRUE(parts.error().message.starts_with("Out of memory: one sequence of 400 tokens")) << parts.error().message;
  options.fit_max_model_len = true;
  parts = make_cuda_executor(g.config, g.weights, {.dtype = DType::kFloat32, .kv_dtype = DType::kFloat32}, options);
  ASSERT_TRUE(parts) << parts.error().message;
  EXPECT_EQ(parts->engine.max_model_len, 64);
}

}  // namespace
}  // namespace vllm::engine
