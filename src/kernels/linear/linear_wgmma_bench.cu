// The warpgroup kernel's cuts, beside cuBLASLt: each product of a layer alone, then layers back to back, where each
// product in turn takes the cut that makes the layer fastest. What comes out is linear_wgmma_table.cc.
#include <array>
#include <map>

#include "kernels/linear/linear_cuda_bench.cuh"

namespace vllm::linear_bench {
namespace {

constexpr size_t kKept = 5;  // of a sweep, for the chain

struct Timed {
  LinearConfig config;
  double us;
};

std::string name_of(const LinearConfig& c) {
  if (c.kind != LinearKind::kWgmma) return to_string(c.kind);
  return fmt::format("{}x{}k{}s{}b{}{}{}", c.tile_rows, c.tile_tokens, c.k_split, c.share, c.blocks_per_sm,
                     c.prefetch_units > 0 ? fmt::format("p{}", c.prefetch_units) : "",
                     c.launch_at > 0 ? fmt::format("l{}", c.launch_at) : "");
}

std::vector<LinearConfig> cuts(const LinearDesc& desc, const LinearDevice& device) {
  std::vector<LinearConfig> all;
  for (int tokens : kWgmmaTokens) {
    const bool narrowest =
        tokens >= desc.num_tokens && (tokens == 24 || tokens / 2 < desc.num_tokens) &&
        tokens == *std::lower_bound(std::begin(kWgmmaTokens), std::end(kWgmmaTokens) - 1, desc.num_tokens);
    const bool half = tokens >= 64 && tokens * 2 >= desc.num_tokens && tokens * 2 < desc.num_tokens + 64;
    if (!narrowest && !half) continue;
    for (int rows : {64, 128, 192}) {
      for (int k_split : {1, 2, 3, 4, 6, 8}) {
        for (int share : {1, 2}) {
          for (int per_sm : {1, 2}) {
            LinearConfig c{.kind = LinearKind::kWgmma, .k_split = k_split, .tile_rows = rows};
            c.tile_tokens = tokens, c.share = share, c.blocks_per_sm = per_sm;
            if (!finish_wgmma(desc, device, c)) continue;
            const int blocks = c.grid * ((desc.num_tokens + tokens - 1) / tokens), sms = device.sm_count;
            const bool last_split = k_split * share == 8 || (k_split == 8 && share == 1);
            if (blocks < sms / 2 && !last_split) continue;
            if (k_split > 1 && blocks > 3 * sms) continue;
            if (per_sm == 1 && blocks > sms && desc.num_tokens < 96 && desc.n < 100000) continue;
            all.push_back(c);
          }
        }
      }
    }
  }
  return all;
}

struct WgmmaBench {
  BenchBase& b;
  std::map<std::pair<std::string, int>, std::vector<Timed>> best;

  LinearCudaParams params(const Shape& s, int64_t tokens) {
    const std::string name = s.name;
    const bool gated = name.ends_with("gate_up"), head = name.ends_with("head");
    const bool add = name.ends_with(".o") || name.ends_with("down");
    LinearCudaParams p;
    p.x = TensorView<const void, 2>(b.x.data(), {tokens, s.k}, DType::kBFloat16);
    p.out = TensorView<void, 2>(b.out.data(), {tokens, gated ? s.n / 2 : s.n},
                                add || head ? DType::kFloat32 : DType::kBFloat16);
    p.n = s.n, p.k = s.k, p.add_to_out = add, p.back = gated ? LinearBack::kGatedSilu : LinearBack::kNone;
    return p;
  }

  double time_config(const Shape& s, int tokens, const LinearConfig& config) {
    return b.time_shape(s, tokens, name_of(config), [&](StreamRef ref) {
      LinearCudaParams p = params(s, tokens);
      p.weight = b.next_weight(static_cast<size_t>(s.n * s.k * 2));
      return b.runner->run(p, config, ref);
    });
  }

  void sweep(const Shape& s, int tokens) {
    const LinearCudaParams p = params(s, tokens);
    const double bytes = static_cast<double>(s.n * s.k * 2);
    double library = 0;
    if (b.runner->cublaslt() != nullptr) library = time_config(s, tokens, {.kind = LinearKind::kCublasLt});
    std::vector<Timed>& list = best[{s.name, tokens}];
    for (const LinearConfig& c : cuts(describe(p), b.runner->device())) list.push_back({c, time_config(s, tokens, c)});
    std::sort(list.begin(), list.end(), [](const Timed& a, const Timed& c) { return a.us < c.us; });
    if (list.empty()) return;
    printf("wgmma %-12s %3d  cublaslt %7.2f | best %7.2f %4.0f GB/s |", s.name, tokens, library, list[0].us,
           bytes / list[0].us * 1e-3);
    for (size_t i = 0; i < std::min<size_t>(list.size(), 9); ++i)
      printf(" %s:%.2f", name_of(list[i].config).c_str(), list[i].us);
    printf("  (of %d)\n", static_cast<int>(list.size()));
  }

  // Products of hardly any bytes, each waiting for the one in front: what a kernel takes besides its bytes.
  void latency() {
    std::string line;
    for (int tokens : {24, 64}) {
      for (auto [n, k, rows, split] : {std::array<int64_t, 4>{8448, 64, 64, 1},
                                       {4224, 128, 64, 2},
                                       {2112, 256, 64, 4},
                                       {1056, 512, 64, 8},
                                       {8448, 256, 64, 1},
                                       {25344, 64, 192, 1}}) {
        const Shape s{"latency", n, k};
        LinearConfig c{
            .kind = LinearKind::kWgmma, .k_split = static_cast<int>(split), .tile_rows = static_cast<int>(rows)};
        c.tile_tokens = tokens;
        if (!finish_wgmma(describe(params(s, tokens)), b.runner->device(), c)) continue;
        line += fmt::format("  {}x{} {}:{:.2f}", n, k, name_of(c), time_config(s, tokens, c));
      }
    }
    printf("latency%s\n", line.c_str());
  }

  struct Model {
    const char* name;
    int layers;
    int64_t hidden, qkv, heads, inner;
  };
  using Layer = std::array<LinearConfig, 4>;  // qkv, o, gate_up, down

  bool with_norms = true;

  Status run_layer(const Model& m, int64_t tokens, const Layer& layer, StreamRef ref) {
    auto call = [&](int which, TensorView<void, 2> to, TensorView<const void, 2> in, int64_t n, bool add,
                    LinearBack back) {
      LinearCudaParams p{.out = to, .x = in, .n = n, .k = in.size(1), .add_to_out = add};
      p.weight = b.next_weight(static_cast<size_t>(p.n * p.k * 2)), p.back = back;
      if (!add && with_norms) p.norm_weight = b.norm.as<float>();
      if (!add && !with_norms) p.x = TensorView<const void, 2>(b.x.data(), {tokens, p.k}, DType::kBFloat16);
      return b.runner->run(p, layer[static_cast<size_t>(which)], ref);
    };
    const TensorView<void, 2> residual(b.residual.data(), {tokens, m.hidden}, DType::kFloat32),
        qkv(b.wide.data(), {tokens, m.qkv}, DType::kBFloat16),
        hidden(b.inner.data(), {tokens, m.inner}, DType::kBFloat16);
    TensorView<void, 2> heads = qkv;
    heads.shape[1] = m.heads;
    RETURN_IF_ERROR(call(0, qkv, residual, m.qkv, false, LinearBack::kNone));
    RETURN_IF_ERROR(call(1, residual, heads, m.hidden, true, LinearBack::kNone));
    RETURN_IF_ERROR(call(2, hidden, residual, 2 * m.inner, false, LinearBack::kGatedSilu));
    return call(3, residual, hidden, m.hidden, true, LinearBack::kNone);
  }

  // Microseconds of a layer.
  double time_layer(const Model& m, int tokens, const Layer& layer, const std::string& name) {
    const Result<double> us = b.time(
        [&](StreamRef ref) -> Status {
          for (int i = 0; i < m.layers; ++i) RETURN_IF_ERROR(run_layer(m, tokens, layer, ref));
          return {};
        },
        5);
    if (!us) {
      printf("chain of %s, %d tokens, %s: %s\n", m.name, tokens, name.c_str(), us.error().message.c_str());
      return 1e9;
    }
    const double bytes = 2.0 * static_cast<double>(m.hidden * (m.qkv + m.heads + 3 * m.inner));
    b.record(fmt::format("chain.{}", m.name), tokens, name, *us / m.layers, bytes, bytes * tokens);
    return *us / m.layers;
  }

  void chain(const Model& m, int tokens) {
    const std::array<const char*, 4> parts = {".qkv", ".o", ".gate_up", ".down"};
    Layer library, layer;
    library.fill({.kind = LinearKind::kCublasLt});
    std::string line;
    if (b.runner->cublaslt() != nullptr)
      line += fmt::format("cublaslt {:.2f}", time_layer(m, tokens, library, "cublaslt"));
    for (size_t i = 0; i < 4; ++i) {
      const std::vector<Timed>& list = best[{m.name + std::string(parts[i]), tokens}];
      if (list.empty()) return;
      layer[i] = list[0].config;
    }
    double us = time_layer(m, tokens, layer, "wgmma");
    line += fmt::format("  sweep's best {:.2f}", us);
    auto try_one = [&](size_t i, const LinearConfig& c) {
      Layer other = layer;
      other[i] = c;
      const double time = time_layer(m, tokens, other, "wgmma search");
      if (time < us * 0.998) us = time, layer = other;
    };
    for (size_t i = 0; i < 4; ++i) {
      const std::vector<Timed>& list = best[{m.name + std::string(parts[i]), tokens}];
      for (size_t j = 1; j < std::min(list.size(), kKept); ++j) try_one(i, list[j].config);
      try_one(i, library[i]);
    }
    line += fmt::format("  searched {:.2f}", us);
    const Layer plain = layer;
    for (int launch_at : {1, 2}) {
      Layer other = plain;
      for (LinearConfig& c : other) c.launch_at = launch_at;
      line += fmt::format("  launch_at {} {:.2f}", launch_at, time_layer(m, tokens, other, "launch_at"));
    }
    for (int prefetch : {4, 16, 64}) {
      Layer other = plain;
      for (LinearConfig& c : other) c.prefetch_units = prefetch;
      line += fmt::format("  prefetch {} {:.2f}", prefetch, time_layer(m, tokens, other, "prefetch"));
    }
    with_norms = false;
    line += fmt::format("  without norms {:.2f}", time_layer(m, tokens, plain, "without norms"));
    with_norms = true;
    for (size_t i = 0; i < 4; ++i) {
      LinearConfig c = layer[i];
      for (int prefetch : {4, 16}) c.prefetch_units = prefetch, try_one(i, c);
    }
    line += fmt::format("  all {:.2f} us |", us);
    for (size_t i = 0; i < 4; ++i) line += fmt::format(" {} {}", parts[i] + 1, name_of(layer[i]));
    printf("chain %-4s %3d  %s\n", m.name, tokens, line.c_str());
  }
};

}  // namespace

void bench_wgmma(BenchBase& base, int only_tokens) {
  if (!base.runner->device().wgmma) return;
  WgmmaBench bench{base, {}};
  setvbuf(stdout, nullptr, _IOLBF, 0);
  bench.latency();
  const WgmmaBench::Model models[] = {{"0.6b", 28, 1024, 4096, 2048, 3072}, {"8b", 36, 4096, 6144, 4096, 12288}};
  for (int tokens : {64, 32, 24, 48, 96}) {
    if (only_tokens > 0 && tokens != only_tokens) continue;
    for (const Shape& s : kShapes) bench.sweep(s, tokens);
    for (const WgmmaBench::Model& m : models) bench.chain(m, tokens);
    fflush(stdout);
  }
}

}  // namespace vllm::linear_bench
