#pragma once
// A CUDA stream in headers that know no CUDA.
namespace vllm {

/// A cudaStream_t, not owned. Ops take one, launch on it and return; they never synchronize.
struct StreamRef {
  void* handle = nullptr;
};

}  // namespace vllm
