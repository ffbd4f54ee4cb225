#pragma once
// Dummy weights made on the device: the numbers of weights/dummy_numbers.h.
#include <cstdint>

#include "base/result.h"
#include "tensor/cuda/stream_ref.h"
#include "tensor/dtype.h"

namespace vllm::model {

struct DummyFillParams {
  void* out = nullptr;  // [., k] of dtype: float32, float16 or bfloat16; 16-byte aligned
  DType dtype = DType::kBFloat16;
  int64_t n = 0, k = 0;               // of the tensor; k a multiple of 8
  const int32_t* out_rows = nullptr;  // device [n]: row of out that holds row i, or none: row i
  uint64_t seed = 0;                  // dummy_seed
};
Status dummy_fill_cuda(const DummyFillParams& p, StreamRef stream);

}  // namespace vllm::model
