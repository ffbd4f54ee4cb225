#include <algorithm>

#include "engine/exec/cuda/slot_kernels.h"
#include "tensor/cuda/launch.cuh"

namespace vllm::engine {
namespace {

__global__ void apply_kernel(int32_t* words, const CopyRun* runs, const int32_t* payload) {
  pdl_launch();
  pdl_wait();
  const CopyRun run = runs[blockIdx.x];
  copy_run(words, run, payload, static_cast<int>(threadIdx.x), static_cast<int>(blockDim.x));
}

// A step's usual few runs travel as an argument: reading mapped memory, first the runs and then what they name, takes
// 10 us.
struct SmallUpload {
  static constexpr int kRuns = 48, kWords = 640;
  CopyRun runs[kRuns];
  int32_t payload[kWords];
};

__global__ void apply_small_kernel(int32_t* words, const __grid_constant__ SmallUpload upload) {
  pdl_launch();
  pdl_wait();
  copy_run(words, upload.runs[blockIdx.x], upload.payload, static_cast<int>(threadIdx.x), static_cast<int>(blockDim.x));
}

// One block a sequence; block 0 writes the padding too.
__global__ void prepare_kernel(int32_t* words, SlotLayout layout, BatchArrays out, BatchShape shape) {
  pdl_launch();
  pdl_wait();
  const int lane = static_cast<int>(threadIdx.x), num_lanes = static_cast<int>(blockDim.x);
  prepare_sequence(words, layout, out, static_cast<int>(blockIdx.x), lane, num_lanes);
  if (blockIdx.x == 0) prepare_padding(words, layout, out, shape, lane, num_lanes);
  __syncthreads();  // all have read num_computed
  if (lane == 0) finish_sequence(words, layout, static_cast<int>(blockIdx.x));
}

__global__ void append_kernel(int32_t* words, SlotLayout layout, const HostToken* tokens, int count) {
  pdl_launch();
  pdl_wait();
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= count) return;
  const HostToken token = tokens[i];
  const int32_t known = words[layout.num_tokens + token.slot];
  words[layout.token(token.slot, known)] = token.token;
  words[layout.num_tokens + token.slot] = known + 1;
}

}  // namespace

Status apply_runs(int32_t* words, const CopyRun* runs, int num_runs, const int32_t* payload, StreamRef stream) {
  if (num_runs == 0) return {};
  int64_t num_words = 0;
  for (int i = 0; i < num_runs; ++i) num_words = std::max<int64_t>(num_words, int64_t{runs[i].from} + runs[i].count);
  if (num_runs <= SmallUpload::kRuns && num_words <= SmallUpload::kWords) {
    SmallUpload upload;
    std::copy_n(runs, num_runs, upload.runs);
    std::copy_n(payload, num_words, upload.payload);
    return launch(apply_small_kernel, {dim3(static_cast<unsigned>(num_runs)), dim3(128)}, stream, words, upload);
  }
  return launch(apply_kernel, {dim3(static_cast<unsigned>(num_runs)), dim3(256)}, stream, words, runs, payload);
}

Status prepare_batch(int32_t* words, const SlotLayout& layout, const BatchArrays& out, const BatchShape& shape,
                     StreamRef stream) {
  const unsigned threads = shape.num_tokens > shape.num_seqs ? 512 : 128;
  return launch(prepare_kernel, {dim3(static_cast<unsigned>(shape.num_seqs)), dim3(threads)}, stream, words, layout,
                out, shape);
}

Status append_tokens(int32_t* words, const SlotLayout& layout, const HostToken* tokens, int count, StreamRef stream) {
  if (count == 0) return {};
  return launch(append_kernel, {dim3(static_cast<unsigned>((count + 127) / 128)), dim3(128)}, stream, words, layout,
                tokens, count);
}

}  // namespace vllm::engine
