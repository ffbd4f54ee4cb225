// The linear op by each of this machine's ISAs, side by side: microseconds and rates over the shapes of two models.
//   linear_isa_bench [--seconds 60] [--threads 1,2,16] [--tokens 1,4,16,64,512] [--types q4_1,bfloat16]
//                    [--kernels amx,avx512] [--terms 2]
// Weights lie in 128 MB or more and take turns, as the layers of a model do: one token reads them from memory. A line's
// ratio is the time of the last kernel of the list to that of the first. It ends early when the seconds are over.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <sstream>
#include <string>

#include "kernels/linear/linear_run.h"
#include "kernels/linear/linear_test_data.h"
#include "tensor/arena.h"
#include "tensor/cpu_info.h"

namespace vllm {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Shape {
  const char* name;
  int64_t n, k;
  int64_t most_tokens;
};
constexpr Shape kShapes[] = {
    {"smollm2 gate_up", 3072, 576, 512},    {"smollm2 down", 576, 1536, 512},   {"smollm2 head", 49152, 576, 64},
    {"qwen1.5b gate_up", 17920, 1536, 512}, {"qwen1.5b down", 1536, 8960, 512}, {"qwen1.5b head", 151936, 1536, 16},
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) out.push_back(part);
  return out;
}

// One packed weight many times over: its first rows are random, the others repeat them.
struct Weights {
  Arena arena;
  std::vector<LinearWeight> copies;
  size_t bytes = 0;
};

Weights make_weights(const Shape& shape, DType dtype, ThreadPool& pool) {
  constexpr int64_t kRandomRows = 64;
  const int64_t block = info(dtype).block_size == 1 ? 32 : info(dtype).block_size;
  auto arrays = testing::make_linear({.num_tokens = 0, .n = kRandomRows, .blocks = shape.k / block}, dtype, 1);
  const PackedWeight random = pack_linear_weight(arrays.params.weight, pool);
  LinearWeight weight = {.dtype = dtype, .n = shape.n, .k = shape.k};
  Weights out;
  out.bytes = packed_linear_bytes(weight);
  const size_t count = std::max<size_t>(1, (size_t{128} << 20) / out.bytes);
  const std::span<std::byte> memory = out.arena.allocate(count * out.bytes);
  for (size_t at = 0; at < memory.size(); at += random.storage.size())
    std::memcpy(memory.data() + at, random.storage.data(), std::min(random.storage.size(), memory.size() - at));
  weight.packed = true;
  for (size_t i = 0; i < count; ++i) {
    weight.data = memory.data() + i * out.bytes;
    out.copies.push_back(weight);
  }
  return out;
}

// Seconds of one call: the best of several.
double time_of(const linear::Kernels& kernels, const Weights& weights, LinearParams p, std::span<std::byte> workspace,
               ThreadPool& pool) {
  double best = 1e9;
  const Clock::time_point start = Clock::now();
  size_t next = 0;
  for (int round = 0; round < 3 || seconds_since(start) < 0.02; ++round) {
    p.weight = weights.copies[next++ % weights.copies.size()];
    const Clock::time_point before = Clock::now();
    linear::run(kernels, std::span(&p, 1), workspace, pool);
    best = std::min(best, seconds_since(before));
    if (seconds_since(start) > 0.5) break;
  }
  return best;
}

int run(const std::map<std::string, std::string>& options) {
  const Clock::time_point start = Clock::now();
  const double budget = std::atof(options.at("--seconds").c_str());
  std::vector<const linear::Kernels*> kernels;
  for (const std::string& name : split(options.at("--kernels"))) {
    for (const linear::Kernels* k : linear::available_kernels()) {
      if (name == k->name) kernels.push_back(k);
    }
  }
  std::printf("%s\n%-17s %-8s %7s %7s", cpu_description().c_str(), "shape", "type", "tokens", "threads");
  for (const linear::Kernels* k : kernels) std::printf(" %12s us   GOPS   GB/s", k->name);
  std::printf("  ratio\n");
  for (const std::string& threads : split(options.at("--threads"))) {
    ThreadPool pool(std::atoi(threads.c_str()));
    for (const std::string& type : split(options.at("--types"))) {
      for (const Shape& shape : kShapes) {
        const DType* dtype = std::find_if(std::begin(kLinearTypes), std::end(kLinearTypes),
                                          [&](DType d) { return type == info(d).name; });
        if (dtype == std::end(kLinearTypes) || (info(*dtype).block_size == 256 && shape.k % 256 != 0)) continue;
        const Weights weights = make_weights(shape, *dtype, pool);
        for (const std::string& count : split(options.at("--tokens"))) {
          const int64_t tokens = std::atoll(count.c_str());
          if (tokens > shape.most_tokens) continue;
          std::vector<float> x(static_cast<size_t>(tokens * shape.k)), out(static_cast<size_t>(tokens * shape.n));
          for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(static_cast<int>(i * 37 % 101) - 50) * 0.02f;
          std::vector<std::byte> workspace(linear_workspace_bytes(tokens, shape.k));
          LinearParams p = {.out = {out.data(), {tokens, shape.n}},
                            .x = TensorView<const float, 2>(x.data(), {tokens, shape.k}),
                            .two_term_x = options.at("--terms") == "2"};
          std::printf("%-17s %-8s %7lld %7s", shape.name, type.c_str(), static_cast<long long>(tokens),
                      threads.c_str());
          double first = 0, last = 0;
          for (const linear::Kernels* k : kernels) {
            last = time_of(*k, weights, p, workspace, pool);
            first = k == kernels.front() ? last : first;
            std::printf(" %15.1f %6.0f %6.1f", last * 1e6,
                        2e-9 * static_cast<double>(tokens * shape.n * shape.k) / last,
                        1e-9 * static_cast<double>(weights.bytes) / last);
          }
          std::printf(" %6.2f\n", last / first);
          std::fflush(stdout);
          if (seconds_since(start) > budget) return std::printf("the time is over\n"), 0;
        }
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace vllm

int main(int argc, char** argv) {
  std::map<std::string, std::string> options = {{"--seconds", "60"},
                                                {"--threads", "1,2,16"},
                                                {"--tokens", "1,4,16,64,512"},
                                                {"--types", "bfloat16,q4_1,q4_K,q6_K,q8_0,q5_0"},
                                                {"--kernels", "amx,avx512_bf16"},
                                                {"--terms", "1"}};
  for (int i = 1; i < argc; i += 2) {
    if (!options.contains(argv[i]) || i + 1 == argc) return std::fprintf(stderr, "unknown: %s\n", argv[i]), 2;
    options[argv[i]] = argv[i + 1];
  }
  return vllm::run(options);
}
