#pragma once
// How the warpgroup kernel cuts a product: recorded for the shapes of Qwen3 0.6B and 8B on an H200, a rule for others.
#include "kernels/linear/linear_cuda_plan.h"

namespace vllm {

/// The configuration for desc.num_tokens > kMaxStreamTokens of float16 or bfloat16: kWgmma, or kCublasLt or kGemm where
/// that was measured faster (or the device is another one).
LinearConfig pick_many_tokens(const LinearDesc& desc, const LinearDevice& device);

}  // namespace vllm
