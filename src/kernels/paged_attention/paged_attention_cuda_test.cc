#include "kernels/paged_attention/paged_attention_cuda.h"

#include <gtest/gtest.h>

#include "kernels/paged_attention/attention_kernels_cuda.h"
#include "kernels/paged_attention/attention_plan_ref.h"
#include "kernels/paged_attention/paged_attention_cuda_world.h"

namespace vllm {
namespace {

constexpr DType kF32 = DType::kFloat32, kF16 = DType::kFloat16, kBF16 = DType::kBFloat16;

/// Of a row's error norm to its norm. Values round to T in the weights, in the parts of a split sequence and in the
/// result: three times about half a unit (2^-9 for bfloat16, 2^-12 for float16), random in sign.
float tolerance(DType dtype) { return dtype == kF32 ? 2e-5f : dtype == kF16 ? 1e-3f : 7e-3f; }

std::string describe(const AttentionWorldSpec& s) {
  std::string seqs;
  for (size_t i = 0; i < s.c.seqs.size() && i < 8; ++i) {
    seqs += fmt::format(" {}/{}", s.c.seqs[i].num_queries, s.c.seqs[i].seq_len);
  }
  return fmt::format("{} heads over {} of {}, block {}, {} over {}, softcap {}, window {}, {}{} sequences:{}",
                     s.c.num_heads, s.c.num_kv_heads, s.c.head_dim, s.c.block_size, info(s.dtype).name,
                     info(s.c.dtype).name, s.c.softcap, s.c.sliding_window,
                     s.plain     ? "plain, "
                     : !s.hopper ? "not Hopper's, "
                                 : "",
                     s.c.seqs.size(), seqs);
}

/// Compare row by row; the message names the worst rows, so that a fault can be placed.
void expect_close(const AttentionWorld& world, const std::vector<std::byte>& out, const std::vector<float>& want) {
  const AttentionWorldSpec& spec = world.spec();
  int64_t dim = spec.c.head_dim, rows = static_cast<int64_t>(want.size()) / dim;
  int64_t bad = 0;
  double worst = 0;
  std::string first;
  for (int64_t r = 0; r < rows; ++r) {
    double error = 0, norm = 0;
    for (int64_t d = 0; d < dim; ++d) {
      double w = want[static_cast<size_t>(r * dim + d)], e = double{get_float(out.data(), r * dim + d, spec.dtype)} - w;
      error += e * e, norm += w * w;
    }
    double relative = std::sqrt(error / norm);
    if (!(relative <= double{tolerance(spec.dtype)})) {
      if (bad++ < 4) {
        first += fmt::format("\n  token {} head {}: error {:.2e}; found", r / spec.c.num_heads, r % spec.c.num_heads,
                             relative);
        for (int64_t d = 0; d < 4; ++d) first += fmt::format(" {:.4f}", get_float(out.data(), r * dim + d, spec.dtype));
        first += ", wanted";
        for (int64_t d = 0; d < 4; ++d) first += fmt::format(" {:.4f}", want[static_cast<size_t>(r * dim + d)]);
      }
    }
    worst = std::isnan(relative) ? relative : std::max(worst, relative);
  }
  EXPECT_EQ(bad, 0) << bad << " of " << rows << " rows are wrong, worst " << worst << " in " << describe(spec) << first;
  fflush(stdout);
  printf("  worst %.1e of %.1e: %s\n", worst, double{tolerance(spec.dtype)}, describe(spec).c_str());
}

void run_once(const AttentionWorldSpec& spec, unsigned seed) {
  AttentionWorld world(spec, seed);
  PagedAttentionCuda attention = PagedAttentionCuda::create(world.shape()).value();
  CudaStream stream = CudaStream::create().value();
  std::vector<float> want = world.reference();
  bool decodes = true;
  for (const AttentionCaseSeq& s : spec.c.seqs) decodes &= s.num_queries == 1;
  for (bool decode : {false, true}) {
    if (decode && !decodes) continue;
    DeviceArray<std::byte> out(world.out_bytes());
    Status planned = attention.plan(world.batch(decode), 1, stream);
    ASSERT_TRUE(planned) << planned.error().message;
    for (int layer = 0; layer < 2; ++layer) {  // a plan serves several layers
      Status status = attention.run(world.layer(out.data()), 1, stream);
      ASSERT_TRUE(status) << status.error().message;
    }
    ASSERT_TRUE(stream.synchronize()) << describe(spec);
    expect_close(world, out.host(), want);
  }
}

unsigned fresh_seed() {
  unsigned seed = std::random_device{}();
  printf("seed %u\n", seed);
  return seed;
}

TEST(PagedAttentionCuda, MatchesTheReferenceOnEveryCase) {
  REQUIRE_GPU();
  unsigned seed = fresh_seed();
  for (const AttentionCase& c : attention_cases()) {
    if (info(c.dtype).block_bytes == 1) continue;  // an 8-bit cache's rows are of another type than it: a test below
    run_once({c, c.dtype}, seed++);
    if (c.dtype != kF32) {
      run_once({.c = c, .dtype = c.dtype, .plain = true}, seed++);
      run_once({c, kF32}, seed++);  // float32 activations over a 16-bit cache
    }
  }
}

// Real models' heads, with prefills, chunks of prefills and decodes together, in bfloat16 and float16.
TEST(PagedAttentionCuda, MatchesTheReferenceOnModelShapes) {
  REQUIRE_GPU();
  unsigned seed = fresh_seed();
  const std::vector<AttentionCaseSeq> mixed = {{1, 40}, {100, 100}, {1, 1}, {17, 500}, {1, 1300}, {5, 5}, {64, 129}};
  const std::vector<AttentionCase> cases = {
      {16, 8, 128, 16, kBF16, 0, 0, mixed},   // Qwen 3 0.6B
      {32, 8, 128, 16, kBF16, 0, 0, mixed},   // Qwen 3 8B, Llama 3 8B
      {9, 3, 64, 16, kBF16, 0, 0, mixed},     // SmolLM 2
      {4, 1, 256, 16, kBF16, 0, 0, mixed},    // Gemma 3 1B, full
      {4, 1, 256, 16, kBF16, 0, 512, mixed},  // and sliding
      {8, 4, 256, 32, kF16, 50, 0, mixed},    // Gemma 2
      {8, 4, 256, 32, kF16, 50, 96, mixed},
      {14, 2, 64, 16, kF16, 0, 0, mixed},  // Qwen 2.5 0.5B
      {28, 4, 128, 16, kF16, 0, 100, mixed},
      {24, 1, 64, 32, kBF16, 0, 0, mixed},  // more heads than a decode's tile has rows
  };
  for (const AttentionCase& c : cases) {
    run_once({c, c.dtype}, seed++);
    if (c.head_dim == 128) run_once({.c = c, .dtype = c.dtype, .hopper = false}, seed++);
  }
}

// Where the kernel for prefills on Hopper could go wrong: ends of tiles, pages and sequences, groups that do not divide
// a tile, split sequences, more items than blocks, one plan for several layers.
TEST(PagedAttentionCuda, PrefillsOnHopper) {
  REQUIRE_GPU();
  unsigned seed = fresh_seed();
  for (int32_t keys : {17, 64, 127, 128, 129, 255, 256, 257, 400}) {
    run_once({{4, 1, 128, 16, kBF16, 0, 0, {{keys, keys}}}, kBF16}, seed++);
  }
  for (int32_t queries : {5, 16, 32, 33, 64, 65, 100}) {
    run_once({{4, 1, 128, 16, kBF16, 0, 0, {{queries, queries + 300}}}, kBF16}, seed++);
  }
  for (int group : {1, 2, 3, 5, 7, 8, 16}) {
    run_once({{2 * group, 2, 128, 16, group % 2 ? kBF16 : kF16, 0, 0, {{150, 150}, {40, 222}, {1, 77}}},
              group % 2 ? kBF16 : kF16},
             seed++);
  }
  for (int block_size : {8, 32, 64, 128}) {
    run_once({{8, 2, 128, block_size, kBF16, 0, 0, {{100, 300}, {50, 50}, {33, 200}}}, kBF16}, seed++);
  }
  run_once({{4, 1, 128, 16, kBF16, 0, 0, {{40, 5000}}}, kBF16}, seed++);  // split
  run_once({{4, 2, 128, 16, kF16, 0, 0, {{40, 3001}, {70, 1777}, {17, 17}}}, kF16}, seed++);
  AttentionWorldSpec many{{8, 8, 128, 16, kBF16, 0, 0, {}}, kBF16};  // several items a block
  for (int i = 0; i < 24; ++i) many.c.seqs.push_back({17 + i, 17 + i + i % 3 * 100});
  run_once(many, seed++);
}

// A cache of float8, as FlashInfer's kernels read it under bfloat16 and the plain kernel under anything.
TEST(PagedAttentionCuda, ReadsACacheOfFloat8) {
  REQUIRE_GPU();
  unsigned seed = fresh_seed();
  const std::vector<AttentionCaseSeq> mixed = {{1, 40}, {100, 100}, {1, 1}, {17, 500}, {1, 1300}, {5, 5}, {64, 129}};
  const std::vector<AttentionCaseSeq> decodes = {{1, 40}, {1, 5000}, {1, 1}, {1, 129}, {1, 64}};
  const std::vector<AttentionCase> cases = {
      {16, 8, 128, 16, kKvFloat8, 0, 0, mixed},   {32, 8, 128, 16, kKvFloat8, 0, 0, decodes},
      {9, 3, 64, 16, kKvFloat8, 0, 0, mixed},     {9, 3, 64, 16, kKvFloat8, 0, 100, decodes},
      {4, 1, 256, 16, kKvFloat8, 0, 512, mixed},  {8, 4, 256, 32, kKvFloat8, 50, 96, decodes},
      {24, 1, 64, 32, kKvFloat8, 30, 0, decodes}, {8, 8, 80, 16, kKvFloat8, 0, 0, mixed},
      {40, 1, 72, 64, kKvFloat8, 0, 0, {{3, 70}}}};
  for (const AttentionCase& c : cases) {
    run_once({c, kBF16}, seed++);
    run_once({.c = c, .dtype = kBF16, .plain = true}, seed++);
  }
  run_once({cases[0], kF32}, seed++);
  run_once({cases[1], kF16}, seed++);
}

TEST(PagedAttentionCuda, MatchesTheReferenceOnLongContexts) {
  REQUIRE_GPU();
  unsigned seed = fresh_seed();
  run_once({{4, 2, 128, 16, kBF16, 0, 0, {{1, 5000}}}, kBF16}, seed++);
  run_once({{4, 2, 128, 16, kBF16, 0, 0, {{1, 5000}, {1, 3}, {1, 4097}, {1, 700}}}, kBF16}, seed++);
  run_once({{2, 1, 64, 16, kF16, 0, 0, {{60, 5000}}}, kF16}, seed++);
  run_once({{2, 1, 256, 32, kBF16, 0, 1024, {{40, 5000}, {1, 3000}}}, kBF16}, seed++);
  run_once({{2, 1, 128, 16, kBF16, 0, 0, {{900, 900}, {200, 1500}}}, kBF16}, seed++);
  run_once({{.num_heads = 2, .num_kv_heads = 1, .head_dim = 128, .block_size = 16, .dtype = kF32, .seqs = {{2, 5000}}},
            kF32},
           seed++);
}

TEST(PagedAttentionCuda, DecodesRaggedBatches) {
  REQUIRE_GPU();
  unsigned seed = fresh_seed();
  for (int batch : {1, 3, 8, 64, 256}) {
    std::mt19937 rng(seed);
    AttentionWorldSpec spec{{8, 4, 128, 16, kBF16, 0, 0, {}}, kBF16};
    for (int i = 0; i < batch; ++i) {
      int32_t n = static_cast<int32_t>(1 + rng() % (batch > 8 ? 150 : 1200));
      spec.c.seqs.push_back({1, i == batch / 2 ? 2000 : n});
    }
    spec.padded_seqs = batch == 3 ? 1 : batch / 8;
    run_once(spec, seed++);
  }
}

// A graph is captured once per bucket; its plan must follow the lengths that it finds at every replay.
TEST(PagedAttentionCuda, AReplayedGraphFollowsTheLengths) {
  REQUIRE_GPU();
  unsigned seed = fresh_seed();
  for (bool plain : {false, true}) {
    for (int64_t window : {0, 200}) {
      AttentionWorldSpec spec{{16, 8, 128, 16, kBF16, 0, window, {}}, kBF16, 0, plain, 3000};
      spec.c.seqs = {{1, 3000}, {1, 3000}, {1, 3000}, {1, 3000}, {1, 3000}};
      AttentionWorld world(spec, seed++);
      PagedAttentionCuda attention = PagedAttentionCuda::create(world.shape()).value();
      DeviceArray<std::byte> out(world.out_bytes());
      CudaStream stream = CudaStream::create().value();
      Result<CudaGraph> graph = CudaGraph::capture(stream, [&](StreamRef s) -> Status {
        RETURN_IF_ERROR(attention.plan(world.batch(true), 0, s));
        return attention.run(world.layer(out.data()), 0, s);
      });
      ASSERT_TRUE(graph) << graph.error().message;
      const std::vector<std::vector<int32_t>> lengths = {{3000, 3000, 3000, 3000, 3000},
                                                         {1, 2, 3, 4, 5},
                                                         {64, 2999, 65, 128, 129},
                                                         {1, 1, 1, 1, 3000},
                                                         {700, 100, 16, 17, 15}};
      for (const std::vector<int32_t>& l : lengths) {
        std::vector<AttentionCaseSeq> seqs;
        for (int32_t n : l) seqs.push_back({1, n});
        world.set_seqs(seqs);
        cudaMemset(out.data(), 0xff, world.out_bytes());
        cudaDeviceSynchronize();
        ASSERT_TRUE(graph->launch(stream));
        ASSERT_TRUE(stream.synchronize());
        expect_close(world, out.host(), world.reference());
      }
    }
  }
}

// The plan of the device is the plan of the reference, item by item.
TEST(PagedAttentionCuda, PlansAsTheReference) {
  REQUIRE_GPU();
  std::mt19937 rng(fresh_seed());
  for (int trial = 0; trial < 60; ++trial) {
    AttentionPlanArgs args{};
    AttentionPlanRules& small = args.rules[0];
    AttentionPlanRules& large = args.rules[1];
    small.group = 1 + static_cast<int>(rng() % 8), small.slots = static_cast<int>(1 + rng() % 300);
    small.window = trial % 4 == 0 ? 700 : 0;
    large = small, large.tile = 128, large.min_rows = 17, large.max_rows = INT32_MAX, large.waves = false;
    std::vector<int32_t> query_start = {0}, seq_lens;
    int seqs = trial == 0 ? 1 : trial == 1 ? kAttentionPlanSeqs : static_cast<int>(1 + rng() % 400);
    int32_t tiles = 0;
    for (int s = 0; s < seqs; ++s) {
      int32_t queries = static_cast<int32_t>(rng() % 4 == 0 ? rng() % 300 : rng() % 2);
      query_start.push_back(query_start.back() + queries);
      seq_lens.push_back(queries == 0 ? 0 : queries + static_cast<int32_t>(rng() % (rng() % 9 == 0 ? 60000 : 400)));
      tiles += 1 + queries * small.group / 16;
    }
    DeviceArray<int32_t> d_query_start(query_start), d_seq_lens(seq_lens);
    DeviceArray<AttentionPlanHeader> headers(size_t{2});
    DeviceArray<AttentionWork> work0(static_cast<size_t>(attention_max_items(small, tiles)));
    DeviceArray<AttentionWork> work1(static_cast<size_t>(attention_max_items(large, tiles)));
    args.work[0] = work0.data(), args.work[1] = work1.data(), args.headers = headers.data();
    args.query_start = d_query_start.data(), args.seq_lens = d_seq_lens.data(), args.num_seqs = seqs;
    CudaStream stream = CudaStream::create().value();
    ASSERT_TRUE(plan_attention_cuda(args, 2, stream));
    std::vector<AttentionWork> work[2] = {work0.host(), work1.host()};
    for (int p = 0; p < 2; ++p) {
      AttentionPlan want = plan_attention_ref(args.rules[p], query_start, seq_lens);
      AttentionPlanHeader found = headers.host()[static_cast<size_t>(p)];
      ASSERT_EQ(found.num_items, want.header.num_items)
          << "trial " << trial << " plan " << p << " chunk " << found.chunk;
      ASSERT_EQ(found.chunk, want.header.chunk);
      ASSERT_EQ(found.num_units, want.header.num_units);
      ASSERT_EQ(found.num_partial_rows, want.header.num_partial_rows);
      for (size_t i = 0; i < want.work.size(); ++i) {
        const AttentionWork &f = work[p][i], &w = want.work[i];
        ASSERT_EQ(std::memcmp(&f, &w, sizeof(f)), 0)
            << "trial " << trial << " plan " << p << " item " << i << ": found sequence " << f.seq << " tile "
            << f.q_tile << " chunk " << f.kv_tile << " unit " << f.unit << " row " << f.partial_row << ", wanted "
            << w.seq << " " << w.q_tile << " " << w.kv_tile << " " << w.unit << " " << w.partial_row;
      }
    }
  }
}

TEST(PagedAttentionCuda, RefusesWhatDisagrees) {
  AttentionCudaShape shape{4, 2, 64};
  shape.max_seqs = 4, shape.max_tokens = 16, shape.max_blocks = 8;
  AttentionCudaShape bad = shape;
  bad.num_kv_heads = 3;
  EXPECT_FALSE(PagedAttentionCuda::create(bad));
  bad = shape, bad.head_dim = 12;
  EXPECT_FALSE(PagedAttentionCuda::create(bad));
  bad = shape, bad.head_dim = 512;
  EXPECT_FALSE(PagedAttentionCuda::create(bad));
  bad = shape, bad.kv_dtype = DType::kInt8;
  EXPECT_FALSE(PagedAttentionCuda::create(bad));
  bad = shape, bad.max_blocks = int64_t{1} << 40;
  EXPECT_FALSE(PagedAttentionCuda::create(bad));
  REQUIRE_GPU();
  PagedAttentionCuda attention = PagedAttentionCuda::create(shape).value();
  AttentionCudaBatch batch{.num_seqs = 5, .num_tokens = 5};
  batch.decode = true;
  EXPECT_FALSE(attention.plan(batch, 0, {}));
  batch.num_seqs = 2, batch.num_tokens = 17;
  EXPECT_FALSE(attention.plan(batch, 0, {}));
  batch.num_tokens = 2, batch.decode = false;
  EXPECT_FALSE(attention.plan(batch, 0, {}));  // no host lengths
}

}  // namespace
}  // namespace vllm
