#include "kernels/paged_attention/paged_attention_cuda.h"

#include <memory>
#include <vector>

#include "kernels/paged_attention/attention_kernels_cuda.h"

namespace vllm {

struct PagedAttentionCuda::Impl {
  AttentionCudaShape shape;
  std::vector<AttentionCudaBatch> plans;  // by phase; what the host knows of the last plan

  Status check(const AttentionCudaBatch& b) const;
  Status check(const AttentionCudaLayer& l, const AttentionCudaBatch& b) const;
};

namespace {

bool is_float(DType t) { return t == DType::kFloat32 || t == DType::kFloat16 || t == DType::kBFloat16; }
bool aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

Status check(const AttentionCudaShape& s) {
  if (s.num_kv_heads <= 0 || s.num_heads <= 0 || s.num_heads % s.num_kv_heads != 0) {
    return invalid_argument("attention: {} heads over {} KV heads", s.num_heads, s.num_kv_heads);
  }
  if (!is_float(s.dtype) || !is_float(s.kv_dtype)) {
    return error(ErrorCode::kUnimplemented, "attention: no CUDA kernel for {} with a cache of {}", info(s.dtype).name,
                 info(s.kv_dtype).name);
  }
  if (s.head_dim <= 0 || s.head_dim > 256 || s.head_dim % 8 != 0) {
    return error(ErrorCode::kUnimplemented, "attention: head_dim {} (multiples of 8 up to 256)", s.head_dim);
  }
  if (s.block_size <= 0 || s.max_seqs <= 0 || s.max_tokens <= 0 || s.max_blocks <= 0 || s.num_phases <= 0) {
    return invalid_argument("attention: a size that is not positive");
  }
  if (s.max_blocks * s.block_size > INT32_MAX / 2 || s.max_seqs > 65535) {
    return error(ErrorCode::kUnimplemented, "attention: {} sequences of {} blocks", s.max_seqs, s.max_blocks);
  }
  return {};
}

}  // namespace

Status PagedAttentionCuda::Impl::check(const AttentionCudaBatch& b) const {
  if (b.num_seqs < 0 || b.num_seqs > shape.max_seqs || b.num_tokens < 0 || b.num_tokens > shape.max_tokens) {
    return invalid_argument("attention: {} sequences and {} tokens, planned for {} and {}", b.num_seqs, b.num_tokens,
                            shape.max_seqs, shape.max_tokens);
  }
  if (b.block_table.size(0) < b.num_seqs || b.block_table.size(1) > shape.max_blocks) {
    return invalid_argument("attention: a block table of {} x {}", b.block_table.size(0), b.block_table.size(1));
  }
  if (!b.decode && (static_cast<int>(b.host_query_start.size()) != b.num_seqs + 1 ||
                    static_cast<int>(b.host_seq_lens.size()) != b.num_seqs)) {
    return invalid_argument("attention: host lengths of {} sequences for {}", b.host_seq_lens.size(), b.num_seqs);
  }
  return {};
}

Status PagedAttentionCuda::Impl::check(const AttentionCudaLayer& l, const AttentionCudaBatch& b) const {
  const std::array<int64_t, 2> heads = {shape.num_heads, shape.head_dim};
  auto agrees = [&](const auto& view) {
    return view.dtype == shape.dtype && view.size(0) >= b.num_tokens && view.size(1) == heads[0] &&
           view.size(2) == heads[1] && view.stride[1] == heads[1] && view.stride[2] == 1 && aligned(view.data);
  };
  if (!agrees(l.q) || l.q.stride[0] % 8 != 0) return invalid_argument("attention: q is not what was planned for");
  if (!agrees(l.out) || l.out.stride[0] != heads[0] * heads[1]) {
    return invalid_argument("attention: out is not what was planned for, or not contiguous");
  }
  const KvLayerView& kv = l.kv;
  if (kv.dtype != shape.kv_dtype || kv.num_kv_heads != shape.num_kv_heads || kv.head_dim != shape.head_dim ||
      kv.block_size != shape.block_size) {
    return invalid_argument("attention: the cache is not what was planned for");
  }
  if (!aligned(kv.base) || kv.page_bytes % 16 != 0 || kv.k_offset % 16 != 0 || kv.v_offset % 16 != 0) {
    return invalid_argument("attention: pages must be aligned to 16 bytes");
  }
  if (b.sliding_window > 0 && (l.sliding_window <= 0 || l.sliding_window > b.sliding_window)) {
    return invalid_argument("attention: a layer sees {} keys, planned for {}", l.sliding_window, b.sliding_window);
  }
  return {};
}

PagedAttentionCuda::PagedAttentionCuda(Impl* impl) : impl_(impl) {}
PagedAttentionCuda::PagedAttentionCuda(PagedAttentionCuda&& o) noexcept : impl_(std::exchange(o.impl_, nullptr)) {}
PagedAttentionCuda& PagedAttentionCuda::operator=(PagedAttentionCuda&& o) noexcept {
  std::swap(impl_, o.impl_);
  return *this;
}
PagedAttentionCuda::~PagedAttentionCuda() { delete impl_; }

Result<PagedAttentionCuda> PagedAttentionCuda::create(const AttentionCudaShape& shape) {
  RETURN_IF_ERROR(vllm::check(shape));
  auto impl = std::make_unique<Impl>();
  impl->shape = shape;
  impl->plans.resize(static_cast<size_t>(shape.num_phases));
  return PagedAttentionCuda(impl.release());
}

Status PagedAttentionCuda::plan(const AttentionCudaBatch& batch, int phase, StreamRef stream) {
  CHECK(phase >= 0 && phase < impl_->shape.num_phases);
  RETURN_IF_ERROR(impl_->check(batch));
  AttentionCudaBatch& plan = impl_->plans[static_cast<size_t>(phase)];
  plan = batch;
  plan.host_query_start = plan.host_seq_lens = {};  // the caller's
  return {};
}

Status PagedAttentionCuda::run(const AttentionCudaLayer& layer, int phase, StreamRef stream) const {
  CHECK(phase >= 0 && phase < impl_->shape.num_phases);
  const AttentionCudaShape& shape = impl_->shape;
  const AttentionCudaBatch& batch = impl_->plans[static_cast<size_t>(phase)];
  RETURN_IF_ERROR(impl_->check(layer, batch));
  if (batch.num_tokens == 0 || batch.num_seqs == 0) return {};
  AttentionKernelArgs args{};
  args.out = layer.out.data, args.q = layer.q.data;
  args.k = layer.kv.base + layer.kv.k_offset, args.v = layer.kv.base + layer.kv.v_offset;
  args.q_stride = layer.q.stride[0], args.out_stride = layer.out.stride[0];
  args.page_stride = layer.kv.page_bytes / layer.kv.element_bytes(), args.table_stride = batch.block_table.stride[0];
  args.query_start = batch.query_start, args.seq_lens = batch.seq_lens, args.block_table = batch.block_table.data;
  args.num_seqs = batch.num_seqs, args.num_tokens = batch.num_tokens;
  args.num_heads = shape.num_heads, args.num_kv_heads = shape.num_kv_heads, args.head_dim = shape.head_dim;
  args.block_size = shape.block_size;
  args.scale = layer.scale, args.softcap = layer.softcap, args.sliding_window = layer.sliding_window;
  return plain_attention_cuda(args, shape.dtype, shape.kv_dtype, stream);
}

size_t PagedAttentionCuda::workspace_bytes() const { return 0; }

}  // namespace vllm
