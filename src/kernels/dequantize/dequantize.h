#pragma once
// The definition of every storage type: rows of a weight to float32.
#include <span>

#include "tensor/dtype.h"

namespace vllm {

/// `row` holds row_bytes(dtype, out.size()) bytes (no alignment needed); out.size() is a multiple of the block size.
/// Plain loops; the layouts follow ggml's (ggml-common.h, ggml-quants.c of llama.cpp 0c1e570).
void dequantize_row(DType dtype, const void* row, std::span<float> out);

}  // namespace vllm
