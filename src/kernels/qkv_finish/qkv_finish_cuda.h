#pragma once
// What happens between the QKV projection and attention, in one kernel: RMS norm of each q and k head (Qwen 3, Gemma
// 3), rotary embedding ("neox" pairing, kernels/rope/rope.h) of q and k, and the write of k and v into the KV pages.
#include <cstdint>

#include "base/result.h"
#include "kernels/kv_layout/kv_layout_cuda.h"
#include "tensor/cuda/stream_ref.h"
#include "tensor/tensor_view.h"

namespace vllm {

struct QkvFinishParams {
  TensorView<void, 2> qkv;  // [num_tokens, (num_heads + 2 * num_kv_heads) * head_dim] of T; q is changed in place
  int num_heads = 0, num_kv_heads = 0, head_dim = 0;
  const float* q_norm = nullptr;  // [head_dim] or none
  const float* k_norm = nullptr;
  float norm_eps = 1e-6f;
  TensorView<const float, 2> cos, sin;  // [num_tokens, rotary_dim / 2] of rope_table_cuda
  KvLayerView kv;                       // float32, bfloat16 or float16: values are rounded to it
  const int64_t* slot_mapping =
      nullptr;  // [num_tokens] = page * block_size + offset; negative or in page 0: not written
};
Status qkv_finish_cuda(const QkvFinishParams& p, StreamRef stream);

/// cos[t, i] = cos(positions[t] * inv_freq[i]) * scale, angles in double.
struct RopeTableCudaParams {
  TensorView<float, 2> cos, sin;       // [num_tokens, rotary_dim / 2]
  const int32_t* positions = nullptr;  // [num_tokens]
  const double* inv_freq = nullptr;    // [rotary_dim / 2] on the device
  double scale = 1;
};
Status rope_table_cuda(const RopeTableCudaParams& p, StreamRef stream);

}  // namespace vllm
