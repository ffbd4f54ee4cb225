#pragma once
// out[t, n] = sum_k x[t, k] * weight[n, k] + bias[n]     weight: float32, float16, bfloat16 or a GGUF block type
//
// Contract on the CPU: row t of the result depends on row t of x alone, bit for bit, whatever num_tokens, its place in
// the batch, the number of threads, and whether the weight is packed. For quantized weights the ISAs agree
// to the bit too.
// Quantized weights are multiplied as quantized: x is quantized once per call (and shared between the weights of one
// call) to int8 blocks of 32 with a scale and a block sum; with `two_term_x` to two such terms, the second one the
// rounding error of the first. bfloat16 weights see x rounded to bfloat16, float16 and float32 weights x as it is;
// products are summed in float32.
// A NaN or infinity in row t of x makes row t of the result NaN or infinite, and touches no other row.
#include <cstdint>
#include <span>

#include "base/result.h"
#include "tensor/buffer.h"
#include "tensor/tensor_view.h"
#include "tensor/thread_pool.h"

namespace vllm {

/// A weight matrix [n, k], row-major, rows contiguous: in mapped memory as it is, or repacked by pack_linear_weight.
struct LinearWeight {
  const void* data = nullptr;
  DType dtype = DType::kFloat32;
  int64_t n = 0;         // output features
  int64_t k = 0;         // input features; a multiple of the block size of dtype
  bool packed = false;   // in the layout of pack_linear_weight
  bool compact = false;  // packed, and bfloat16 in 12 bits
};

struct LinearParams {
  TensorView<float, 2> out;      // [num_tokens, n], row stride free
  TensorView<const float, 2> x;  // [num_tokens, k], row stride free
  LinearWeight weight;
  std::span<const float> bias;  // [n] or empty
  bool add_to_out = false;      // out += instead of out = (fused residual add)
  // Quantized weights see x as s * (hi + lo / 254), hi and lo int8: about 16 bits instead of 8. The weight is still
  // read and unpacked once, so one token costs little more; many tokens cost up to twice the time. Else without effect.
  bool two_term_x = false;
  // Slots kept from day one, so that LoRA, experts and shards need no other op:
  const int32_t* lora_slot_of_token = nullptr;  // [num_tokens] or none
  const int32_t* expert_rows = nullptr;         // rows of x in expert order, or none
  int tp_rank = 0, tp_size = 1;
};

/// Scratch for prepared activations, owned by the caller and grown before the first step: no allocation in a step.
/// Grows with num_tokens up to 256, with k always.
size_t linear_workspace_bytes(int64_t max_tokens, int64_t max_k);

Status check(const LinearParams& p);
/// The definition: dequantized weight, plain loops, double accumulators, x not quantized or rounded. Not for packed
/// weights.
void linear_ref(const LinearParams& p);
/// Best ISA found at start-up. `workspace` has linear_workspace_bytes(num_tokens, k) bytes. A weight that is not packed
/// is packed piece by piece in every call, into a scratch of each thread: right, but several times slower.
void linear_cpu(const LinearParams& p, std::span<std::byte> workspace, ThreadPool& pool);
/// Several weights over the same x (QKV, gate and up): x is quantized once (once for each value of two_term_x that
/// occurs). All x must be equal.
void linear_cpu(std::span<const LinearParams> ps, std::span<std::byte> workspace, ThreadPool& pool);

/// Rearrange a weight for the CPU (one layout for all ISAs); the result owns its memory and `weight.data` may go.
struct PackedWeight {
  Buffer storage;
  LinearWeight weight;
};
/// How a weight will lie in memory. `compact`: bfloat16 without loss in 12 bits, results are the same to the bit.
/// Few exponents must occur among neighbours (as in any trained matrix), so the numbers decide, and the size too.
struct LinearPacking {
  bool compact = false;
  size_t bytes = 0;
};
/// True if this weight gains from packing: always, unless it is packed or empty.
bool wants_packing(const LinearWeight& weight);
/// The best form for this machine. Reads a bfloat16 weight once.
LinearPacking choose_linear_packing(const LinearWeight& weight, ThreadPool& pool);
PackedWeight pack_linear_weight(const LinearWeight& weight, ThreadPool& pool);
/// The same into memory of the caller: packing.bytes bytes that outlive the result, zeroed.
LinearWeight pack_linear_weight(const LinearWeight& weight, const LinearPacking& packing, std::span<std::byte> storage,
                                ThreadPool& pool);
/// Bytes that one token reads of a packed weight (compact ones: but for rare blocks in the plain form).
size_t packed_linear_bytes(const LinearWeight& weight);

}  // namespace vllm
