// The definition of the op, and its argument check.
#include <vector>

#include "kernels/dequantize/dequantize.h"
#include "kernels/linear/linear.h"

namespace vllm {

Status check(const LinearParams& p) {
  const LinearWeight& w = p.weight;
  if (w.n < 0 || w.k < 0) return invalid_argument("linear: weight is [{}, {}]", w.n, w.k);
  if (!is_quantized(w.dtype) && w.dtype != DType::kFloat32 && w.dtype != DType::kFloat16 &&
      w.dtype != DType::kBFloat16) {
    return invalid_argument("linear: no weight of type {}", info(w.dtype).name);
  }
  if (w.k % info(w.dtype).block_size != 0) {
    return invalid_argument("linear: k = {} is no multiple of the {} elements of a {} block", w.k,
                            info(w.dtype).block_size, info(w.dtype).name);
  }
  if (p.x.size(1) != w.k) return invalid_argument("linear: x has {} columns, weight {}", p.x.size(1), w.k);
  if (p.out.size(1) != w.n) return invalid_argument("linear: out has {} columns, weight {} rows", p.out.size(1), w.n);
  if (p.out.size(0) != p.x.size(0))
    return invalid_argument("linear: x has {} rows, out {}", p.x.size(0), p.out.size(0));
  if (!p.bias.empty() && static_cast<int64_t>(p.bias.size()) != w.n)
    return invalid_argument("linear: bias has {} elements, weight {} rows", p.bias.size(), w.n);
  if (p.lora_slot_of_token != nullptr || p.expert_rows != nullptr || p.tp_size != 1) {
    return Error{ErrorCode::kUnimplemented, "linear: LoRA, experts and shards are not built", {}};
  }
  return Status::ok();
}

void linear_ref(const LinearParams& p) {
  const LinearWeight& w = p.weight;
  std::vector<float> row(static_cast<size_t>(w.k));
  for (int64_t n = 0; n < w.n; ++n) {
    CHECK(!w.packed);
    dequantize_row(w.dtype, static_cast<const std::byte*>(w.data) + static_cast<size_t>(n) * row_bytes(w.dtype, w.k),
                   row);
    for (int64_t t = 0; t < p.out.size(0); ++t) {
      double sum = p.bias.empty() ? 0.0 : p.bias[static_cast<size_t>(n)];
      for (int64_t k = 0; k < w.k; ++k) sum += static_cast<double>(p.x(t, k)) * row[static_cast<size_t>(k)];
      p.out(t, n) = static_cast<float>(p.add_to_out ? p.out(t, n) + sum : sum);
    }
  }
}

}  // namespace vllm
