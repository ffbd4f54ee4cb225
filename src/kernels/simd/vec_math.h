#pragma once
// exp and tanh over any vector type of this folder, written once.

namespace vllm {

/// e^x to about 2 ulp; exactly 0 below -87.3 (so a masked score of -inf weighs nothing), NaN stays NaN.
/// x = n ln 2 + r with |r| <= ln 2 / 2 (Cody & Waite 1980), e^r by a polynomial of degree 6.
template <class V>
inline __attribute__((always_inline)) V vec_exp(V x) {
  const V low = V::set1(-87.3f);
  V bounded = min(V::set1(88.37f), max(low, x));
  V n = round(bounded * V::set1(1.44269504088896341f));
  V r = fma(n, V::set1(-0.693359375f), bounded);
  r = fma(n, V::set1(2.12194440e-4f), r);
  V p = V::set1(1.9875691500e-4f);
  p = fma(p, r, V::set1(1.3981999507e-3f));
  p = fma(p, r, V::set1(8.3334519073e-3f));
  p = fma(p, r, V::set1(4.1665795894e-2f));
  p = fma(p, r, V::set1(1.6666665459e-1f));
  p = fma(p, r, V::set1(5.0000001201e-1f));
  p = fma(p, r * r, r + V::set1(1.0f));
  return zero_below(x, low, p * exp2_whole(n));
}

/// tanh(x) = 1 - 2 / (e^2x + 1): absolute error about 2e-7, which is what gelu and soft caps need.
template <class V>
inline __attribute__((always_inline)) V vec_tanh(V x) {
  V e = vec_exp(x + x);
  return V::set1(1.0f) - V::set1(2.0f) / (e + V::set1(1.0f));
}

}  // namespace vllm
