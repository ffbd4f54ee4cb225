#pragma once
// The passes over a vector type V: F and U (floats, 32-bit words) with kLanes each. Only for the file of each ISA.
//
// A word w gives the Gumbel number g = -log(-log(1 - u)), u = (w + 0.5) / 2^32, and -log(1 - u) >= u: so
// logit + g >= best needs log2(u) <= (logit - best) log2(e). The exponent and mantissa of float(w), read as a fixed
// point number, are log2(w) less at most 0.09: a test without a logarithm that lets few through in vain.
#include "engine/sample/philox.h"
#include "engine/sample/token_scan.h"

namespace vllm::engine {

template <class V>
struct ScanPasses {
  using F = typename V::F;
  using U = typename V::U;
  static constexpr int32_t kLanes = V::kLanes;

  static float largest(const float* logits, int64_t n) {
    F top[4] = {V::lowest(), V::lowest(), V::lowest(), V::lowest()};
    int64_t i = 0;
    for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
      top[0] = V::max(V::load(logits + i), top[0]), top[1] = V::max(V::load(logits + i + kLanes), top[1]);
      top[2] = V::max(V::load(logits + i + 2 * kLanes), top[2]);
      top[3] = V::max(V::load(logits + i + 3 * kLanes), top[3]);
    }
    float out = V::reduce_max(V::max(V::max(top[0], top[1]), V::max(top[2], top[3])));
    for (; i < n; ++i) out = logits[i] > out ? logits[i] : out;
    return out;
  }

  static void multiply(U a, uint32_t b, U& high, U& low) {
    const U factor = V::set(b), even = V::multiply_even(a, factor), odd = V::multiply_even(V::high_half(a), factor);
    low = V::merge(even, V::low_to_high(odd)), high = V::merge(V::high_half(even), odd);
  }

  // Words of the 4 kLanes tokens from `token` on: lane i of words[j] belongs to token + 4 i + j.
  static void random_words(const TokenScan& s, int32_t token, U (&words)[4]) {
    U c0 = V::add(V::set(static_cast<uint32_t>(token / 4)), V::lanes()), c1 = V::set(static_cast<uint32_t>(s.position)),
      c2 = V::set(static_cast<uint32_t>(RandomStream::kSample)), c3 = V::set(static_cast<uint32_t>(s.position >> 32));
    uint32_t k0 = static_cast<uint32_t>(s.seed), k1 = static_cast<uint32_t>(s.seed >> 32);
    for (int round = 0; round < 10; ++round) {
      U high0, low0, high1, low1;
      multiply(c0, 0xD2511F53u, high0, low0), multiply(c2, 0xCD9E8D57u, high1, low1);
      c0 = V::exclusive_or(V::exclusive_or(high1, c1), V::set(k0)), c1 = low1;
      c2 = V::exclusive_or(V::exclusive_or(high0, c3), V::set(k1)), c3 = low0;
      k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    words[0] = c0, words[1] = c1, words[2] = c2, words[3] = c3;
  }

  static int32_t contenders(const TokenScan& s, int32_t* ids) {
    constexpr float kLog2e = 1.44269504f;
    int32_t num_ids = 0;
    // (logit / temperature - best) log2(e), with room for rounding: who can win is near best.
    const float best = s.best_score * kLog2e, room = 0.01f + 1e-6f * (best < 0 ? -best : best);
    const float slope = s.inverse_temperature * kLog2e, bound = room - best;
    for (int32_t done = 0; done < s.count; done += 4 * kLanes) {
      U words[4];
      random_words(s, s.first + done, words);
      alignas(64) uint32_t stored[4][kLanes];
      for (int j = 0; j < 4; ++j) V::store(stored[j], words[j]);
      alignas(64) uint32_t in_order[4 * kLanes];
      for (int i = 0; i < kLanes; ++i) {
        for (int j = 0; j < 4; ++j) in_order[4 * i + j] = stored[j][i];
      }
      const int32_t left = s.count - done < 4 * kLanes ? s.count - done : 4 * kLanes;
      for (int32_t at = 0; at < left; at += kLanes) {
        alignas(64) float logits[kLanes];
        const float* from = s.logits + s.first + done + at;
        const bool whole = at + kLanes <= left;
        for (int32_t i = 0; !whole && i < kLanes; ++i) logits[i] = at + i < left ? from[i] : -__builtin_inff();
        const F needed = V::multiply_add(V::load(whole ? from : logits), slope, bound);
        for (uint32_t mask = V::log2_at_most(V::load_words(in_order + at), needed); mask != 0; mask &= mask - 1)
          ids[num_ids++] = s.first + done + at + __builtin_ctz(mask);
      }
    }
    return num_ids;
  }

  static constexpr TokenScanKernels kKernels = {largest, contenders};
};

}  // namespace vllm::engine
