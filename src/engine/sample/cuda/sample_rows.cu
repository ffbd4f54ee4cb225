// One token per row: a cluster of blocks reads the row once into shared memory and does there everything that
// sampling_state.cc and sample_token.cc do on the host, with the same roundings.
#include <cuda_pipeline.h>

#include "engine/sample/cuda/row_edits.cuh"
#include "engine/sample/cuda/row_filter.cuh"
#include "engine/sample/cuda/row_logprobs.cuh"
#include "engine/sample/cuda/row_select.cuh"
#include "engine/sample/philox.h"

namespace vllm::engine {
namespace {

// Ids per block; a multiple of 4, so that a block of random words has one owner.
__host__ __device__ constexpr int part_size(int vocab) { return (vocab + 4 * kRowBlocks - 1) / (4 * kRowBlocks) * 4; }
constexpr size_t kSharedBytes = (sizeof(RowShared) + 15) / 16 * 16;
constexpr size_t smem_bytes(int vocab) {
  auto size = static_cast<size_t>(part_size(vocab));
  return kSharedBytes + size * sizeof(float) + (size + 31) / 32 * sizeof(uint32_t);
}
static_assert(smem_bytes(kMaxVocab) <= 227 * 1024);

// Ends with a barrier of the block.
__device__ void load_part(float* x, const float* raw, int size) {
  int done = 0;
  if (reinterpret_cast<uintptr_t>(raw) % 16 == 0) {
    done = size / 4 * 4;
    for (int i = 4 * static_cast<int>(threadIdx.x); i < done; i += 4 * kThreads) {
      __pipeline_memcpy_async(&x[i], &raw[i], 16);
    }
  }
  for (int i = done + static_cast<int>(threadIdx.x); i < size; i += kThreads) {
    __pipeline_memcpy_async(&x[i], &raw[i], 4);
  }
  __pipeline_commit();
  if (int i = size + static_cast<int>(threadIdx.x); i < (size + 3) / 4 * 4) x[i] = minus_infinity();
  __pipeline_wait_prior(0);
  __syncthreads();
}

// The best of the cluster; `mine` is this thread's, `slot` a member of shared that nothing else uses.
__device__ Best cluster_best(const RowPart& part, Best mine, Best& slot) {
  mine = block_reduce(mine, part.shared.warp_best, better);
  if (threadIdx.x == 0) slot = mine;
  part.cluster_sync();
  Best best = part.of_block(slot, 0);
  for (int r = 1; r < kRowBlocks; ++r) best = better(best, part.of_block(slot, r));
  return best;
}

// The argmax of the row as it is now; token 0 if nothing is above minus infinity. `mine`: the best of this thread's.
__device__ Best find_argmax(const RowPart& part, float& mine) {
  Best best = no_best();
  for_own(part, [&](float logit, int32_t id) {
    if (logit > best.value) best = {logit, id};  // false for NaN
  });
  mine = best.value;
  best = cluster_best(part, best, part.shared.argmax);
  return best.value > minus_infinity() ? best : Best{minus_infinity(), 0};
}

// Gumbel-max over what is left. `greedy` is always left, so its score is where everybody starts from.
__device__ int32_t draw(const RowPart& part, const Scaled& row, Best greedy, int64_t position) {
  auto words_of = [&](int32_t id) {
    return random_words(part.params.seed, position, static_cast<uint32_t>(id / 4), RandomStream::kSample);
  };
  Best best{__fadd_rn(row.largest, gumbel(words_of(greedy.id)[static_cast<size_t>(greedy.id % 4)])), greedy.id};
  // A variate of at least `need` has a word of at most 2^32 (1 - exp(-exp(-need))) < 2^32 exp(-need). The slack is for
  // the roundings of this estimate and of the score; who passes is compared exactly.
  auto promising = [&](float scaled, uint32_t word) {
    float slack = 1e-3f + 1e-6f * fabsf(best.value);
    return !(static_cast<float>(word) * 0x1p-32f > __expf(scaled - best.value + slack));  // true for infinities
  };
  auto consider = [&](float scaled, int32_t id, uint32_t word) {
    if (promising(scaled, word) && row.stays(scaled, id)) best = better(best, {__fadd_rn(scaled, gumbel(word)), id});
  };
  auto hopeful = [&](float scaled) { return __fadd_rn(scaled, kMaxGumbel) >= best.value; };
  if (row.listed) {
    for_candidates(part, row, [&](float scaled, int32_t id) {
      if (hopeful(scaled)) consider(scaled, id, words_of(id)[static_cast<size_t>(id % 4)]);
    });
  } else {
    for (int g = threadIdx.x; 4 * g < part.size; g += kThreads) {
      const float4 logits = reinterpret_cast<const float4*>(part.x)[g];
      const float scaled[4] = {row.at(logits.x), row.at(logits.y), row.at(logits.z), row.at(logits.w)};
      bool any = false;
      for (int j = 0; j < 4; ++j) any |= row.candidate(scaled[j]) && hopeful(scaled[j]);
      if (!any) continue;
      const int32_t first = part.begin + 4 * g;
      const std::array<uint32_t, 4> words = words_of(first);
      for (int j = 0; j < 4; ++j) {
        if (row.candidate(scaled[j])) consider(scaled[j], first + j, words[static_cast<size_t>(j)]);
      }
    }
  }
  return cluster_best(part, best, part.shared.winner).id;
}

// Gumbel-max over the first `count` of shared.selected.
__device__ int32_t draw_selected(const RowPart& part, int count, int64_t position) {
  Best best = no_best();
  for (int i = threadIdx.x; i < count; i += kThreads) {
    const uint64_t entry = part.shared.selected[i];
    const auto id = static_cast<int32_t>(static_cast<uint32_t>(entry));
    const auto words = random_words(part.params.seed, position, static_cast<uint32_t>(id / 4), RandomStream::kSample);
    best = better(best, {__fadd_rn(value_of(entry), gumbel(words[static_cast<size_t>(id % 4)])), id});
  }
  return block_reduce(best, part.shared.warp_best, better).id;
}

__device__ int32_t choose_token(const RowPart& part) {
  const SlotParams& p = part.params;
  float mine;
  const Best greedy = find_argmax(part, mine);
  if (p.inverse_temperature == 0 || isinf(greedy.value)) return greedy.id;
  Scaled row{.inverse = p.inverse_temperature};
  row.largest = row.at(greedy.value);
  row.lowest = isinf(p.log_min_p) ? minus_infinity() : __fadd_rn(row.largest, p.log_min_p);
  if (row.largest == minus_infinity()) return greedy.id;
  if (!isinf(row.largest)) {  // where the temperature made it infinite, the first that is wins whatever else stays
    if (p.top_k > 0 || p.top_p < 1) {
      const int stay = select_few(part, row, row.at(mine));
      if (stay > 0) return draw_selected(part, stay, static_cast<int64_t>(part.num_tokens) - part.num_prompt);
    }
    int turn = 0;
    if (p.top_k > 0) cut_row<false>(part, row, turn);
    if (p.top_p < 1) cut_row<true>(part, row, turn);
  }
  return draw(part, row, greedy, static_cast<int64_t>(part.num_tokens) - part.num_prompt);
}

__global__ void __cluster_dims__(kRowBlocks, 1, 1) __launch_bounds__(kThreads, 2)
    sample_rows(const __grid_constant__ SampleArgs args) {
  extern __shared__ __align__(16) unsigned char smem[];
  pdl_launch();
  pdl_wait();
  const int row = static_cast<int>(blockIdx.y), rank = static_cast<int>(blockIdx.x);
  const int32_t slot = args.slots[row];
  const int size = part_size(args.vocab), begin = rank * size;
  float* x = reinterpret_cast<float*>(smem + kSharedBytes);
  const float* raw = args.logits + row * args.stride + begin;
  load_part(x, raw, max(0, min(size, args.vocab - begin)));  // before the slot has arrived
  SampledRow& out = args.out[row];
  if (slot < 0 || slot >= args.num_slots) {
    if (rank == 0 && threadIdx.x == 0) out = {};
    return;
  }
  const RowPart part{.args = args,
                     .params = args.params[slot],
                     .shared = *reinterpret_cast<RowShared*>(smem),
                     .x = x,
                     .bits = reinterpret_cast<uint32_t*>(x + size),
                     .raw = raw,
                     .slot = slot,
                     .row = row,
                     .begin = begin,
                     .size = max(0, min(size, args.vocab - begin)),
                     .num_tokens = args.history.num_tokens[slot],
                     .num_prompt = args.history.num_prompt[slot]};
  const bool logprobs = part.params.num_logprobs >= 0;
  if (logprobs) read_raw(part);
  __syncthreads();
  edit_row(part, args.mask_rows ? args.mask_rows[row] : -1);
  const int32_t token = choose_token(part);  // at least one barrier of the cluster: all have read the history
  if (rank == 0 && threadIdx.x == 0) {
    out = {.token = token};
    if (part.num_tokens < args.history.stride) {
      args.history.tokens[slot * args.history.stride + part.num_tokens] = token;
      args.history.num_tokens[slot] = part.num_tokens + 1;
    }
    args.num_counted[slot] = part.num_tokens;
  }
  if (logprobs) write_logprobs(part, token, out);
  part.cluster_sync();  // nobody leaves while its shared memory may be read
}

}  // namespace

Status init_sample_kernels(int vocab_size) {
  if (vocab_size > kMaxVocab) return {};
  return allow_smem(sample_rows, smem_bytes(vocab_size));
}

Status launch_sample(const SampleArgs& args, int num_rows, StreamRef stream) {
  LaunchShape shape{.grid = dim3(kRowBlocks, static_cast<unsigned>(num_rows)),
                    .block = dim3(kThreads),
                    .smem_bytes = smem_bytes(args.vocab)};
  return launch(sample_rows, shape, stream, args);
}

}  // namespace vllm::engine
