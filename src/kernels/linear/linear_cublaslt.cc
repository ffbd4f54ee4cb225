#include "kernels/linear/linear_cublaslt.h"

#include <cublasLt.h>
#include <dlfcn.h>

#include <array>
#include <map>
#include <mutex>

#include "base/env.h"
#include "kernels/linear/linear_cublaslt_ranks.h"
#include "tensor/cuda/buffer.h"
#include "tensor/cuda/error.h"

namespace vllm {
namespace {

constexpr size_t kWorkspaceBytes = size_t{32} << 20;
constexpr int kMaxProposals = 16;

// The functions that we call. dlclose is never called: the library keeps threads and device state.
struct Library {
  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtDestroy) destroy = nullptr;
  decltype(&cublasLtGetVersion) version = nullptr;
  decltype(&cublasLtMatmul) matmul = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic = nullptr;
  decltype(&cublasLtMatmulDescCreate) desc_create = nullptr;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) layout_create = nullptr;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set = nullptr;
};

Result<Library> open_library(const std::string& path) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* why = dlerror();
    return error(ErrorCode::kNotFound, "{}", why != nullptr ? why : path);
  }
  Library lib;
  const char* missing = nullptr;
  auto bind = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(handle, name));
    if (function == nullptr) missing = name;
  };
  bind(lib.create, "cublasLtCreate"), bind(lib.destroy, "cublasLtDestroy");
  bind(lib.version, "cublasLtGetVersion"), bind(lib.matmul, "cublasLtMatmul");
  bind(lib.heuristic, "cublasLtMatmulAlgoGetHeuristic");
  bind(lib.desc_create, "cublasLtMatmulDescCreate"), bind(lib.desc_destroy, "cublasLtMatmulDescDestroy");
  bind(lib.desc_set, "cublasLtMatmulDescSetAttribute");
  bind(lib.layout_create, "cublasLtMatrixLayoutCreate"), bind(lib.layout_destroy, "cublasLtMatrixLayoutDestroy");
  bind(lib.preference_create, "cublasLtMatmulPreferenceCreate");
  bind(lib.preference_destroy, "cublasLtMatmulPreferenceDestroy");
  bind(lib.preference_set, "cublasLtMatmulPreferenceSetAttribute");
  if (missing != nullptr) return error(ErrorCode::kNotFound, "{} has no {}", path, missing);
  return lib;
}

cudaDataType_t cuda_type(DType dtype) {
  return dtype == DType::kFloat16 ? CUDA_R_16F : dtype == DType::kBFloat16 ? CUDA_R_16BF : CUDA_R_32F;
}

Status lt_status(cublasStatus_t code, const char* what) {
  if (code == CUBLAS_STATUS_SUCCESS) return {};
  const bool unsupported = code == CUBLAS_STATUS_NOT_SUPPORTED || code == CUBLAS_STATUS_INVALID_VALUE;
  return error(unsupported ? ErrorCode::kUnimplemented : ErrorCode::kInternal, "cuBLASLt: {} returned {}", what,
               static_cast<int>(code));
}

// The descriptors of one product. Ours are row-major, the library's column-major: its D [n, t] is weight^T x.
struct Descriptors {
  const Library& lib;
  cublasLtMatmulDesc_t matmul = nullptr;
  cublasLtMatrixLayout_t weight = nullptr, x = nullptr, out = nullptr;

  explicit Descriptors(const Library& lib) : lib(lib) {}
  Descriptors(const Descriptors&) = delete;
  ~Descriptors() {
    if (matmul != nullptr) lib.desc_destroy(matmul);
    for (cublasLtMatrixLayout_t layout : {weight, x, out}) {
      if (layout != nullptr) lib.layout_destroy(layout);
    }
  }
  Status create(const CublasLtShape& s, int64_t num_tokens, int64_t x_stride, int64_t out_stride) {
    const cudaDataType_t type = cuda_type(s.dtype), out_type = s.out_float ? CUDA_R_32F : type;
    const auto n = static_cast<uint64_t>(s.n), k = static_cast<uint64_t>(s.k), t = static_cast<uint64_t>(num_tokens);
    RETURN_IF_ERROR(lt_status(lib.desc_create(&matmul, CUBLAS_COMPUTE_32F, CUDA_R_32F), "MatmulDescCreate"));
    const cublasOperation_t transposed = CUBLAS_OP_T;
    RETURN_IF_ERROR(lt_status(lib.desc_set(matmul, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed),
                              "MatmulDescSetAttribute"));
    RETURN_IF_ERROR(lt_status(lib.layout_create(&weight, type, k, n, s.k), "MatrixLayoutCreate"));
    RETURN_IF_ERROR(lt_status(lib.layout_create(&x, type, k, t, x_stride), "MatrixLayoutCreate"));
    return lt_status(lib.layout_create(&out, out_type, n, t, out_stride), "MatrixLayoutCreate");
  }
};

}  // namespace

struct CublasLt::Impl {
  Library lib;
  cublasLtHandle_t handle = nullptr;
  DeviceBuffer workspace;
  std::string description;
  int sm_count = 0;
  std::mutex mutex;  // guards algorithms
  std::map<CublasLtShape, std::optional<cublasLtMatmulAlgo_t>> algorithms;

  ~Impl() {
    if (handle != nullptr) lib.destroy(handle);
  }
  std::optional<cublasLtMatmulAlgo_t> ask(const CublasLtShape& shape);
};

CublasLt::CublasLt(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CublasLt::~CublasLt() = default;
const std::string& CublasLt::description() const { return impl_->description; }

Result<std::unique_ptr<CublasLt>> CublasLt::open() {
  const std::optional<std::string> named = env("VLLM_CUBLASLT_PATH");
  std::string path = named.value_or("libcublasLt.so.13");
  Result<Library> lib = open_library(path);
  if (!lib && !named) {
    path = "/usr/local/cuda/lib64/libcublasLt.so.13";
    if (Result<Library> second = open_library(path)) lib = std::move(second);
  }
  if (!lib) return std::move(lib).error();
  auto impl = std::make_unique<Impl>();
  impl->lib = *lib;
  RETURN_IF_ERROR(lt_status(impl->lib.create(&impl->handle), "Create"));
  ASSIGN_OR_RETURN(impl->workspace, DeviceBuffer::allocate(kWorkspaceBytes, "the workspace of cuBLASLt"));
  int device = 0;
  CUDA_RETURN_IF_ERROR(cudaGetDevice(&device));
  CUDA_RETURN_IF_ERROR(cudaDeviceGetAttribute(&impl->sm_count, cudaDevAttrMultiProcessorCount, device));
  impl->description = fmt::format("{} (version {})", path, impl->lib.version());
  return std::unique_ptr<CublasLt>(new CublasLt(std::move(impl)));
}

std::optional<cublasLtMatmulAlgo_t> CublasLt::Impl::ask(const CublasLtShape& shape) {
  Descriptors d(lib);
  if (!d.create(shape, shape.num_tokens, shape.k, shape.n)) return {};
  cublasLtMatmulPreference_t preference = nullptr;
  if (lib.preference_create(&preference) != CUBLAS_STATUS_SUCCESS) return {};
  const size_t workspace_bytes = kWorkspaceBytes;
  const uint32_t alignment = 16;
  bool ok = lib.preference_set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace_bytes,
                               sizeof workspace_bytes) == CUBLAS_STATUS_SUCCESS;
  for (auto attribute : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                         CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    ok = ok && lib.preference_set(preference, attribute, &alignment, sizeof alignment) == CUBLAS_STATUS_SUCCESS;
  }
  std::array<cublasLtMatmulHeuristicResult_t, kMaxProposals> results{};
  int found = 0;
  ok = ok && lib.heuristic(handle, d.matmul, d.weight, d.x, d.out, d.out, preference, kMaxProposals, results.data(),
                           &found) == CUBLAS_STATUS_SUCCESS;
  lib.preference_destroy(preference);
  const int chosen =
      shape.rank == CublasLtShape::kRecorded ? recorded_rank(shape, lib.version(), sm_count) : shape.rank;
  const auto rank = static_cast<size_t>(chosen);
  if (!ok || chosen >= found || results[rank].state != CUBLAS_STATUS_SUCCESS) return {};
  return results[rank].algo;
}

Status CublasLt::prepare(const CublasLtShape& shape) {
  std::lock_guard lock(impl_->mutex);
  auto [place, fresh] = impl_->algorithms.try_emplace(shape);
  if (fresh) place->second = impl_->ask(shape);
  if (place->second) return {};
  return error(ErrorCode::kUnimplemented, "cuBLASLt has no algorithm for {} x {} with {} tokens", shape.n, shape.k,
               shape.num_tokens);
}

Status CublasLt::multiply(const CublasLtShape& shape, const CublasLtCall& call, StreamRef stream) {
  RETURN_IF_ERROR(prepare(shape));
  cublasLtMatmulAlgo_t algorithm;
  {
    std::lock_guard lock(impl_->mutex);
    algorithm = *impl_->algorithms.at(shape);
  }
  Descriptors d(impl_->lib);
  RETURN_IF_ERROR(d.create(shape, call.num_tokens, call.x_stride, call.out_stride));
  const float alpha = 1.0f, beta = shape.add_to_out ? 1.0f : 0.0f;
  return lt_status(impl_->lib.matmul(impl_->handle, d.matmul, &alpha, call.weight, d.weight, call.x, d.x, &beta,
                                     call.out, d.out, call.out, d.out, &algorithm, impl_->workspace.data(),
                                     kWorkspaceBytes, static_cast<cudaStream_t>(stream.handle)),
                   "Matmul");
}

}  // namespace vllm
