#pragma once
// The end of the warpgroup kernel: what becomes of four neighbouring rows' sums of one token.
#include "kernels/linear/linear_epilogue.cuh"

namespace vllm::linear_cuda_impl {

struct WgmmaTail {
  Epilogue epilogue;
  bool quads;  // out takes four (of a gated one two) neighbours as one access

  WgmmaTail(const LinearKernelArgs& a) : epilogue(a, 2) {
    const int width = a.back == LinearBack::kNone ? 4 : 2;
    quads = a.out_stride % width == 0 && reinterpret_cast<uintptr_t>(a.out) % (width * (a.out_float ? 4 : 2)) == 0;
  }
};

/// Rows row ... row + 3 of the weight for one thread, of several tokens.
template <typename T>
struct WgmmaQuad {
  const WgmmaTail& tail;
  int row;
  bool whole;  // all four rows exist and out takes them as one access
  float4 bias = {};

  __device__ WgmmaQuad(const WgmmaTail& tail, int row) : tail(tail), row(row) {
    const Epilogue& e = tail.epilogue;
    whole = tail.quads && row + 3 < e.n;
    if (e.bias == nullptr) return;
    if (row < e.n) bias.x = e.bias[row];
    if (row + 1 < e.n) bias.y = e.bias[row + 1];
    if (row + 2 < e.n) bias.z = e.bias[row + 2];
    if (row + 3 < e.n) bias.w = e.bias[row + 3];
  }

  /// What the sums of a token are added to.
  __device__ float4 load(int64_t token) const {
    const Epilogue& e = tail.epilogue;
    if (!e.add_to_out) return {};
    if (whole)
      return __ldcg(reinterpret_cast<const float4*>(static_cast<const float*>(e.out) + token * e.out_stride + row));
    const float2 low = load_before(e, token, row), high = load_before(e, token, row + 2);
    return {low.x, low.y, high.x, high.y};
  }

  /// Store a token's sums.
  __device__ void store(int64_t token, float4 v, float4 old) const {
    const Epilogue& e = tail.epilogue;
    v.x += bias.x, v.y += bias.y, v.z += bias.z, v.w += bias.w;
    if (!whole) {
      Epilogue plain = e;
      plain.bias = nullptr;
      store_pair<T>(plain, token, row, v.x, v.y, {old.x, old.y});
      store_pair<T>(plain, token, row + 2, v.z, v.w, {old.z, old.w});
      return;
    }
    if (e.back != LinearBack::kNone) {
      const int64_t at = token * e.out_stride + row / 2;
      const float a = activate(e.back, v.x) * v.y, b = activate(e.back, v.z) * v.w;
      if (e.out_float) {
        store_values(static_cast<float*>(e.out) + at, a, b, true, true);
      } else {
        store_values(static_cast<T*>(e.out) + at, a, b, true, true);
      }
      return;
    }
    const int64_t at = token * e.out_stride + row;
    v.x += old.x, v.y += old.y, v.z += old.z, v.w += old.w;
    if (e.out_float) {
      *reinterpret_cast<float4*>(static_cast<float*>(e.out) + at) = v;
    } else {
      store_four(static_cast<T*>(e.out) + at, v);
    }
  }

  __device__ static void store_four(T* to, float4 v) {
    Vec<T, 4> four;
    four[0] = from_float<T>(v.x), four[1] = from_float<T>(v.y);
    four[2] = from_float<T>(v.z), four[3] = from_float<T>(v.w);
    *reinterpret_cast<Vec<T, 4>*>(to) = four;
  }
};

}  // namespace vllm::linear_cuda_impl
