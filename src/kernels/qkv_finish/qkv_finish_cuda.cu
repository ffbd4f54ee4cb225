#include "kernels/qkv_finish/qkv_finish_cuda.h"

#include "kernels/kv_layout/kv_types.cuh"
#include "tensor/cuda/launch.cuh"
#include "tensor/cuda/types.cuh"

namespace vllm {
namespace {

constexpr int kThreads = 128;
constexpr int kMaxHeadDim = 256;

/// What the kernel needs of QkvFinishParams. A head is cut into `pairs` pairs of W neighbouring values: first the
/// rotary ones, (i, i + half), then those behind the rotary part, whose angle is 0.
template <typename T, typename KvT>
struct Args {
  T* qkv;
  int64_t row_stride;
  int num_heads, num_kv_heads, head_dim;
  int half;    // rotary_dim / 2
  int lanes;   // threads of a head: a power of two, at most 32
  int groups;  // num_tokens * (num_heads + 2 * num_kv_heads)
  const float *q_norm, *k_norm;
  float eps;
  const float *cos, *sin;
  int64_t cos_stride, sin_stride;
  KvT *k, *v;           // the layer's areas in page 0
  int64_t page_stride;  // elements
  int block_size;
  const int64_t* slot_mapping;
};

template <typename T, int W>
__device__ __forceinline__ void load(float (&out)[W], const T* in) {
  constexpr int kStep = W * sizeof(T) > 16 ? kVecWidth<T> : W;
#pragma unroll
  for (int i = 0; i < W; i += kStep) {
    Vec<T, kStep> v = *reinterpret_cast<const Vec<T, kStep>*>(in + i);
#pragma unroll
    for (int j = 0; j < kStep; ++j) out[i + j] = to_float(v[j]);
  }
}
template <typename T, int W>
__device__ __forceinline__ void store(T* out, const float (&in)[W]) {
  constexpr int kStep = W * sizeof(T) > 16 ? kVecWidth<T> : W;
#pragma unroll
  for (int i = 0; i < W; i += kStep) {
    Vec<T, kStep> v;
#pragma unroll
    for (int j = 0; j < kStep; ++j) v[j] = from_float<T>(in[i + j]);
    *reinterpret_cast<Vec<T, kStep>*>(out + i) = v;
  }
}

/// `lanes` threads a head, each with up to kSlots pairs of W values: one pass over registers, no shared memory.
template <typename T, typename KvT, int W, int kSlots>
__global__ void qkv_finish(Args<T, KvT> a) {
  pdl_launch();
  int lane = static_cast<int>(threadIdx.x) % a.lanes;
  int group = static_cast<int>(blockIdx.x) * (kThreads / a.lanes) + static_cast<int>(threadIdx.x) / a.lanes;
  bool live = group < a.groups;  // all threads take part in the shuffles
  if (!live) group = 0;
  int heads = a.num_heads + 2 * a.num_kv_heads;
  int token = group / heads, head = group % heads;
  bool is_q = head < a.num_heads, is_v = head >= a.num_heads + a.num_kv_heads;
  const float* norm = is_q ? a.q_norm : is_v ? nullptr : a.k_norm;
  int pairs = a.head_dim / (2 * W), tail = (a.head_dim - 2 * a.half) / 2;

  int low[kSlots], high[kSlots];  // offsets in the head of the two parts of a pair
  float x[kSlots][W], y[kSlots][W], norm_x[kSlots][W], norm_y[kSlots][W];
  bool used[kSlots];
#pragma unroll
  for (int s = 0; s < kSlots; ++s) {
    int i = (s * a.lanes + lane) * W;
    used[s] = live && i < pairs * W;
    if (i >= pairs * W) i = 0;
    low[s] = i < a.half ? i : a.half + i;
    high[s] = i < a.half ? i + a.half : a.half + i + tail;
    if (norm != nullptr) load(norm_x[s], norm + low[s]), load(norm_y[s], norm + high[s]);
  }
  pdl_wait();
  T* row = a.qkv + token * a.row_stride + int64_t{head} * a.head_dim;
  float squares = 0;
#pragma unroll
  for (int s = 0; s < kSlots; ++s) {
    load(x[s], row + low[s]), load(y[s], row + high[s]);
#pragma unroll
    for (int j = 0; j < W; ++j) squares += used[s] ? x[s][j] * x[s][j] + y[s][j] * y[s][j] : 0.f;
  }
  if (a.q_norm != nullptr || a.k_norm != nullptr) {  // equal for the whole warp, which shuffles together
    for (int distance = a.lanes / 2; distance > 0; distance /= 2) {
      squares += __shfl_xor_sync(0xffffffffu, squares, distance);
    }
  }
  if (norm != nullptr) {
    float scale = 1.f / sqrtf(squares / static_cast<float>(a.head_dim) + a.eps);
#pragma unroll
    for (int s = 0; s < kSlots; ++s) {
#pragma unroll
      for (int j = 0; j < W; ++j) x[s][j] *= scale * norm_x[s][j], y[s][j] *= scale * norm_y[s][j];
    }
  }
  int64_t offset = -1;  // of this token and head in an area of page 0, or nowhere
  if (!is_q) {
    int64_t slot = a.slot_mapping[token];
    if (slot >= a.block_size) {
      unsigned page = static_cast<unsigned>(slot) / static_cast<unsigned>(a.block_size);  // slots fit in 32 bits
      unsigned row_in_page = static_cast<unsigned>(slot) % static_cast<unsigned>(a.block_size);
      int kv_head = head - a.num_heads - (is_v ? a.num_kv_heads : 0);
      offset = page * a.page_stride + (int64_t{kv_head} * a.block_size + row_in_page) * a.head_dim;
    }
  }
#pragma unroll
  for (int s = 0; s < kSlots; ++s) {
    if (!used[s]) continue;
    if (!is_v && low[s] < a.half) {
      float c[W], sn[W];
      load(c, a.cos + token * a.cos_stride + low[s]), load(sn, a.sin + token * a.sin_stride + low[s]);
#pragma unroll
      for (int j = 0; j < W; ++j) {
        float turned = x[s][j] * c[j] - y[s][j] * sn[j];
        y[s][j] = y[s][j] * c[j] + x[s][j] * sn[j];
        x[s][j] = turned;
      }
    }
    if (is_q) {
      store(row + low[s], x[s]), store(row + high[s], y[s]);
    } else if (offset >= 0) {
      KvT* out = (is_v ? a.v : a.k) + offset;
      store(out + low[s], x[s]), store(out + high[s], y[s]);
    }
  }
}

template <typename T, typename KvT>
Status run(const QkvFinishParams& p, StreamRef stream) {
  constexpr int kWide = kVecWidth<T>;
  const KvLayerView& kv = p.kv;
  Args<T, KvT> a{};
  a.qkv = static_cast<T*>(p.qkv.data), a.row_stride = p.qkv.stride[0];
  a.num_heads = p.num_heads, a.num_kv_heads = p.num_kv_heads, a.head_dim = p.head_dim;
  a.half = static_cast<int>(p.cos.size(1));
  a.groups = static_cast<int>(p.qkv.size(0)) * (p.num_heads + 2 * p.num_kv_heads);
  a.q_norm = p.q_norm, a.k_norm = p.k_norm, a.eps = p.norm_eps;
  a.cos = p.cos.data, a.sin = p.sin.data, a.cos_stride = p.cos.stride[0], a.sin_stride = p.sin.stride[0];
  a.k = reinterpret_cast<KvT*>(kv.base + kv.k_offset), a.v = reinterpret_cast<KvT*>(kv.base + kv.v_offset);
  a.page_stride = kv.page_bytes / static_cast<int64_t>(sizeof(KvT));
  a.block_size = kv.block_size, a.slot_mapping = p.slot_mapping;
  auto aligned = [](const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; };
  bool wide = p.head_dim % (2 * kWide) == 0 && a.half % kWide == 0 && a.row_stride % kWide == 0 &&
              (a.page_stride * static_cast<int64_t>(sizeof(KvT))) % 16 == 0 && a.cos_stride % 4 == 0 &&
              a.sin_stride % 4 == 0 && aligned(a.qkv) && aligned(a.k) && aligned(a.v) && aligned(a.cos) &&
              aligned(a.sin) && aligned(a.q_norm) && aligned(a.k_norm);
  int width = wide ? kWide : 1, slots = wide ? 1 : kMaxHeadDim / 2 / 32, pairs = p.head_dim / (2 * width);
  a.lanes = 1;
  while (a.lanes * slots < pairs) a.lanes *= 2;
  int per_block = kThreads / a.lanes;
  LaunchShape shape{dim3(static_cast<unsigned>((a.groups + per_block - 1) / per_block)), dim3(kThreads)};
  if (wide) return launch(qkv_finish<T, KvT, kWide, 1>, shape, stream, a);
  return launch(qkv_finish<T, KvT, 1, kMaxHeadDim / 2 / 32>, shape, stream, a);
}

Status check(const QkvFinishParams& p) {
  int64_t tokens = p.qkv.size(0), width = int64_t{p.num_heads + 2 * p.num_kv_heads} * p.head_dim;
  if (p.head_dim <= 0 || p.head_dim > kMaxHeadDim || p.head_dim % 2 != 0) {
    return error(ErrorCode::kUnimplemented, "qkv_finish: head_dim {} (even numbers up to {})", p.head_dim, kMaxHeadDim);
  }
  if (p.qkv.size(1) != width) return invalid_argument("qkv_finish: rows of {}, not of {}", p.qkv.size(1), width);
  if (p.cos.shape != p.sin.shape || p.cos.size(0) < tokens || p.cos.size(1) * 2 > p.head_dim) {
    return invalid_argument("qkv_finish: {} x {} cosines for {} tokens", p.cos.size(0), p.cos.size(1), tokens);
  }
  if (p.kv.num_kv_heads != p.num_kv_heads || p.kv.head_dim != p.head_dim) {
    return invalid_argument("qkv_finish: the cache has {} heads of {}", p.kv.num_kv_heads, p.kv.head_dim);
  }
  if (p.kv.num_blocks * p.kv.block_size > INT32_MAX || tokens * (p.num_heads + 2 * p.num_kv_heads) > INT32_MAX) {
    return error(ErrorCode::kUnimplemented, "qkv_finish: more than 2^31 slots or heads");
  }
  if (p.kv.page_bytes % p.kv.element_bytes() != 0)
    return invalid_argument("qkv_finish: page of {} bytes", p.kv.page_bytes);
  return {};
}

}  // namespace

Status qkv_finish_cuda(const QkvFinishParams& p, StreamRef stream) {
  RETURN_IF_ERROR(check(p));
  if (p.qkv.size(0) == 0) return {};
  return dispatch_float(p.qkv.dtype, [&](auto t) {
    return dispatch_kv(p.kv.dtype, [&](auto kv) { return run<decltype(t), decltype(kv)>(p, stream); });
  });
}

}  // namespace vllm
