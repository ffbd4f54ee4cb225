#include "kernels/decode_attention/decode_attention_cuda.h"

#include "kernels/decode_attention/decode_attention_ring.cuh"
#include "tensor/cuda/launch_cluster.cuh"

namespace vllm {
namespace {

bool aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

Status check(const DecodeAttentionParams& p) {
  const int64_t seqs = p.block_table.size(0), q = int64_t{p.num_heads} * p.head_dim;
  const KvLayerView& kv = p.kv;
  const DecodeAttentionShape shape{p.num_heads,       p.num_kv_heads, p.head_dim, kv.block_size,
                                   2 * p.cos.size(1), p.qkv.dtype,    kv.dtype};
  if (!decode_attention_fits(shape)) {
    return error(ErrorCode::kUnimplemented, "decode_attention: {} heads over {} of {}, pages of {} tokens, {} over {}",
                 p.num_heads, p.num_kv_heads, p.head_dim, kv.block_size, info(p.qkv.dtype).name, info(kv.dtype).name);
  }
  if (p.qkv.size(1) != q + 2 * int64_t{p.num_kv_heads} * p.head_dim || p.out.size(1) != q ||
      p.out.dtype != p.qkv.dtype || p.qkv.size(0) < seqs || p.out.size(0) < seqs) {
    return invalid_argument("decode_attention: qkv [{}, {}] and out [{}, {}] for {} sequences", p.qkv.size(0),
                            p.qkv.size(1), p.out.size(0), p.out.size(1), seqs);
  }
  if (p.cos.shape != p.sin.shape || p.cos.size(0) < seqs) {
    return invalid_argument("decode_attention: {} rows of cosines for {} sequences", p.cos.size(0), seqs);
  }
  if (kv.num_kv_heads != p.num_kv_heads || kv.head_dim != p.head_dim) {
    return invalid_argument("decode_attention: the cache has {} heads of {}", kv.num_kv_heads, kv.head_dim);
  }
  if (!aligned(kv.base) || kv.page_bytes % 16 != 0 || kv.k_offset % 16 != 0 || kv.v_offset % 16 != 0 ||
      !aligned(p.qkv.data) || p.qkv.stride[0] % 8 != 0) {
    return invalid_argument("decode_attention: pages and rows must be aligned to 16 bytes");
  }
  if (seqs > 65535 || kv.num_blocks * kv.block_size > INT32_MAX ||
      p.block_table.size(1) > INT32_MAX / 2 / kv.block_size) {
    return error(ErrorCode::kUnimplemented, "decode_attention: {} sequences of {} blocks", seqs, p.block_table.size(1));
  }
  if (p.blocks < 0 || p.blocks > (p.ring ? kRingBlocks : kDecodeBlocks) || (p.blocks & (p.blocks - 1)) != 0) {
    return invalid_argument("decode_attention: {} blocks", p.blocks);
  }
  return {};
}

constexpr size_t kAloneBytes = 120000;  // more than half of an SM's shared memory

/// SMs of the current device; 132 if it does not say.
int num_sms() {
  int device = 0, sms = 0;
  if (cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device) != cudaSuccess) {
    return 132;
  }
  return sms;
}

template <typename T, int kHeadDim>
Status run(const DecodeAttentionParams& p, StreamRef stream) {
  DecodeAttentionArgs<T> a{};
  a.out = static_cast<T*>(p.out.data), a.qkv = static_cast<const T*>(p.qkv.data);
  a.qkv_stride = p.qkv.stride[0], a.out_stride = p.out.stride[0];
  a.cos_stride = p.cos.stride[0], a.sin_stride = p.sin.stride[0], a.table_stride = p.block_table.stride[0];
  a.page_stride = p.kv.page_bytes / p.kv.element_bytes();
  a.num_heads = p.num_heads, a.num_kv_heads = p.num_kv_heads, a.group = p.num_heads / p.num_kv_heads;
  a.half = static_cast<int>(p.cos.size(1));
  a.q_norm = p.q_norm, a.k_norm = p.k_norm, a.cos = p.cos.data, a.sin = p.sin.data;
  a.eps = p.norm_eps, a.scale = p.scale, a.softcap = p.softcap;
  a.window = p.sliding_window > 0 && p.sliding_window < INT32_MAX ? static_cast<int>(p.sliding_window) : 0;
  a.k = reinterpret_cast<T*>(p.kv.base + p.kv.k_offset), a.v = reinterpret_cast<T*>(p.kv.base + p.kv.v_offset);
  a.block_size = p.kv.block_size, a.columns = static_cast<int>(p.block_table.size(1));
  a.slot_mapping = p.slot_mapping, a.block_table = p.block_table.data, a.seq_lens = p.seq_lens;

  const int num_seqs = static_cast<int>(p.block_table.size(0));
  DecodeAttentionLaunch how{p.ring, p.blocks};
  if (p.blocks == 0) how = decode_attention_launch(num_seqs, p.num_kv_heads, num_sms());
  const auto blocks = static_cast<unsigned>(how.blocks);
  LaunchShape shape{dim3(blocks, static_cast<unsigned>(p.num_kv_heads), static_cast<unsigned>(num_seqs)),
                    dim3(how.ring ? kRingThreads : kDecodeThreads)};
  shape.carveout = 100;
  if (how.ring) {
    shape.smem_bytes = sizeof(RingShared<T, kHeadDim>);
    RETURN_IF_ERROR(allow_smem(decode_attention_ring<T, kHeadDim>, shape.smem_bytes));
    return launch_cluster(decode_attention_ring<T, kHeadDim>, shape, blocks, stream, a);
  }
  // A block for each SM at most: in pairs, beside idle SMs, where they start while the kernel in front still fills some
  // (0.6B, 8 sequences: 15.5 us a layer, not 19.8). Larger clusters may find no place with one block on an SM.
  if (blocks <= 2 && int64_t{blocks} * p.num_kv_heads * num_seqs <= num_sms()) {
    shape.smem_bytes = kAloneBytes - sizeof(DecodeShared<T, kHeadDim>);
    RETURN_IF_ERROR(allow_smem(decode_attention<T, kHeadDim>, shape.smem_bytes));
  }
  if (blocks > 8) {
    CUDA_RETURN_IF_ERROR(
        cudaFuncSetAttribute(decode_attention<T, kHeadDim>, cudaFuncAttributeNonPortableClusterSizeAllowed, 1));
  }
  return launch_cluster(decode_attention<T, kHeadDim>, shape, blocks, stream, a);
}

}  // namespace

bool decode_attention_fits(const DecodeAttentionShape& s) {
  return s.dtype == s.kv_dtype && (s.dtype == DType::kBFloat16 || s.dtype == DType::kFloat16) &&
         (s.head_dim == 64 || s.head_dim == 128) && s.num_kv_heads > 0 && s.num_kv_heads <= 65535 && s.num_heads > 0 &&
         s.num_heads % s.num_kv_heads == 0 && s.num_heads / s.num_kv_heads <= kDecodeGroup && s.block_size > 0 &&
         s.block_size % kDecodeTile == 0 && s.rotary_dim >= 0 && s.rotary_dim <= s.head_dim &&
         s.rotary_dim / 2 % (s.head_dim / 64) == 0;
}

DecodeAttentionLaunch decode_attention_launch(int num_seqs, int num_kv_heads, int sms) {
  const int64_t items = int64_t{num_seqs} * num_kv_heads;
  if (num_seqs > kDecodeFewSeqs && items > sms) {
    int blocks = kRingBlocks;
    while (blocks > 1 && items * blocks > kRingBlocksPerSm * sms) blocks /= 2;
    return {true, blocks};
  }
  int blocks = kDecodeBlocks;
  while (blocks > 2 && items * blocks > sms) blocks /= 2;
  return {false, items * blocks > 2 * sms ? 1 : blocks};
}

bool decode_attention_lopsided(int num_seqs, int num_kv_heads, int64_t longest, int64_t total) {
  // ns for a key: of a sequence that is worked on alone, and of all together in the kernel that splits by load.
  const int blocks = decode_attention_launch(num_seqs, num_kv_heads, num_sms()).blocks;
  const double alone = 24.0 / blocks + 2, by_load = 1.35;
  constexpr double kStart = 15000;  // ns that the other kernel and the ones in front of it take anyway
  return alone * static_cast<double>(longest) > by_load * static_cast<double>(total) + kStart;
}

Status decode_attention_cuda(const DecodeAttentionParams& p, StreamRef stream) {
  RETURN_IF_ERROR(check(p));
  if (p.block_table.size(0) == 0) return {};
  const bool half = p.qkv.dtype == DType::kFloat16;
  if (p.head_dim == 64) return half ? run<__half, 64>(p, stream) : run<__nv_bfloat16, 64>(p, stream);
  return half ? run<__half, 128>(p, stream) : run<__nv_bfloat16, 128>(p, stream);
}

}  // namespace vllm
