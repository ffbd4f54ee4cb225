#include "kernels/paged_attention/paged_attention_cuda.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "kernels/kv_layout/kv_float8.h"
#include "kernels/paged_attention/attention_kernels_cuda.h"
#include "tensor/cuda/buffer.h"
#include "tensor/cuda/error.h"

namespace vllm {

struct PagedAttentionCuda::Impl {
  /// What the host knows of the last plan of a phase.
  struct Plan {
    AttentionCudaBatch batch;
    int grid[kAttentionPlans] = {};  // blocks for each KV head; 0: no sequence belongs to this plan
    AttentionPlanHeader* headers = nullptr;
    AttentionWork* work[kAttentionPlans] = {};
  };
  AttentionCudaShape shape;
  std::vector<Plan> plans;
  const FastAttention* fast = nullptr;  // or the plain kernel, which needs nothing of the following
  int hopper_blocks = 0;                // of the kernel for prefills on Hopper; 0: it is not used
  AttentionPlanRules rules[kAttentionPlans];
  int *counters = nullptr, *ticket = nullptr;
  std::byte* partial_out = nullptr;
  float* partial_lse = nullptr;
  DeviceBuffer workspace;

  Status check(const AttentionCudaBatch& b) const;
  Status check(const AttentionCudaLayer& l, const AttentionCudaBatch& b) const;
  Status prepare_fast();
  void set_grids(Plan& plan) const;
};

namespace {

bool is_float(DType t) { return t == DType::kFloat32 || t == DType::kFloat16 || t == DType::kBFloat16; }
bool aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

/// Without lengths on the host a step with prefills is planned on the device too.
bool on_device(const AttentionCudaBatch& b) { return !b.decode && b.host_query_start.empty(); }

Status check(const AttentionCudaShape& s) {
  if (s.num_kv_heads <= 0 || s.num_heads <= 0 || s.num_heads % s.num_kv_heads != 0) {
    return invalid_argument("attention: {} heads over {} KV heads", s.num_heads, s.num_kv_heads);
  }
  if (!is_float(s.dtype) || (!is_float(s.kv_dtype) && s.kv_dtype != kKvFloat8)) {
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
  if (b.block_table.size(0) < b.num_seqs) {
    return invalid_argument("attention: a block table of {} rows for {} sequences", b.block_table.size(0), b.num_seqs);
  }
  if (!b.decode && !on_device(b) &&
      (static_cast<int>(b.host_query_start.size()) != b.num_seqs + 1 ||
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
  // The fast kernels count in 32 bits.
  if (fast && (kv.page_bytes / kv.element_bytes() > UINT32_MAX || shape.max_tokens * l.q.stride[0] > INT32_MAX ||
               b.num_seqs * b.block_table.stride[0] * shape.block_size > INT32_MAX)) {
    return error(ErrorCode::kUnimplemented,
                 "attention: pages of {} bytes, or a batch of {} sequences with {} blocks each", kv.page_bytes,
                 b.num_seqs, b.block_table.stride[0]);
  }
  if (b.sliding_window > 0 && (l.sliding_window <= 0 || l.sliding_window > b.sliding_window)) {
    return invalid_argument("attention: a layer sees {} keys, planned for {}", l.sliding_window, b.sliding_window);
  }
  return {};
}

/// Rules of the two plans for this device, and the workspace: plans by phase, then what all phases share.
Status PagedAttentionCuda::Impl::prepare_fast() {
  int device = 0, sms = 0, blocks_per_sm[kAttentionPlans] = {};
  CUDA_RETURN_IF_ERROR(cudaGetDevice(&device));
  CUDA_RETURN_IF_ERROR(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device));
  RETURN_IF_ERROR(fast->prepare(blocks_per_sm));
  if (hopper_attention_fits(shape) && shape.hopper) {
    Status prepared = prepare_hopper_attention();
    if (!prepared && prepared.error().code != ErrorCode::kUnimplemented) return prepared;
    if (prepared) hopper_blocks = sms, blocks_per_sm[1] = 1;
  }
  int64_t work_items[kAttentionPlans], rows = 0, units = 0;
  for (int p = 0; p < kAttentionPlans; ++p) {
    AttentionPlanRules& r = rules[p];
    r.tile = fast->tile[p], r.group = shape.num_heads / shape.num_kv_heads;
    r.slots = std::max(1, sms * blocks_per_sm[p] / shape.num_kv_heads);
    if (p == 1) {
      r.min_rows = rules[0].max_rows + 1, r.max_rows = INT32_MAX, r.waves = false;
      r.min_chunk =
          hopper_blocks > 0 ? 1024 : 256;  // to join parts costs as much as several tiles of the faster kernel
    }
    int64_t tiles = shape.max_seqs + (p == 0 ? 0 : shape.max_tokens * r.group / r.tile);
    if (tiles > INT32_MAX / 8)
      return error(ErrorCode::kUnimplemented, "attention: {} tokens in a step", shape.max_tokens);
    work_items[p] = attention_max_items(r, static_cast<int32_t>(tiles));
    rows = std::max(rows, attention_max_partial_rows(r, static_cast<int32_t>(tiles)));
    units = std::max(units, work_items[p]);
  }
  size_t bytes = 0;
  auto place = [&](int64_t count, size_t size) {
    size_t offset = bytes;
    bytes = (bytes + static_cast<size_t>(count) * size + 255) / 256 * 256;
    return offset;
  };
  std::vector<size_t> headers, work[kAttentionPlans];
  for (int i = 0; i < shape.num_phases; ++i) {
    headers.push_back(place(kAttentionPlans, sizeof(AttentionPlanHeader)));
    for (int p = 0; p < kAttentionPlans; ++p) work[p].push_back(place(work_items[p], sizeof(AttentionWork)));
  }
  size_t lse = place(rows * shape.num_heads, sizeof(float));
  size_t out = place(rows * shape.num_heads * shape.head_dim, static_cast<size_t>(info(shape.dtype).block_bytes));
  size_t counts = place(units * shape.num_kv_heads + 2, sizeof(int));
  ASSIGN_OR_RETURN(workspace, DeviceBuffer::allocate(bytes, "the workspace of attention"));
  CUDA_RETURN_IF_ERROR(
      cudaMemset(workspace.data(), 0xff, counts));  // NaN: a part that is read before it is written shows
  CUDA_RETURN_IF_ERROR(cudaMemset(workspace.data() + counts, 0, bytes - counts));
  CUDA_RETURN_IF_ERROR(cudaDeviceSynchronize());  // once, at start: users' streams do not wait for the default stream
  for (size_t i = 0; i < plans.size(); ++i) {
    plans[i].headers = reinterpret_cast<AttentionPlanHeader*>(workspace.data() + headers[i]);
    for (int p = 0; p < kAttentionPlans; ++p) {
      plans[i].work[p] = reinterpret_cast<AttentionWork*>(workspace.data() + work[p][i]);
    }
  }
  partial_lse = reinterpret_cast<float*>(workspace.data() + lse), partial_out = workspace.data() + out;
  ticket = reinterpret_cast<int*>(workspace.data() + counts), counters = ticket + 2;
  return {};
}

/// Which of the two plans the batch needs, and how many blocks. Depends on the number of queries, never on lengths. On
/// the device all is the second plan's, and blocks are for the most tiles that its queries could be.
void PagedAttentionCuda::Impl::set_grids(Plan& plan) const {
  const AttentionCudaBatch& b = plan.batch;
  int64_t tiles[kAttentionPlans] = {};
  if (on_device(b)) tiles[1] = b.num_seqs + int64_t{b.num_tokens} * rules[1].group / rules[1].tile;
  for (int s = 0; s < b.num_seqs && !on_device(b); ++s) {
    size_t i = static_cast<size_t>(s);
    int32_t queries = b.decode ? 1 : b.host_query_start[i + 1] - b.host_query_start[i];
    for (int p = 0; p < kAttentionPlans; ++p) tiles[p] += attention_plan_seq(rules[p], queries, queries).tiles;
  }
  plan.grid[0] = tiles[0] == 0 ? 0 : rules[0].slots;
  plan.grid[1] = tiles[1] == 0 ? 0 : static_cast<int>(std::max<int64_t>(rules[1].slots, tiles[1]));
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
  if (!shape.plain && shape.max_seqs <= kAttentionPlanSeqs) {
    impl->fast = find_fast_attention(shape.dtype, shape.kv_dtype, shape.head_dim);
  }
  if (impl->fast) RETURN_IF_ERROR(impl->prepare_fast());
  return PagedAttentionCuda(impl.release());
}

Status PagedAttentionCuda::plan(const AttentionCudaBatch& batch, int phase, StreamRef stream) {
  CHECK(phase >= 0 && phase < impl_->shape.num_phases);
  RETURN_IF_ERROR(impl_->check(batch));
  Impl::Plan& plan = impl_->plans[static_cast<size_t>(phase)];
  const bool all_second = on_device(batch);
  plan.batch = batch;
  if (impl_->fast) impl_->set_grids(plan);
  plan.batch.host_query_start = plan.batch.host_seq_lens = {};  // the caller's
  if (!impl_->fast || (plan.grid[0] == 0 && plan.grid[1] == 0)) return {};
  AttentionPlanArgs args{};
  for (int p = 0; p < kAttentionPlans; ++p) {
    args.rules[p] = impl_->rules[p], args.work[p] = plan.work[p];
    args.rules[p].window = static_cast<int>(std::min<int64_t>(batch.sliding_window, INT32_MAX / 4));
  }
  args.headers = plan.headers, args.query_start = batch.query_start, args.seq_lens = batch.seq_lens;
  args.num_seqs = batch.num_seqs;
  if (all_second) {  // the second plan alone, as the first of the kernel
    args.rules[0] = args.rules[1], args.work[0] = args.work[1], args.headers = plan.headers + 1;
    args.rules[0].min_rows = 1;
  }
  return plan_attention_cuda(args, plan.grid[1] == 0 || all_second ? 1 : kAttentionPlans, stream);
}

Status PagedAttentionCuda::run(const AttentionCudaLayer& layer, int phase, StreamRef stream) const {
  CHECK(phase >= 0 && phase < impl_->shape.num_phases);
  const AttentionCudaShape& shape = impl_->shape;
  const Impl::Plan& plan = impl_->plans[static_cast<size_t>(phase)];
  const AttentionCudaBatch& batch = plan.batch;
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
  if (!impl_->fast) return plain_attention_cuda(args, shape.dtype, shape.kv_dtype, stream);
  for (int p = 0; p < kAttentionPlans; ++p) {
    if (plan.grid[p] == 0) continue;
    FastAttentionArgs fast{
        args, plan.headers + p, plan.work[p], impl_->counters, impl_->partial_out, impl_->partial_lse};
    fast.grid = plan.grid[p];
    if (p == 1 && impl_->hopper_blocks > 0 && layer.softcap == 0 && layer.sliding_window == 0) {
      fast.grid = std::min(impl_->hopper_blocks, plan.grid[p] * shape.num_kv_heads);
      RETURN_IF_ERROR(run_hopper_attention(fast, shape.dtype, layer.kv.num_blocks, impl_->ticket, stream));
      continue;
    }
    RETURN_IF_ERROR(impl_->fast->run(fast, p, stream));
  }
  return {};
}

size_t PagedAttentionCuda::workspace_bytes() const { return impl_->workspace.size(); }

}  // namespace vllm
