// Interim: dequantizes each weight row and sums in float32, in the order of k.
#include <vector>

#include "kernels/dequantize/dequantize.h"
#include "kernels/linear/linear.h"

namespace vllm {

size_t linear_workspace_bytes(int64_t max_tokens, int64_t max_k) {
  return static_cast<size_t>(max_tokens * max_k) * sizeof(float);
}

void linear_cpu(const LinearParams& p, std::span<std::byte> workspace, ThreadPool& pool) {
  CHECK(check(p).has_value());
  const LinearWeight& w = p.weight;
  pool.parallel_for(w.n, [&](int64_t n, int) {
    thread_local std::vector<float> row;
    row.resize(static_cast<size_t>(w.k));
    dequantize_row(w.dtype, static_cast<const std::byte*>(w.data) + static_cast<size_t>(n) * row_bytes(w.dtype, w.k), row);
    for (int64_t t = 0; t < p.out.size(0); ++t) {
      const float* x = p.x.row(t);
      float sum = 0;
      for (int64_t k = 0; k < w.k; ++k) sum += x[k] * row[static_cast<size_t>(k)];
      if (!p.bias.empty()) sum += p.bias[static_cast<size_t>(n)];
      p.out(t, n) = p.add_to_out ? p.out(t, n) + sum : sum;
    }
  });
}

void linear_cpu(std::span<const LinearParams> ps, std::span<std::byte> workspace, ThreadPool& pool) {
  for (const LinearParams& p : ps) linear_cpu(p, workspace, pool);
}

bool wants_packing(const LinearWeight&) { return false; }

PackedWeight pack_linear_weight(const LinearWeight& weight, ThreadPool&) { return {.storage = {}, .weight = weight}; }

}  // namespace vllm
