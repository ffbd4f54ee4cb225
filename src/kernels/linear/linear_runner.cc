#include "kernels/linear/linear_runner.h"

#include <algorithm>

#include "base/log.h"
#include "kernels/rms_norm/rms_norm_cuda.h"
#include "tensor/cuda/error.h"

namespace vllm {
namespace {

int64_t element_bytes(DType dtype) { return dtype == DType::kFloat32 ? 4 : 2; }

bool aligned16(const void* p, int64_t stride, int64_t bytes) {
  return reinterpret_cast<uintptr_t>(p) % 16 == 0 && stride * bytes % 16 == 0;
}

LinearKernelArgs kernel_args(const LinearCudaParams& p) {
  return {.weight = p.weight,
          .x = p.x.data,
          .x_stride = p.x.stride[0],
          .out = p.out.data,
          .out_stride = p.out.stride[0],
          .bias = p.bias,
          .norm_weight = p.norm_weight,
          .norm_eps = p.norm_eps,
          .num_tokens = static_cast<int>(p.x.size(0)),
          .n = static_cast<int>(p.n),
          .k = static_cast<int>(p.k),
          .back = p.back,
          .out_float = p.out.dtype == DType::kFloat32,
          .add_to_out = p.add_to_out};
}

}  // namespace

LinearDesc describe(const LinearCudaParams& p) {
  const bool gated = p.back != LinearBack::kNone;  // the GEMM of a gated one writes to a workspace
  return {.dtype = p.dtype,
          .num_tokens = static_cast<int>(p.x.size(0)),
          .n = static_cast<int>(p.n),
          .k = static_cast<int>(p.k),
          .norm = p.norm_weight != nullptr,
          .aligned_x = p.norm_weight != nullptr
                           ? aligned16(p.x.data, p.x.stride[0], 4) && aligned16(p.norm_weight, 0, 4)
                           : aligned16(p.x.data, p.x.stride[0], element_bytes(p.dtype)),
          .aligned_out = gated ? p.n * element_bytes(p.dtype) % 16 == 0
                               : aligned16(p.out.data, p.out.stride[0], element_bytes(p.out.dtype))};
}

Result<std::unique_ptr<LinearRunner>> LinearRunner::create(const LinearCuda::Options& options) {
  if (options.max_tokens < 1 || options.max_k < 1 || options.max_n < 1)
    return invalid_argument("linear_cuda: max_tokens {}, max_k {}, max_n {}", options.max_tokens, options.max_k,
                            options.max_n);
  auto runner = std::make_unique<LinearRunner>();
  runner->options_ = options;
  int device = 0, shared_bytes = 0;
  CUDA_RETURN_IF_ERROR(cudaGetDevice(&device));
  CUDA_RETURN_IF_ERROR(cudaDeviceGetAttribute(&runner->device_.sm_count, cudaDevAttrMultiProcessorCount, device));
  CUDA_RETURN_IF_ERROR(cudaDeviceGetAttribute(&shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
  runner->device_.shared_bytes = shared_bytes - 1024;  // less what kernels hold statically
  RETURN_IF_ERROR(prepare_linear_stream());
  RETURN_IF_ERROR(prepare_linear_gemv());
  RETURN_IF_ERROR(prepare_linear_gemm());
  const Status wgmma = prepare_linear_wgmma();
  if (!wgmma && wgmma.error().code != ErrorCode::kUnimplemented) return wgmma.error();
  runner->device_.wgmma = wgmma.has_value();
  const int64_t slice = std::min(options.max_tokens, kSliceTokens);
  ASSIGN_OR_RETURN(runner->normed_,
                   DeviceBuffer::allocate(static_cast<size_t>(slice * options.max_k * element_bytes(options.dtype)),
                                          "normalized inputs of linear layers"));
  if (options.use_cublaslt && !options.batch_invariant) {
    Result<std::unique_ptr<CublasLt>> library = CublasLt::open();
    if (library) {
      runner->cublaslt_ = std::move(library).value();
      LOG_INFO("GEMMs of many tokens use {}", runner->cublaslt_->description());
    } else {
      LOG_WARNING("cuBLASLt is not usable, own GEMMs do its work: {}", library.error().message);
    }
  }
  runner->device_.cublaslt = runner->cublaslt_ != nullptr;
  return runner;
}

Status LinearRunner::prepare(int64_t n, int64_t k, LinearBack back) {
  const bool gated = back != LinearBack::kNone;
  const int64_t slice = std::min(options_.max_tokens, kSliceTokens);
  const size_t wide_bytes = gated ? static_cast<size_t>(slice * n * element_bytes(options_.dtype)) : 0;
  if (wide_bytes > wide_.size()) {
    wide_ = {};
    ASSIGN_OR_RETURN(wide_, DeviceBuffer::allocate(wide_bytes, "gate and up projections"));
  }
  if (cublaslt_ == nullptr) return {};
  for (int64_t tokens = 1, last = token_bucket(slice); tokens <= last; tokens = token_bucket(tokens + 1)) {
    if (tokens <= kMaxStreamTokens && options_.dtype != DType::kFloat32) continue;
    CublasLtShape shape{.dtype = options_.dtype, .n = n, .k = k, .num_tokens = tokens};
    // Where the library has nothing, run() takes the own GEMM.
    (void)cublaslt_->prepare(shape).has_value();
    if (gated) continue;
    shape.out_float = true;
    (void)cublaslt_->prepare(shape).has_value();
    shape.add_to_out = true;
    (void)cublaslt_->prepare(shape).has_value();
  }
  return {};
}

Status LinearRunner::check(const LinearCudaParams& p) const {
  const int64_t tokens = p.x.size(0);
  if (p.dtype != options_.dtype) return invalid_argument("linear_cuda: the weight is {}", info(p.dtype).name);
  if (tokens < 0 || tokens > options_.max_tokens) return invalid_argument("linear_cuda: x has {} rows", tokens);
  if (p.k < 8 || p.k % 8 != 0 || p.k > options_.max_k || p.x.size(1) != p.k)
    return invalid_argument("linear_cuda: k is {}, x has {} columns", p.k, p.x.size(1));
  const bool gated = p.back != LinearBack::kNone;
  const int64_t width = gated ? p.n / 2 : p.n;
  if (p.n < 1 || p.n > options_.max_n || (gated && p.n % 2 != 0)) return invalid_argument("linear_cuda: n is {}", p.n);
  if (p.out.size(0) != tokens || p.out.size(1) != width)
    return invalid_argument("linear_cuda: out is [{}, {}], not [{}, {}]", p.out.size(0), p.out.size(1), tokens, width);
  if (p.out.dtype != p.dtype && p.out.dtype != DType::kFloat32)
    return invalid_argument("linear_cuda: out is {}", info(p.out.dtype).name);
  if (p.add_to_out && (p.out.dtype != DType::kFloat32 || gated))
    return invalid_argument("linear_cuda: add_to_out needs a float32 out without a gate");
  if (p.x.dtype != (p.norm_weight != nullptr ? DType::kFloat32 : p.dtype))
    return invalid_argument("linear_cuda: x is {}", info(p.x.dtype).name);
  if (p.norm_weight != nullptr && !(p.norm_eps >= 0))
    return invalid_argument("linear_cuda: norm_eps is {}", p.norm_eps);
  if (!aligned16(p.weight, 0, 1) || p.weight == nullptr) return invalid_argument("linear_cuda: weight is not aligned");
  return {};
}

Status LinearRunner::run(const LinearCudaParams& p, StreamRef stream) const {
  RETURN_IF_ERROR(check(p));
  for (int64_t begin = 0; begin < p.x.size(0); begin += kSliceTokens) {
    const int64_t end = std::min(p.x.size(0), begin + kSliceTokens);
    LinearCudaParams slice = p;
    slice.x = p.x.slice(begin, end), slice.out = p.out.slice(begin, end);
    const LinearDesc desc = describe(slice);
    const LinearConfig config = options_.batch_invariant ? batch_invariant_config(desc) : pick_config(desc, device_);
    RETURN_IF_ERROR(run(slice, config, stream));
  }
  return {};
}

Status LinearRunner::run(const LinearCudaParams& p, const LinearConfig& config, StreamRef stream) const {
  LinearKernelArgs args = kernel_args(p);
  if (p.norm_weight != nullptr && !config.fused_norm) {
    RmsNormCudaParams norm;
    norm.out = TensorView<void, 2>(normed_.data(), {p.x.size(0), p.k}, p.dtype);
    norm.x = p.x, norm.weight = p.norm_weight, norm.eps = p.norm_eps;
    RETURN_IF_ERROR(rms_norm_cuda(norm, stream));
    args.x = normed_.data(), args.x_stride = p.k;
  }
  switch (config.kind) {
    case LinearKind::kSimt: return launch_linear_simt(p.dtype, args, stream);
    case LinearKind::kStream: return launch_linear_stream(p.dtype, args, config, stream);
    case LinearKind::kGemv: return launch_linear_gemv(p.dtype, args, config, stream);
    case LinearKind::kGemm: return launch_linear_gemm(p.dtype, args, stream);
    case LinearKind::kWgmma: return launch_linear_wgmma(p.dtype, args, config, stream);
    case LinearKind::kCublasLt: return run_cublaslt(args, stream);
  }
  return {};
}

Status LinearRunner::run_cublaslt(const LinearKernelArgs& args, StreamRef stream) const {
  const bool gated = args.back != LinearBack::kNone;
  const auto own = [&] {
    return options_.dtype == DType::kFloat32 ? launch_linear_simt(options_.dtype, args, stream)
                                             : launch_linear_gemm(options_.dtype, args, stream);
  };
  if (gated && wide_.size() < static_cast<size_t>(int64_t{args.num_tokens} * args.n * element_bytes(options_.dtype)))
    return own();  // prepare() was not called for this shape
  const CublasLtShape shape{.dtype = options_.dtype,
                            .n = args.n,
                            .k = args.k,
                            .num_tokens = token_bucket(args.num_tokens),
                            .out_float = !gated && args.out_float,
                            .add_to_out = args.add_to_out};
  const CublasLtCall call{.weight = args.weight,
                          .x = args.x,
                          .x_stride = args.x_stride,
                          .out = gated ? wide_.data() : args.out,
                          .out_stride = gated ? args.n : args.out_stride,
                          .num_tokens = args.num_tokens};
  Status status = cublaslt_->multiply(shape, call, stream);
  if (!status) return status.error().code == ErrorCode::kUnimplemented ? own() : status;
  if (!gated && args.bias == nullptr) return {};
  LinearKernelArgs back = args;
  back.x = call.out, back.x_stride = call.out_stride;
  back.add_to_out = false;
  const DType type = shape.out_float ? DType::kFloat32 : options_.dtype;
  return launch_linear_back(type, back, stream);
}

}  // namespace vllm
