// Attention over a bfloat16, int8 or float8 cache by products of bfloat16 pairs: queries and weights are rounded to
// bfloat16 (8-bit keys and values are bfloat16 numbers as they are), sums are float32. Twice the speed of AVX-512 for
// prompts. The tiles and the online softmax are those of Attend; a score sums pairs of dimensions, a value sums pairs
// of keys at even positions. A key that a row does not see has weight zero, which changes no sum: so one query alone
// (from its pages) and many (from a tile of pairs) give the same bits.
#if defined(__x86_64__)
#include "kernels/paged_attention/attend_one_query_bf16.h"
#include "kernels/paged_attention/attend_pairs.h"

namespace vllm {
namespace {

VecAvx512 dot(I pairs, I others, VecAvx512 sum) {
  return {_mm512_dpbf16_ps(sum.v, reinterpret_cast<__m512bh>(pairs), reinterpret_cast<__m512bh>(others))};
}
I bcast(const uint32_t* p) { return _mm512_set1_epi32(static_cast<int>(*p)); }

/// Over pages of T.
template <typename T>
struct AttendBFloat16 : AttendPairs {
  template <int N>
  void score_pairs(int64_t row) const {
    V sum[N][4];
    VLLM_UNROLL for (int r = 0; r < N; ++r) { VLLM_UNROLL for (int c = 0; c < 4; ++c) sum[r][c] = V::zero(); }
    const uint32_t *k = key_pairs, *q = queries + row * steps;
    for (int64_t s = 0; s < steps; ++s, k += kTile, ++q) {
      I key[4];
      VLLM_UNROLL for (int c = 0; c < 4; ++c) key[c] = _mm512_loadu_si512(k + c * kW);
      VLLM_UNROLL for (int r = 0; r < N; ++r) {
        const I x = bcast(q + r * steps);
        VLLM_UNROLL for (int c = 0; c < 4; ++c) sum[r][c] = dot(key[c], x, sum[r][c]);
      }
    }
    VLLM_UNROLL for (int r = 0; r < N; ++r) {
      VLLM_UNROLL for (int c = 0; c < 4; ++c) sum[r][c].store(weights + (row + r) * kTile + c * kW);
    }
  }
  template <int N>
  void score_pairs_from(int64_t row) const {
    for (; row + N <= rows; row += N) score_pairs<N>(row);
    if constexpr (N > 1) score_pairs_from<N / 2>(row);
  }

  template <int N, int C>
  void add_pair_columns(int64_t row, int64_t d) const {
    V sum[N][C];
    VLLM_UNROLL for (int r = 0; r < N; ++r) {
      VLLM_UNROLL for (int c = 0; c < C; ++c) sum[r][c] = V::load(sums + (row + r) * padded + d + c * kW);
    }
    const uint32_t *v = value_pairs + d, *w = weight_pairs(row);
    for (int64_t j = 0; j < kTile / 2; ++j, v += padded, ++w) {
      I value[C];
      VLLM_UNROLL for (int c = 0; c < C; ++c) value[c] = _mm512_loadu_si512(v + c * kW);
      VLLM_UNROLL for (int r = 0; r < N; ++r) {
        const I x = bcast(w + r * kTile);
        VLLM_UNROLL for (int c = 0; c < C; ++c) sum[r][c] = dot(value[c], x, sum[r][c]);
      }
    }
    VLLM_UNROLL for (int r = 0; r < N; ++r) {
      VLLM_UNROLL for (int c = 0; c < C; ++c) sum[r][c].store(sums + (row + r) * padded + d + c * kW);
    }
  }
  template <int N>
  void add_pairs_from(int64_t row) const {
    for (; row + N <= rows; row += N) {
      int64_t d = 0;
      for (; d + 4 * kW <= head_dim; d += 4 * kW) add_pair_columns<N, 4>(row, d);
      for (; d < head_dim; d += kW) add_pair_columns<N, 1>(row, d);
    }
    if constexpr (N > 1) add_pairs_from<N / 2>(row);
  }

  void run_pairs(int64_t start, int64_t first, int64_t end, int64_t last) const {
    load_pairs<T>(start, first, end, last);
    score_pairs_from<4>(0);
    for (int64_t row = 0; row < rows; ++row) {
      const auto [begin, stop] = lanes(row, start);
      soften_to_pairs(row, begin, stop);
    }
    add_pairs_from<4>(0);
  }

  // ---- one query's N heads, straight from the pages

  template <int N>
  void score_one(int64_t start, int64_t begin, int64_t end, int64_t last) const {
    const int64_t block_size = t.kv->block_size;
    for (int64_t lane = begin / kW * kW; lane < end; lane += kW) {
      const int64_t j = start + lane;
      const T* k = key_area<T>(j);
      const T* next = key_area<T>(j + kTile <= last ? j + kTile : j);
      V sum[N];
      VLLM_UNROLL for (int r = 0; r < N; ++r) sum[r] = V::zero();
      const uint32_t* q = queries;
      for (int64_t s = 0; s < steps; ++s, k += 2 * block_size, next += 2 * block_size, ++q) {
        const I key = load_as_pairs(k, k + block_size);
        __builtin_prefetch(next), __builtin_prefetch(next + block_size);
        VLLM_UNROLL for (int r = 0; r < N; ++r) sum[r] = dot(key, bcast(q + r * steps), sum[r]);
      }
      VLLM_UNROLL for (int r = 0; r < N; ++r) sum[r].store(weights + r * kTile + lane);
    }
  }

  template <int N, int C>
  void add_one_columns(int64_t start, int64_t begin, int64_t end, int64_t last, int64_t d) const {
    V sum[N][C];
    VLLM_UNROLL for (int r = 0; r < N; ++r) {
      VLLM_UNROLL for (int c = 0; c < C; ++c) sum[r][c] = V::load(sums + r * padded + d + c * kW);
    }
    for (int64_t lane = begin / 2 * 2; lane < end; lane += 2) {
      const int64_t j = start + lane;
      const T* v = value_area<T>(j) + d;
      const T* next = value_area<T>(j + kTile <= last ? j + kTile : j) + d;
      __builtin_prefetch(next), __builtin_prefetch(next + head_dim);
      I value[C];
      if (lane >= begin && lane + 1 < end) {
        VLLM_UNROLL for (int c = 0; c < C; ++c) value[c] = load_as_pairs(v + c * kW, v + head_dim + c * kW);
      } else {
        VLLM_UNROLL for (int c = 0; c < C; ++c) value[c] = value_pair(v + c * kW, lane >= begin, lane + 1 < end);
      }
      const uint32_t* w = weight_pairs(0) + lane / 2;
      VLLM_UNROLL for (int r = 0; r < N; ++r) {
        const I x = bcast(w + r * kTile);
        VLLM_UNROLL for (int c = 0; c < C; ++c) sum[r][c] = dot(value[c], x, sum[r][c]);
      }
    }
    VLLM_UNROLL for (int r = 0; r < N; ++r) {
      VLLM_UNROLL for (int c = 0; c < C; ++c) sum[r][c].store(sums + r * padded + d + c * kW);
    }
  }

  template <int N>
  bool run_one(int64_t start, int64_t begin, int64_t end, int64_t last) const {
    if (rows > N) return false;
    if constexpr (N > 1) {
      if (run_one<N - 1>(start, begin, end, last)) return true;
    }
    if constexpr (std::is_same_v<T, BFloat16>) {
      const OneQueryBFloat16<AttendBFloat16, N> one{*this};
      one.score(start, begin, end, last);
      for (int r = 0; r < N; ++r) soften_to_pairs(r, begin, end);
      one.add_values(start, begin, end, last);
    } else {
      score_one<N>(start, begin, end, last);
      for (int r = 0; r < N; ++r) soften_to_pairs(r, begin, end);
      for (int64_t d = 0; d < head_dim; d += 2 * kW) add_one_columns<N, 2>(start, begin, end, last, d);
    }
    return true;
  }

  void run() const {
    if (t.part != AttentionTask::Part::kMerge) round_queries();
    run_tiles([this](int64_t start, int64_t first, int64_t end, int64_t last) {
      if constexpr (std::is_same_v<T, int8_t>) load_scales(start, first, end);
      if (t.num_queries == 1 && run_one<8>(start, first - start, end - start, last)) return;
      run_pairs(start, first, end, last);
    });
  }
};

}  // namespace

void attend_avx512_bf16(const AttentionTask& task) {
  if (!can_take_pairs(task, 32)) return attend_avx512(task);
  switch (task.kv->dtype) {
    case DType::kUInt8: return AttendBFloat16<Float8>{{{task}}}.run();
    case kKvInt8: return AttendBFloat16<int8_t>{{{task}}}.run();
    default: return AttendBFloat16<BFloat16>{{{task}}}.run();
  }
}

}  // namespace vllm
#endif
