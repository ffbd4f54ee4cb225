#pragma once
// The weights of a decoder on a GPU, in the layout of its kernels: one allocation, every matrix on 256 bytes.
#include <memory>
#include <vector>

#include "base/result.h"
#include "hub/checkpoint.h"
#include "model/model.h"
#include "tensor/cuda/buffer.h"

namespace vllm::model {

/// A weight [n, k] of T, row-major, and its bias or none. All pointers are of the device.
struct CudaLinear {
  const void* weight = nullptr;
  const float* bias = nullptr;  // [n] in the weight's row order
  int64_t n = 0, k = 0;
};

struct CudaLayerWeights {
  const float *attention_norm = nullptr, *attention_post_norm = nullptr;  // [hidden]; post norms: Gemma, else null
  const float *mlp_norm = nullptr, *mlp_post_norm = nullptr;
  const float *q_norm = nullptr, *k_norm = nullptr;  // [head_dim] or null
  CudaLinear qkv;                                    // rows of q heads, k heads, v heads
  CudaLinear o;
  CudaLinear gate_up;  // rows interleaved by gated_row (kernels/linear/linear_cuda.h)
  CudaLinear down;
};

struct CudaDecoderWeights {
  const void* embedding = nullptr;  // [vocab, hidden] of T
  std::vector<CudaLayerWeights> layers;
  const float* final_norm = nullptr;
  CudaLinear lm_head;  // tied: the embedding's memory
  DeviceBuffer memory;
};

/// Load onto the current device. Plain floats of another type than options.dtype and GGUF blocks are converted on the
/// way. Errors: those of load_weights, and kResourceExhausted "Out of memory: ..." with the sizes.
Result<CudaDecoderWeights> load_weights_cuda(const ModelConfig& config, const Checkpoint* checkpoint,
                                             const LoadOptions& options);

}  // namespace vllm::model
