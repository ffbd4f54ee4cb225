// The host's side of hopper_attention.cuh: tensor maps of a layer's keys and values, and the launch.
#include "kernels/paged_attention/hopper_attention.cuh"

namespace vllm {
namespace {

using hopper::Shared;

using EncodeTensorMap = CUresult (*)(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*,
                                     const cuuint64_t*, const cuuint32_t*, const cuuint32_t*, CUtensorMapInterleave,
                                     CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

/// The driver's function, found without linking the driver; null if it has none.
EncodeTensorMap encode_tensor_map() {
  static const EncodeTensorMap function = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result{};
    const bool ok = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault,
                                                     &result) == cudaSuccess &&
                    result == cudaDriverEntryPointSuccess;
    return ok ? reinterpret_cast<EncodeTensorMap>(found) : nullptr;
  }();
  return function;
}

/// [pages][num_kv_heads * block_size][128] of two bytes, in boxes of one head's half of the columns.
Status make_map(CUtensorMap* map, const AttentionKernelArgs& l, const std::byte* base, int64_t num_pages, DType dtype) {
  const cuuint64_t dims[3] = {hopper::kHeadDim, static_cast<cuuint64_t>(l.num_kv_heads) * l.block_size,
                              static_cast<cuuint64_t>(num_pages)};
  const cuuint64_t strides[2] = {hopper::kHeadDim * 2, static_cast<cuuint64_t>(l.page_stride) * 2};
  const cuuint32_t box[3] = {64, static_cast<cuuint32_t>(l.block_size), 1}, steps[3] = {1, 1, 1};
  const CUresult code = encode_tensor_map()(
      map, dtype == DType::kFloat16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3,
      const_cast<std::byte*>(base), dims, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
      CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (code == CUDA_SUCCESS) return {};
  return error(ErrorCode::kInternal, "attention: a tensor map was refused with {}", static_cast<int>(code));
}

template <typename T>
Status run(const FastAttentionArgs& args, int64_t num_pages, int* ticket, StreamRef stream) {
  const AttentionKernelArgs& l = args.layer;
  constexpr DType kType = std::is_same_v<T, __half> ? DType::kFloat16 : DType::kBFloat16;
  CUtensorMap k_map, v_map;
  RETURN_IF_ERROR(make_map(&k_map, l, l.k, num_pages, kType));
  RETURN_IF_ERROR(make_map(&v_map, l, l.v, num_pages, kType));
  hopper::Args<T> a{};
  a.out = static_cast<T*>(l.out), a.q = static_cast<const T*>(l.q);
  a.partial_out = static_cast<T*>(args.partial_out), a.partial_lse = args.partial_lse;
  a.header = args.header, a.work = args.work, a.counters = args.counters, a.ticket = ticket;
  a.block_table = l.block_table, a.table_stride = static_cast<int>(l.table_stride);
  a.q_stride = l.q_stride, a.group = l.num_heads / l.num_kv_heads;
  a.group_inverse = a.group == 1 ? 0 : static_cast<uint32_t>(((uint64_t{1} << 32) + a.group - 1) / a.group);
  a.num_kv_heads = l.num_kv_heads, a.block_size = l.block_size;
  a.scale_log2 = l.scale * 1.4426950408889634f;
  LaunchShape shape{dim3(static_cast<unsigned>(args.grid)), dim3(hopper::kThreads)};
  shape.smem_bytes = sizeof(Shared);
  return launch(hopper::hopper_attention<T>, shape, stream, a, k_map, v_map);
}

}  // namespace

bool hopper_attention_fits(const AttentionCudaShape& s) {
  return s.head_dim == hopper::kHeadDim && s.dtype == s.kv_dtype &&
         (s.dtype == DType::kBFloat16 || s.dtype == DType::kFloat16) && s.block_size % 8 == 0 &&
         hopper::kKeys % s.block_size == 0;
}

Status prepare_hopper_attention() {
  int device = 0, major = 0;
  CUDA_RETURN_IF_ERROR(cudaGetDevice(&device));
  CUDA_RETURN_IF_ERROR(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  if (major != 9 || encode_tensor_map() == nullptr) {
    return error(ErrorCode::kUnimplemented, "attention: the kernel is for Hopper");
  }
  RETURN_IF_ERROR(allow_smem(hopper::hopper_attention<__nv_bfloat16>, sizeof(Shared)));
  return allow_smem(hopper::hopper_attention<__half>, sizeof(Shared));
}

Status run_hopper_attention(const FastAttentionArgs& args, DType dtype, int64_t num_pages, int* ticket,
                            StreamRef stream) {
  if (dtype == DType::kFloat16) return run<__half>(args, num_pages, ticket, stream);
  return run<__nv_bfloat16>(args, num_pages, ticket, stream);
}

}  // namespace vllm
