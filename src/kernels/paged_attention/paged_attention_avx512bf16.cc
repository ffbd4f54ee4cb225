// Attention over a bfloat16, int8 or float8 cache by products of bfloat16 pairs: queries and weights are rounded to
// bfloat16 (8-bit keys and values are bfloat16 numbers as they are), sums are float32. Twice the speed of AVX-512 for
// prompts. The tiles and the online softmax are those of Attend; a score sums pairs of dimensions, a value sums pairs
// of keys at even positions. A key that a row does not see has weight zero, which changes no sum: so one query alone
// (from its pages) and many (from a tile of pairs) give the same bits.
#if defined(__x86_64__)
#include "kernels/paged_attention/attend_one_query_bf16.h"
#include "kernels/paged_attention/paged_attention_impl.h"
#include "kernels/simd/vec_avx512.h"

namespace vllm {
namespace {

using I = __m512i;

// 16 numbers as bfloat16, in the low halves of the lanes.
I load_half_words(const BFloat16* p) {
  return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
template <typename T>
I load_half_words(const T* p) {
  return _mm512_srli_epi32(_mm512_castps_si512(VecAvx512::load(p).v), 16);
}
// Of 16 lanes: first in the low, second in the high half.
I pairs_of(I first, I second) { return _mm512_or_si512(first, _mm512_slli_epi32(second, 16)); }
I round_to_pairs(const float* x) {
  const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + 16), _mm512_loadu_ps(x));
  return reinterpret_cast<const I&>(both);
}
VecAvx512 dot(I pairs, I others, VecAvx512 sum) {
  return {_mm512_dpbf16_ps(sum.v, reinterpret_cast<__m512bh>(pairs), reinterpret_cast<__m512bh>(others))};
}
I bcast(const uint32_t* p) { return _mm512_set1_epi32(static_cast<int>(*p)); }

bool can_run(const AttentionTask& t) {
  return (t.kv->dtype == DType::kBFloat16 || t.kv->dtype == DType::kUInt8 || t.kv->dtype == kKvInt8) &&
         t.kv->block_size % 16 == 0 && t.kv->head_dim % 32 == 0 && t.num_queries * t.group <= kAttentionMaxRows;
}

/// Over pages of T.
template <typename T>
struct AttendBFloat16 : Attend<VecAvx512> {
  using V = VecAvx512;
  const int64_t steps = head_dim / 2;
  uint32_t* const key_pairs = reinterpret_cast<uint32_t*>(keys);      // [steps][kTile]
  uint32_t* const queries = key_pairs + padded / 2 * kTile;           // [rows][steps]
  uint32_t* const value_pairs = reinterpret_cast<uint32_t*>(values);  // [kTile / 2][padded]
  // The weights of a row, in place: kTile floats become kTile / 2 pairs.
  uint32_t* weight_pairs(int64_t row) const { return reinterpret_cast<uint32_t*>(weights + row * kTile); }

  void round_queries() const {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t d = 0; d < head_dim; d += 2 * kW)
        _mm512_storeu_si512(queries + r * steps + d / 2, round_to_pairs(query(r) + d));
    }
  }
  void round_weights(int64_t row) const {
    const float* w = weights + row * kTile;
    const I first = round_to_pairs(w), second = round_to_pairs(w + 32);
    _mm512_storeu_si512(weight_pairs(row), first), _mm512_storeu_si512(weight_pairs(row) + 16, second);
  }

  // ---- many rows against a tile of pairs

  /// Keys and values [first, end) of the tile; the others become zero. Asks for the next tile's.
  void load_pairs(int64_t start, int64_t first, int64_t end, int64_t last) const {
    const int64_t block_size = t.kv->block_size;
    for (int64_t lane = 0; lane < kTile; lane += kW) {
      const int64_t j = start + lane, below = first - j, above = end - j;
      const uint32_t from = below <= 0 ? 0xffffu : below >= kW ? 0 : 0xffffu << below & 0xffffu;
      const uint32_t to = above >= kW ? 0xffffu : above <= 0 ? 0 : 0xffffu >> (kW - above);
      const auto mask = static_cast<__mmask16>(from & to);
      if (mask == 0) {
        for (int64_t s = 0; s < steps; ++s) _mm512_storeu_si512(key_pairs + s * kTile + lane, _mm512_setzero_si512());
        continue;
      }
      const T* k = key_area<T>(j);
      const T* next = key_area<T>(j + kTile <= last ? j + kTile : j);
      for (int64_t s = 0; s < steps; ++s, k += 2 * block_size, next += 2 * block_size) {
        __builtin_prefetch(next), __builtin_prefetch(next + block_size);
        const I pairs = pairs_of(load_half_words(k), load_half_words(k + block_size));
        _mm512_storeu_si512(key_pairs + s * kTile + lane, _mm512_maskz_mov_epi32(mask, pairs));
      }
    }
    for (int64_t lane = 0; lane < kTile; lane += 2) {
      const int64_t j = start + lane;
      const bool has_first = j >= first && j < end, has_second = j + 1 >= first && j + 1 < end;
      uint32_t* to = value_pairs + lane / 2 * padded;
      if (!has_first && !has_second) {
        for (int64_t d = 0; d < padded; d += kW) _mm512_storeu_si512(to + d, _mm512_setzero_si512());
        continue;
      }
      const T* v = value_area<T>(j);
      const T* next = value_area<T>(j + kTile <= last ? j + kTile : j);
      for (int64_t d = 0; d < head_dim; d += kW) {
        if (d % (2 * kW) == 0) __builtin_prefetch(next + d), __builtin_prefetch(next + head_dim + d);
        _mm512_storeu_si512(to + d, value_pair(v + d, has_first, has_second));
      }
    }
  }
  /// 16 dimensions of two neighbouring positions.
  I value_pair(const T* v, bool has_first, bool has_second) const {
    const I zero = _mm512_setzero_si512();
    return pairs_of(has_first ? load_half_words(v) : zero, has_second ? load_half_words(v + head_dim) : zero);
  }

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
      VLLM_UNROLL for (int c = 0; c < 4; ++c) finish_score(sum[r][c], c * kW)
          .store(weights + (row + r) * kTile + c * kW);
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
    load_pairs(start, first, end, last);
    score_pairs_from<4>(0);
    for (int64_t row = 0; row < rows; ++row) {
      const auto [begin, stop] = lanes(row, start);
      if (begin < stop) {
        soften(row, begin, stop);
        round_weights(row);
      } else {
        for (int64_t i = 0; i < kTile / 2; ++i) weight_pairs(row)[i] = 0;
      }
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
        const I key = pairs_of(load_half_words(k), load_half_words(k + block_size));
        __builtin_prefetch(next), __builtin_prefetch(next + block_size);
        VLLM_UNROLL for (int r = 0; r < N; ++r) sum[r] = dot(key, bcast(q + r * steps), sum[r]);
      }
      VLLM_UNROLL for (int r = 0; r < N; ++r) finish_score(sum[r], lane).store(weights + r * kTile + lane);
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
        VLLM_UNROLL for (int c = 0; c < C; ++c) {
          value[c] = pairs_of(load_half_words(v + c * kW), load_half_words(v + head_dim + c * kW));
        }
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
      for (int r = 0; r < N; ++r) soften(r, begin, end), round_weights(r);
      one.add_values(start, begin, end, last);
    } else {
      score_one<N>(start, begin, end, last);
      for (int r = 0; r < N; ++r) soften(r, begin, end), round_weights(r);
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
  if (!can_run(task)) return attend_avx512(task);
  switch (task.kv->dtype) {
    case DType::kUInt8: return AttendBFloat16<Float8>{{task}}.run();
    case kKvInt8: return AttendBFloat16<int8_t>{{task}}.run();
    default: return AttendBFloat16<BFloat16>{{task}}.run();
  }
}

}  // namespace vllm
#endif
