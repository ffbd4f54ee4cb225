#include "kernels/decode_attention/decode_attention_cuda.h"

#include <gtest/gtest.h>

#include "kernels/decode_attention/decode_attention_cuda_world.h"

namespace vllm {
namespace {

constexpr DType kF16 = DType::kFloat16, kBF16 = DType::kBFloat16;

/// Of a row's error norm to its norm: queries, weights and the result round to T, each by half a unit at most (2^-9 or
/// 2^-12), random in sign.
double tolerance(DType dtype) { return dtype == kF16 ? 1e-3 : 7e-3; }

std::string describe(const DecodeWorldSpec& s, int blocks, bool ring = false) {
  std::string lens;
  for (size_t i = 0; i < s.seq_lens.size() && i < 8; ++i) lens += fmt::format(" {}", s.seq_lens[i]);
  return fmt::format(
      "{} heads over {} of {}, rotary {}, block {}, {}, softcap {}, window {}, {} blocks{}, {} sequences:{}",
      s.num_heads, s.num_kv_heads, s.head_dim, s.rotary_dim, s.block_size, info(s.dtype).name, s.softcap, s.window,
      blocks, ring ? " of the ring" : "", s.seq_lens.size(), lens);
}

/// Rows of heads against the reference; those of padding must be as they were.
void expect_out(const DecodeWorld& world, const std::vector<std::byte>& out, const std::vector<double>& want,
                const std::vector<int32_t>& seq_lens, const std::string& what) {
  const size_t dim = static_cast<size_t>(world.spec().head_dim), heads = static_cast<size_t>(world.spec().num_heads);
  double worst = 0;
  int bad = 0;
  std::string first;
  for (size_t r = 0; r < world.num_seqs() * heads; ++r) {
    if (seq_lens[r / heads] == 0) {
      for (size_t i = r * dim * 2; i < (r + 1) * dim * 2; ++i)
        ASSERT_EQ(out[i], std::byte{0xff}) << what << ": padding";
      continue;
    }
    double error = 0, norm = 0;
    for (size_t i = r * dim; i < (r + 1) * dim; ++i) {
      const double e = get16(out, i, world.spec().dtype) - want[i];
      error += e * e, norm += want[i] * want[i];
    }
    const double relative = std::sqrt(error / norm);
    if (!(relative <= tolerance(world.spec().dtype)) && bad++ < 4) {
      first += fmt::format("\n  sequence {} head {}: error {:.2e}; found", r / heads, r % heads, relative);
      for (size_t d = 0; d < 10; ++d) first += fmt::format(" {:.4f}", get16(out, r * dim + d, world.spec().dtype));
      first += ", wanted";
      for (size_t d = 0; d < 10; ++d) first += fmt::format(" {:.4f}", want[r * dim + d]);
    }
    worst = std::isnan(relative) ? relative : std::max(worst, relative);
  }
  EXPECT_EQ(bad, 0) << bad << " rows are wrong, worst " << worst << ": " << what << first;
  printf("  worst %.1e of %.1e: %s\n", worst, tolerance(world.spec().dtype), what.c_str());
}

/// Pages: nothing but the new keys (which may round the other way) and values (exact) is written.
void expect_pages(const DecodeWorld& world, const std::vector<std::byte>& found, const std::vector<std::byte>& want,
                  const std::string& what) {
  const DType dtype = world.spec().dtype;
  const double ulp = dtype == kF16 ? 0x1p-10 : 0x1p-7;
  int bad = 0;
  for (size_t i = 0; i < want.size() / 2; ++i) {
    if (found[2 * i] == want[2 * i] && found[2 * i + 1] == want[2 * i + 1]) continue;
    const double f = get16(found, i, dtype), w = get16(want, i, dtype);
    if (!(std::abs(f - w) <= ulp * std::abs(w) + 1e-5) && bad++ < 4) {
      ADD_FAILURE() << what << ": byte " << 2 * i << " of the pages holds " << f << ", wanted " << w;
    }
  }
  EXPECT_EQ(bad, 0) << what;
}

constexpr DecodeAttentionLaunch kLaunches[] = {{false, 0},  {false, 1}, {false, 2}, {false, 4}, {false, 8},
                                               {false, 16}, {true, 1},  {true, 2},  {true, 4},  {true, 8}};

void run_case(const DecodeWorldSpec& spec, unsigned seed) {
  DecodeWorld world(spec, seed);
  const DecodeWorld::Answer want = world.reference();
  CudaStream stream = CudaStream::create().value();
  for (auto [ring, blocks] : kLaunches) {
    const std::string what = describe(spec, blocks, ring);
    world.reset_pool();
    DeviceArray<std::byte> out(world.out_bytes());
    Status status = decode_attention_cuda(world.params(out.data(), blocks, ring), stream);
    ASSERT_TRUE(status) << status.error().message << " in " << what;
    status = stream.synchronize();
    ASSERT_TRUE(status) << status.error().message << " in " << what;
    expect_out(world, out.host(), want.out, spec.seq_lens, what);
    expect_pages(world, world.device_pages(), want.pool, what);
    if (testing::Test::HasFatalFailure()) return;
  }
  world.reset_pool();
  DeviceArray<std::byte> out(world.out_bytes());
  Status status = world.run_composition(out.data(), stream);
  ASSERT_TRUE(status) << status.error().message;
  expect_out(world, out.host(), want.out, spec.seq_lens, "two ops, " + describe(spec, 0));
  expect_pages(world, world.device_pages(), want.pool, "two ops, " + describe(spec, 0));
}

unsigned fresh_seed() {
  unsigned seed = std::random_device{}();
  printf("seed %u\n", seed);
  return seed;
}

TEST(DecodeAttentionCuda, MatchesTheReference) {
  REQUIRE_GPU();
  unsigned seed = fresh_seed();
  const std::vector<int32_t> lens = {1, 2, 15, 16, 17, 18, 33, 129, 300, 1025, 0};
  const std::vector<DecodeWorldSpec> specs = {
      {.num_heads = 1, .num_kv_heads = 1, .head_dim = 128, .seq_lens = {5}, .norms = false},
      {.num_heads = 1, .num_kv_heads = 1, .head_dim = 64, .seq_lens = {1}, .norms = false},
      {.num_heads = 16, .num_kv_heads = 8, .head_dim = 128, .seq_lens = lens},                // Qwen 3 0.6B
      {.num_heads = 32, .num_kv_heads = 8, .head_dim = 128, .seq_lens = lens},                // Qwen 3 8B
      {.num_heads = 9, .num_kv_heads = 3, .head_dim = 64, .seq_lens = lens, .norms = false},  // SmolLM 2
      {.num_heads = 14, .num_kv_heads = 2, .head_dim = 64, .seq_lens = lens, .dtype = kF16, .norms = false},
      {.num_heads = 8, .num_kv_heads = 1, .head_dim = 128, .seq_lens = lens, .dtype = kF16, .block_size = 32},
      {.num_heads = 15, .num_kv_heads = 3, .head_dim = 128, .seq_lens = lens, .block_size = 48, .softcap = 30},
      {.num_heads = 4, .num_kv_heads = 4, .head_dim = 64, .seq_lens = lens, .rotary_dim = 32, .window = 100},
      {.num_heads = 6, .num_kv_heads = 2, .head_dim = 128, .seq_lens = lens, .rotary_dim = 32, .window = 17},
      {.num_heads = 4, .num_kv_heads = 2, .head_dim = 128, .seq_lens = lens, .dtype = kF16, .softcap = 5, .window = 1},
      {.num_heads = 4, .num_kv_heads = 2, .head_dim = 128, .seq_lens = lens, .window = 16},
      {.num_heads = 4, .num_kv_heads = 2, .head_dim = 128, .seq_lens = {6000, 4000, 3}},
      {.num_heads = 4, .num_kv_heads = 2, .head_dim = 64, .seq_lens = {6000, 2500}, .block_size = 64, .window = 3000},
  };
  for (const DecodeWorldSpec& spec : specs) {
    run_case(spec, seed++);
    if (testing::Test::HasFatalFailure()) return;
  }
}

std::vector<int32_t> ragged(size_t seqs, int32_t longest, unsigned seed) {
  std::mt19937 rng(seed);
  std::vector<int32_t> lens;
  for (size_t i = 0; i < seqs; ++i) lens.push_back(std::uniform_int_distribution<int32_t>(1, longest)(rng));
  return lens;
}

TEST(DecodeAttentionCuda, ManySequencesMatchTheReference) {
  REQUIRE_GPU();
  unsigned seed = fresh_seed();
  std::vector<int32_t> bucket = ragged(57, 90, seed);
  bucket[20] = 4500;     // more tiles than a warp looks up pages for at once, twice
  bucket.resize(64, 0);  // padding
  const std::vector<DecodeWorldSpec> specs = {
      {.num_heads = 16, .num_kv_heads = 8, .head_dim = 128, .seq_lens = ragged(17, 400, seed)},
      {.num_heads = 32, .num_kv_heads = 8, .head_dim = 128, .seq_lens = ragged(40, 200, seed), .window = 50},
      {.num_heads = 8, .num_kv_heads = 2, .head_dim = 128, .seq_lens = bucket},
      {.num_heads = 6, .num_kv_heads = 3, .head_dim = 64, .seq_lens = bucket, .dtype = kF16, .norms = false},
      {.num_heads = 16, .num_kv_heads = 8, .head_dim = 128, .seq_lens = ragged(256, 70, seed), .softcap = 20},
      {.num_heads = 14, .num_kv_heads = 2, .head_dim = 64, .seq_lens = ragged(200, 150, seed), .block_size = 32},
  };
  for (const DecodeWorldSpec& spec : specs) {
    run_case(spec, seed++);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(DecodeAttentionCuda, AReplayedGraphFollowsTheLengths) {
  REQUIRE_GPU();
  unsigned seed = fresh_seed();
  for (auto [window, ring, blocks] : {std::tuple(0, false, 0), {20, false, 0}, {0, true, 1}, {20, true, 2}}) {
    DecodeWorldSpec spec{.num_heads = 16, .num_kv_heads = 8, .head_dim = 128, .seq_lens = {1, 14, 30, 127, 500}};
    spec.window = window, spec.capacity = 600;
    DecodeWorld world(spec, seed++);
    DeviceArray<std::byte> out(world.out_bytes());
    CudaStream stream = CudaStream::create().value();
    Result<CudaGraph> graph = CudaGraph::capture(stream, [&, ring = ring, blocks = blocks](StreamRef s) {
      return decode_attention_cuda(world.params(out.data(), blocks, ring), s);
    });
    ASSERT_TRUE(graph) << graph.error().message;
    std::vector<int32_t> lens = spec.seq_lens;
    for (int step = 0; step < 40; ++step) {
      if (step == 20) lens.back() = 0;  // a sequence ended: the bucket is padded now
      world.step(lens);
      const DecodeWorld::Answer want = world.reference();
      cudaMemset(out.data(), 0xff, world.out_bytes());
      cudaDeviceSynchronize();
      ASSERT_TRUE(graph->launch(stream));
      ASSERT_TRUE(stream.synchronize());
      const std::string what = fmt::format("step {}, {}", step, describe(spec, blocks, ring));
      expect_out(world, out.host(), want.out, lens, what);
      expect_pages(world, world.device_pages(), want.pool, what);
      if (testing::Test::HasFailure()) return;
      world.take_pool();
      for (int32_t& n : lens) n += n > 0;
    }
  }
}

TEST(DecodeAttentionCuda, GivesTheSameBitsEveryTime) {
  REQUIRE_GPU();
  DecodeWorld world({.num_heads = 32, .num_kv_heads = 8, .head_dim = 128, .seq_lens = {700, 90, 2000}}, fresh_seed());
  CudaStream stream = CudaStream::create().value();
  for (bool ring : {false, true}) {
    std::vector<std::byte> first;
    for (int i = 0; i < 50; ++i) {
      DeviceArray<std::byte> out(world.out_bytes());
      ASSERT_TRUE(decode_attention_cuda(world.params(out.data(), 8, ring), stream));
      ASSERT_TRUE(stream.synchronize());
      if (i == 0) first = out.host();
      ASSERT_EQ(out.host(), first) << "run " << i << (ring ? " of the ring" : "");
    }
  }
}

TEST(DecodeAttentionCuda, LeavesLopsidedBatchesToOthers) {
  REQUIRE_GPU();
  auto lopsided = [](int num_seqs, int64_t longest, int64_t total) {
    return decode_attention_lopsided(num_seqs, 8, longest, total);
  };
  EXPECT_FALSE(lopsided(1, 4096, 4096));
  EXPECT_TRUE(lopsided(1, 32000, 32000));
  EXPECT_TRUE(lopsided(8, 16000, 18100));
  EXPECT_FALSE(lopsided(64, 1024, 65536));
  EXPECT_TRUE(lopsided(64, 4096, 23000));
  EXPECT_FALSE(lopsided(256, 4096, 1 << 20));
}

TEST(DecodeAttentionCuda, PicksBlocksThatFillTheDevice) {
  auto expect = [](int num_seqs, int num_kv_heads, bool ring, int blocks) {
    const DecodeAttentionLaunch how = decode_attention_launch(num_seqs, num_kv_heads, 132);
    EXPECT_EQ(how.ring, ring) << num_seqs;
    EXPECT_EQ(how.blocks, blocks) << num_seqs;
  };
  expect(1, 8, false, 16), expect(1, 1, false, 16);
  expect(8, 8, false, 2), expect(16, 8, false, 2), expect(16, 32, false, 1);
  expect(64, 1, false, 2);
  expect(17, 8, true, 2), expect(32, 8, true, 2), expect(64, 8, true, 1), expect(256, 8, true, 1);
}

TEST(DecodeAttentionCuda, RefusesWhatDisagrees) {
  DecodeAttentionShape good{16, 8, 128, 16, 128, kBF16, kBF16}, bad = good;
  EXPECT_TRUE(decode_attention_fits(good));
  bad.head_dim = 256;
  EXPECT_FALSE(decode_attention_fits(bad));
  bad = good, bad.num_heads = 72;
  EXPECT_FALSE(decode_attention_fits(bad));
  bad = good, bad.num_heads = 12;
  EXPECT_FALSE(decode_attention_fits(bad));
  bad = good, bad.block_size = 8;
  EXPECT_FALSE(decode_attention_fits(bad));
  bad = good, bad.kv_dtype = kF16;
  EXPECT_FALSE(decode_attention_fits(bad));
  bad = good, bad.rotary_dim = 30;
  EXPECT_FALSE(decode_attention_fits(bad));
  REQUIRE_GPU();
  DecodeWorld world({.num_heads = 4, .num_kv_heads = 2, .head_dim = 64, .seq_lens = {3, 4}}, 1);
  DeviceArray<std::byte> out(world.out_bytes());
  EXPECT_FALSE(decode_attention_cuda(world.params(out.data(), 3), {}));
  EXPECT_FALSE(decode_attention_cuda(world.params(out.data(), 32), {}));
  EXPECT_FALSE(decode_attention_cuda(world.params(out.data(), 16, true), {}));
  DecodeAttentionParams p = world.params(out.data(), 1);
  p.num_heads = 8;
  EXPECT_FALSE(decode_attention_cuda(p, {}));
  p = world.params(out.data(), 1), p.qkv.shape[0] = 1;
  EXPECT_FALSE(decode_attention_cuda(p, {}));
  p = world.params(out.data(), 1), p.kv.v_offset += 2;
  EXPECT_FALSE(decode_attention_cuda(p, {}));
}

}  // namespace
}  // namespace vllm
