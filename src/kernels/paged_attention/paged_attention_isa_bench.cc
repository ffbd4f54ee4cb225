// paged_attention_isa_bench [THREADS]: attention of a prompt's slice and of one query over a long context, with each
// kind of products that this CPU has.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <vector>

#include "kernels/kv_layout/kv_scales.h"
#include "kernels/paged_attention/paged_attention.h"
#include "tensor/buffer.h"

namespace vllm {
namespace {

struct Shape {
  const char* name;
  int num_heads, num_kv_heads, head_dim;
};
constexpr Shape kShapes[] = {{"qwen1.5b", 12, 2, 128}, {"smollm2", 9, 3, 64}};

/// Milliseconds of `queries` at the end of `context` tokens, the best of three.
double measure(const Shape& shape, DType dtype, int32_t queries, int32_t context, ThreadPool& pool,
               AttentionProducts products) {
  constexpr int kBlockSize = 16;
  const int32_t blocks = (context + kBlockSize - 1) / kBlockSize;
  KvLayerView kv{.num_blocks = blocks + 1,
                 .block_size = kBlockSize,
                 .num_kv_heads = shape.num_kv_heads,
                 .head_dim = shape.head_dim,
                 .dtype = dtype};
  kv.v_offset = kv.area_bytes(), kv.page_bytes = kv_layer_bytes(kv);
  Buffer pages(static_cast<size_t>(kv.num_blocks * kv.page_bytes));
  std::memset(pages.data(), 0x3c, pages.size());  // 0.01 in bfloat16
  kv.base = pages.data();
  std::vector<int32_t> table(static_cast<size_t>(blocks));
  std::iota(table.begin(), table.end(), 1);
  std::array<int64_t, 3> dims = {queries, shape.num_heads, shape.head_dim};
  std::vector<float> q(static_cast<size_t>(dims[0] * dims[1] * dims[2])), out(q.size());
  for (size_t i = 0; i < q.size(); ++i) q[i] = static_cast<float>(i % 17) - 8;
  Buffer workspace(paged_attention_workspace_bytes(1, shape.head_dim, pool.num_threads()));
  const std::vector<int32_t> start = {0, queries}, lens = {context};
  const PagedAttentionParams p = {.out = {out.data(), dims},
                                  .q = TensorView<float, 3>(q.data(), dims),
                                  .kv = kv,
                                  .block_table = TensorView<const int32_t, 2>(table.data(), {1, blocks}),
                                  .query_start = start,
                                  .seq_lens = lens,
                                  .scale = 0.1f};
  double best = 1e30;
  for (int round = 0; round < 4; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    paged_attention_cpu(p, {workspace.data(), workspace.size()}, pool, cpu_isa(), products);
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - begin;
    if (round > 0) best = std::min(best, time.count());
  }
  return best;
}

void run(int threads) {
  ThreadPool pool(threads);
  std::vector<std::pair<const char*, AttentionProducts>> forms = {{"float32", AttentionProducts::kFloat32}};
  if (cpu_has_avx512_bf16()) forms.emplace_back("bfloat16", AttentionProducts::kBFloat16);
  if (attention_products() == AttentionProducts::kTiles) forms.emplace_back("tiles", AttentionProducts::kTiles);
  for (const Shape& shape : kShapes) {
    for (auto [queries, context] : {std::pair(512, 8192), {512, 1024}, {1, 8192}}) {
      for (auto [name, products] : forms) {
        const double ms = measure(shape, DType::kBFloat16, queries, context, pool, products);
        const double keys = queries * (context - 0.5 * (queries - 1)) * shape.num_heads;
        fmt::print("{:9} {:3} queries of {:4} tokens, {:2} threads, {:8}: {:8.3f} ms {:7.1f} GFLOP/s\n", shape.name,
                   queries, context, threads, name, ms, 4 * keys * shape.head_dim / ms * 1e-6);
      }
    }
  }
}

}  // namespace
}  // namespace vllm

int main(int argc, char** argv) { vllm::run(argc > 1 ? std::max(1, std::atoi(argv[1])) : 1); }
