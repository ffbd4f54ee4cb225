#include "kernels/linear/linear_cuda.h"

#include <gtest/gtest.h>

#include <memory>

#include "kernels/linear/linear_cuda_test_data.h"

namespace vllm {
namespace {

using testing::LinearCudaCase;
using testing::LinearCudaFixture;

constexpr int64_t kMaxN = 151936, kMaxK = 12288, kMaxTokens = 2600;

template <typename T>
std::unique_ptr<LinearRunner> make_runner(bool use_cublaslt) {
  return LinearRunner::create({.max_tokens = kMaxTokens,
                               .max_k = kMaxK,
                               .max_n = kMaxN,
                               .dtype = kDTypeOf<T>,
                               .use_cublaslt = use_cublaslt})
      .value();
}

// ‖out - ref‖ / ‖ref‖: float32 sums of exact products are good to 1e-5 or so; else the rounding of the result, or of
// normalized inputs (which may fall to the other side of a tie), decides.
template <typename T>
double tolerance(const LinearCudaCase& c) {
  if (std::is_same_v<T, float>) return 1e-5;
  const bool exact = (c.out_float || c.add_to_out) && !c.norm && c.back == LinearBack::kNone;
  if (exact) return 3e-5;
  return std::is_same_v<T, Float16> ? 8e-4 : 6e-3;
}

// Cuts of the warpgroup kernel: all of them, or one that differs from case to case.
void add_wgmma_configs(const LinearCudaCase& c, DType dtype, const LinearDevice& device, bool all,
                       std::vector<LinearConfig>& configs) {
  static int turn = 0;
  if (!device.wgmma) return;
  const LinearDesc desc{.dtype = dtype,
                        .num_tokens = static_cast<int>(c.num_tokens),
                        .n = static_cast<int>(c.n),
                        .k = static_cast<int>(c.k)};
  std::vector<LinearConfig> cuts;
  for (int tokens : kWgmmaTokens) {
    // The narrowest tile that holds all tokens, and narrower ones, of which there are several.
    if (tokens / 2 > c.num_tokens && tokens > 24) continue;
    for (int rows : {64, 128, 192}) {
      for (int k_split : {1, 2, 3, 4, 5, 8}) {
        for (int share : {1, 2, 4}) {
          LinearConfig config{.kind = LinearKind::kWgmma, .k_split = k_split, .tile_rows = rows};
          config.tile_tokens = tokens, config.share = share, config.blocks_per_sm = 1 + k_split % 2;
          config.prefetch_units = k_split % 3, config.launch_at = (k_split + share) % 3;
          if (!finish_wgmma(desc, device, config)) continue;
          if (k_split % 4 == 0) config.stages = std::min(config.stages, 2);  // a ring that goes round often
          cuts.push_back(config);
        }
      }
    }
  }
  for (size_t i = 0; i < cuts.size(); ++i) {
    if (all || i % 16 == static_cast<size_t>(turn) % 16) configs.push_back(cuts[i]);
  }
  ++turn;
}

// Every configuration that may run the case.
std::vector<LinearConfig> forced_configs(const LinearCudaCase& c, DType dtype, const LinearDevice& device, bool all) {
  std::vector<LinearConfig> configs = {{.kind = LinearKind::kSimt}};
  if (dtype == DType::kFloat32 || c.x_padding % 8 != 0) return configs;
  configs.push_back({.kind = LinearKind::kGemm});
  add_wgmma_configs(c, dtype, device, all, configs);
  if (c.num_tokens > kMaxStreamTokens) return configs;
  if (c.num_tokens == 1) {
    LinearConfig config = gemv_config(
        {.dtype = dtype, .num_tokens = 1, .n = static_cast<int>(c.n), .k = static_cast<int>(c.k), .norm = c.norm},
        device);
    configs.push_back(config);
    for (int split : {1, 2, 4, 8}) {  // few blocks: many pairs each
      config.k_split = split, config.grid = split == 4 ? 1 : 3, config.launch_at = split % 3;
      configs.push_back(config);
    }
  }
  for (int r : {1, 2, 3, 4, 6}) {
    for (bool staged : {false, true}) {
      if (staged && c.num_tokens > 8) continue;
      if (stream_shared_bytes(r, c.num_tokens > 8 ? 2 : 1, staged, static_cast<int>(c.num_tokens),
                              static_cast<int>(c.k)) > device.shared_bytes)
        continue;
      const int tiles = static_cast<int>((c.n + 8 * r - 1) / (8 * r));
      LinearConfig config{.kind = LinearKind::kStream, .row_groups = r, .staged_x = staged};
      config.fused_norm = staged && c.norm;
      config.prefetch_units = r % 2 * 3, config.launch_at = r % 3;
      config.grid = std::min(tiles, r == 3 ? 2 : device.sm_count);  // few blocks: many tiles each
      configs.push_back(config);
      if (!all) break;
    }
  }
  return configs;
}

template <typename T>
void run_case(const LinearCudaCase& c, const LinearRunner& with, const LinearRunner& without, bool all) {
  static uint32_t seed = std::random_device{}();
  LinearCudaFixture<T> fixture(c, ++seed);
  {
    SCOPED_TRACE("as chosen, with cuBLASLt: " + testing::describe(c, {}));
    fixture.compare(fixture.run(with, nullptr), tolerance<T>(c));
  }
  {
    SCOPED_TRACE("as chosen, without cuBLASLt: " + testing::describe(c, {}));
    fixture.compare(fixture.run(without, nullptr), tolerance<T>(c));
  }
  for (const LinearConfig& config : forced_configs(c, kDTypeOf<T>, with.device(), all)) {
    SCOPED_TRACE(testing::describe(c, config));
    fixture.compare(fixture.run(with, &config), tolerance<T>(c));
  }
}

template <typename T>
class LinearCudaTest : public ::testing::Test {};
using Types = ::testing::Types<BFloat16, Float16, float>;
TYPED_TEST_SUITE(LinearCudaTest, Types);

struct Shape {
  int64_t n, k;
};
constexpr Shape kShapes[] = {{64, 64}, {136, 512}, {1, 8}, {7, 24}, {33, 1000}, {258, 72}, {1000, 136}, {96, 2048}};
constexpr int64_t kTokens[] = {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 24, 32, 33, 48, 64, 100, 257, 512};

TYPED_TEST(LinearCudaTest, PlainAndBias) {
  REQUIRE_GPU();
  auto with = make_runner<TypeParam>(true), without = make_runner<TypeParam>(false);
  int i = 0;
  for (Shape s : kShapes) {
    ASSERT_TRUE(with->prepare(s.n, s.k, LinearBack::kNone));
    for (int64_t tokens : kTokens) {
      ++i;
      if (tokens > 100 && s.n * s.k > 100000) continue;
      run_case<TypeParam>({.num_tokens = tokens,
                           .n = s.n,
                           .k = s.k,
                           .bias = i % 3 == 0,
                           .out_float = i % 2 == 0,
                           .x_padding = i % 5 == 4 ? 8 : 0,
                           .out_padding = i % 4 == 3 ? 5 : 0},
                          *with, *without, i % 7 == 0);
      if (this->HasFailure()) return;
    }
  }
}

TYPED_TEST(LinearCudaTest, ResidualAdd) {
  REQUIRE_GPU();
  auto with = make_runner<TypeParam>(true), without = make_runner<TypeParam>(false);
  int i = 0;
  for (Shape s : {Shape{128, 256}, {37, 136}, {520, 1032}}) {
    ASSERT_TRUE(with->prepare(s.n, s.k, LinearBack::kNone));
    for (int64_t tokens : kTokens) {
      ++i;
      run_case<TypeParam>({.num_tokens = tokens,
                           .n = s.n,
                           .k = s.k,
                           .bias = i % 3 == 0,
                           .add_to_out = true,
                           .out_float = true,
                           .out_padding = i % 4 == 1 ? 3 : 0},
                          *with, *without, i % 4 == 0);
      if (this->HasFailure()) return;
    }
  }
}

TYPED_TEST(LinearCudaTest, FusedNorm) {
  REQUIRE_GPU();
  auto with = make_runner<TypeParam>(true), without = make_runner<TypeParam>(false);
  int i = 0;
  for (Shape s : {Shape{128, 256}, {50, 1160}, {24, 5120}, {300, 64}}) {
    ASSERT_TRUE(with->prepare(s.n, s.k, LinearBack::kNone));
    for (int64_t tokens : kTokens) {
      ++i;
      if (tokens > 64 && s.k > 2000) continue;
      run_case<TypeParam>({.num_tokens = tokens,
                           .n = s.n,
                           .k = s.k,
                           .bias = i % 3 == 0,
                           .norm = true,
                           .out_float = i % 2 == 0,
                           .x_padding = i % 3 == 2 ? 8 : 0},
                          *with, *without, i % 2 == 0);
      if (this->HasFailure()) return;
    }
  }
}

TYPED_TEST(LinearCudaTest, GatedBacks) {
  REQUIRE_GPU();
  auto with = make_runner<TypeParam>(true), without = make_runner<TypeParam>(false);
  int i = 0;
  for (Shape s : {Shape{128, 256}, {50, 136}, {600, 520}, {2, 8}}) {
    ASSERT_TRUE(with->prepare(s.n, s.k, LinearBack::kGatedSilu));
    for (int64_t tokens : kTokens) {
      ++i;
      const LinearBack back = i % 3 == 0   ? LinearBack::kGatedSilu
                              : i % 3 == 1 ? LinearBack::kGatedGelu
                                           : LinearBack::kGatedGeluTanh;
      run_case<TypeParam>({.num_tokens = tokens,
                           .n = s.n,
                           .k = s.k,
                           .bias = i % 4 == 0,
                           .norm = i % 2 == 0,
                           .out_float = i % 5 == 0,
                           .back = back,
                           .out_padding = i % 7 == 0 ? 1 : 0},
                          *with, *without, i % 4 == 0);
      if (this->HasFailure()) return;
    }
  }
}

TYPED_TEST(LinearCudaTest, RowsThatNoVectorFits) {
  REQUIRE_GPU();
  auto with = make_runner<TypeParam>(true), without = make_runner<TypeParam>(false);
  for (int64_t tokens : {1, 5, 20}) {
    for (bool norm : {false, true}) {
      run_case<TypeParam>({.num_tokens = tokens, .n = 40, .k = 136, .norm = norm, .x_padding = 3, .out_padding = 1},
                          *with, *without, true);
    }
  }
}

TYPED_TEST(LinearCudaTest, WideAndDeep) {
  REQUIRE_GPU();
  auto with = make_runner<TypeParam>(true), without = make_runner<TypeParam>(false);
  run_case<TypeParam>({.num_tokens = 3, .n = 151936, .k = 64, .out_float = true}, *with, *without, false);
  run_case<TypeParam>({.num_tokens = 2, .n = 1064, .k = 12288, .add_to_out = true, .out_float = true}, *with, *without,
                      true);
  run_case<TypeParam>({.num_tokens = 12, .n = 200, .k = 12288}, *with, *without, true);
  run_case<TypeParam>({.num_tokens = 2500, .n = 64, .k = 128, .norm = true}, *with, *without, false);  // two slices
}

TYPED_TEST(LinearCudaTest, ARowDoesNotDependOnItsBatch) {
  REQUIRE_GPU();
  if (std::is_same_v<TypeParam, float>) GTEST_SKIP() << "of the streaming kernel";
  auto runner = make_runner<TypeParam>(false);
  for (bool norm : {false, true}) {
    LinearCudaFixture<TypeParam> fixture({.num_tokens = 16, .n = 1000, .k = 1160, .norm = norm, .out_float = true}, 7);
    const std::vector<float> all = fixture.run(*runner, nullptr);
    const LinearCudaParams p = fixture.params();
    CudaStream stream = CudaStream::create().value();
    for (int64_t tokens : {2, 3, 8, 9}) {
      DeviceArray<float> out(static_cast<size_t>(tokens * 1000));
      LinearCudaParams part = p;
      part.x = p.x.slice(2, 2 + tokens);
      part.out = TensorView<void, 2>(out.data(), {tokens, 1000}, DType::kFloat32);
      ASSERT_TRUE(runner->run(part, stream));
      ASSERT_TRUE(stream.synchronize());
      const std::vector<float> rows = out.host();
      if (norm && tokens <= 4) continue;  // the fused norm sums its squares in another order than the one apart
      for (size_t i = 0; i < rows.size(); ++i) ASSERT_EQ(rows[i], all[2000 + i]) << tokens << " tokens, element " << i;
    }
  }
}

// Layers back to back in a graph, where each kernel may begin while the one in front still runs, against the same calls
// one at a time: a missing wait shows as a difference.
TEST(LinearCudaChain, OverlappingKernelsSeeFinishedInputs) {
  REQUIRE_GPU();
  constexpr int64_t kHidden = 1024, kWidth = 2048, kInner = 3072;
  constexpr int kLayers = 6;
  auto runner = make_runner<BFloat16>(true);
  std::mt19937 rng(std::random_device{}());
  auto random = [&](int64_t count, float scale) {
    std::normal_distribution<float> normal(0.0f, scale);
    std::vector<BFloat16> v(static_cast<size_t>(count));
    for (BFloat16& b : v) b = to_bfloat16(normal(rng));
    return v;
  };
  DeviceArray<BFloat16> qkv(random(2 * kWidth * kHidden, 0.03f)), o(random(kHidden * kWidth, 0.03f)),
      gate_up(random(2 * kInner * kHidden, 0.03f)), down(random(kHidden * kInner, 0.03f));
  ASSERT_TRUE(runner->prepare(2 * kWidth, kHidden, LinearBack::kNone));
  ASSERT_TRUE(runner->prepare(kHidden, kWidth, LinearBack::kNone));
  ASSERT_TRUE(runner->prepare(2 * kInner, kHidden, LinearBack::kGatedSilu));
  ASSERT_TRUE(runner->prepare(kHidden, kInner, LinearBack::kNone));
  DeviceArray<float> norm(std::vector<float>(kHidden, 1.0f));
  struct Case {
    int64_t tokens;
    int share;  // of the warpgroup kernel; 0: as chosen
  };
  for (auto [tokens, share] : {Case{1, 0},
                               {2, 0},
                               {4, 0},
                               {5, 0},
                               {8, 0},
                               {16, 0},
                               {40, 0},
                               {20, 1},
                               {48, 2},
                               {64, 1},
                               {90, 2},
                               {96, 4},
                               {200, 1}}) {
    if (share > 0 && !runner->device().wgmma) continue;
    std::vector<float> start(static_cast<size_t>(tokens * kHidden));
    for (float& f : start) f = std::normal_distribution<float>()(rng);
    DeviceArray<float> x(start);
    DeviceArray<BFloat16> wide(static_cast<size_t>(tokens * 2 * kWidth)), inner(static_cast<size_t>(tokens * kInner));
    CudaStream stream = CudaStream::create().value();
    bool one_at_a_time = true;
    auto run = [&](StreamRef s, TensorView<void, 2> out, TensorView<const void, 2> in, const void* weight, int64_t n,
                   bool residual, LinearBack back) -> Status {
      LinearCudaParams p{.out = out, .x = in, .weight = weight, .n = n, .k = in.size(1), .add_to_out = residual};
      p.norm_weight = residual ? nullptr : norm.data(), p.back = back;
      LinearConfig config{.kind = LinearKind::kWgmma, .k_split = share == 4 ? 2 : 4, .share = share};
      config.tile_tokens = *std::lower_bound(std::begin(kWgmmaTokens), std::end(kWgmmaTokens) - 1, tokens);
      if (share == 0) {
        RETURN_IF_ERROR(runner->run(p, s));
      } else if (finish_wgmma(describe(p), runner->device(), config)) {
        RETURN_IF_ERROR(runner->run(p, config, s));
      } else {
        return error(ErrorCode::kInternal, "no configuration for {} tokens", tokens);
      }
      return one_at_a_time ? stream.synchronize() : Status{};
    };
    auto layers = [&](StreamRef s) -> Status {
      const TensorView<void, 2> residual(x.data(), {tokens, kHidden}, DType::kFloat32);
      TensorView<void, 2> wide_view(wide.data(), {tokens, 2 * kWidth}, DType::kBFloat16), heads = wide_view,
                                                                                          inner_view = wide_view;
      heads.shape[1] = kWidth;
      inner_view = TensorView<void, 2>(inner.data(), {tokens, kInner}, DType::kBFloat16);
      for (int i = 0; i < kLayers; ++i) {
        RETURN_IF_ERROR(run(s, wide_view, residual, qkv.data(), 2 * kWidth, false, LinearBack::kNone));
        RETURN_IF_ERROR(run(s, residual, heads, o.data(), kHidden, true, LinearBack::kNone));
        RETURN_IF_ERROR(run(s, inner_view, residual, gate_up.data(), 2 * kInner, false, LinearBack::kGatedSilu));
        RETURN_IF_ERROR(run(s, residual, inner_view, down.data(), kHidden, true, LinearBack::kNone));
      }
      return {};
    };
    Status status = layers(stream);
    ASSERT_TRUE(status) << status.error().message;
    const std::vector<float> expected = x.host();
    for (float f : expected) ASSERT_TRUE(std::isfinite(f));
    one_at_a_time = false;
    Result<CudaGraph> graph = CudaGraph::capture(stream, layers);
    ASSERT_TRUE(graph) << graph.error().message;
    for (int repeat = 0; repeat < 20; ++repeat) {
      ASSERT_EQ(cudaMemcpy(x.data(), start.data(), start.size() * 4, cudaMemcpyHostToDevice), cudaSuccess);
      ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);  // the stream does not wait for the default one
      ASSERT_TRUE(graph->launch(stream));
      ASSERT_TRUE(stream.synchronize());
      const std::vector<float> found = x.host();
      for (size_t i = 0; i < found.size(); ++i)
        ASSERT_EQ(found[i], expected[i]) << tokens << " tokens, replay " << repeat << ", element " << i;
    }
  }
}

TEST(LinearCuda, RefusesWhatDisagrees) {
  REQUIRE_GPU();
  LinearCuda linear = LinearCuda::create({.max_tokens = 4, .max_k = 64, .max_n = 64}).value();
  ASSERT_TRUE(linear.prepare(32, 64, LinearBack::kNone));
  DeviceArray<BFloat16> weight(std::vector<BFloat16>(32 * 64, to_bfloat16(0.5f))),
      x(std::vector<BFloat16>(4 * 64, to_bfloat16(2.0f)));
  DeviceArray<float> out(4 * 32);
  LinearCudaParams good;
  good.out = TensorView<void, 2>(out.data(), {4, 32}, DType::kFloat32);
  good.x = TensorView<const void, 2>(x.data(), {4, 64}, DType::kBFloat16);
  good.weight = weight.data(), good.n = 32, good.k = 64;
  CudaStream stream = CudaStream::create().value();
  ASSERT_TRUE(linear.run(good, stream));
  ASSERT_TRUE(stream.synchronize());
  for (float f : out.host()) ASSERT_EQ(f, 64.0f);
  auto refused = [&](auto change, const char* text) {
    LinearCudaParams p = good;
    change(p);
    Status status = linear.run(p, stream);
    ASSERT_FALSE(status) << text;
    EXPECT_NE(status.error().message.find(text), std::string::npos) << status.error().message;
  };
  refused([](auto& p) { p.k = 60; }, "k is 60");
  refused([](auto& p) { p.n = 31; }, "out is [4, 32]");
  refused([](auto& p) { p.x.shape[0] = p.out.shape[0] = 5; }, "5 rows");
  refused([](auto& p) { p.dtype = DType::kFloat16; }, "weight is");
  refused([](auto& p) { p.x.dtype = DType::kFloat16; }, "x is");
  refused([](auto& p) { p.add_to_out = true, p.out.dtype = DType::kBFloat16; }, "add_to_out");
  refused([](auto& p) { p.back = LinearBack::kGatedSilu; }, "out is [4, 32], not [4, 16]");
  refused([](auto& p) { p.weight = nullptr; }, "weight");
  EXPECT_FALSE(LinearCuda::create({.max_tokens = 0, .max_k = 64, .max_n = 64}));
}

}  // namespace
}  // namespace vllm
