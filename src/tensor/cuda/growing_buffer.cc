#include "tensor/cuda/growing_buffer.h"

#include <cuda.h>

#include <type_traits>
#include <utility>
#include <vector>

#include "tensor/cuda/error.h"

namespace vllm {
namespace {

// The driver's functions: nothing links libcuda.
struct Driver {
  decltype(&cuMemGetAllocationGranularity) granularity = nullptr;
  decltype(&cuMemAddressReserve) reserve = nullptr;
  decltype(&cuMemAddressFree) free = nullptr;
  decltype(&cuMemCreate) create = nullptr;
  decltype(&cuMemRelease) release = nullptr;
  decltype(&cuMemMap) map = nullptr;
  decltype(&cuMemUnmap) unmap = nullptr;
  decltype(&cuMemSetAccess) set_access = nullptr;
};

Result<Driver> find_driver() {
  Driver driver;
  Status status;
  auto bind = [&](auto& function, const char* name) {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
    const cudaError_t code = cudaGetDriverEntryPointByVersion(name, &found, 12000, cudaEnableDefault, &result);
    if (code != cudaSuccess || result != cudaDriverEntryPointSuccess || found == nullptr)
      status = error(ErrorCode::kUnavailable, "the driver has no {}", name);
    function = reinterpret_cast<std::decay_t<decltype(function)>>(found);
  };
  bind(driver.granularity, "cuMemGetAllocationGranularity");
  bind(driver.reserve, "cuMemAddressReserve"), bind(driver.free, "cuMemAddressFree");
  bind(driver.create, "cuMemCreate"), bind(driver.release, "cuMemRelease");
  bind(driver.map, "cuMemMap"), bind(driver.unmap, "cuMemUnmap"), bind(driver.set_access, "cuMemSetAccess");
  RETURN_IF_ERROR(status);
  return driver;
}

Status driver_status(CUresult code, const char* what) {
  if (code == CUDA_SUCCESS) return {};
  return error(code == CUDA_ERROR_OUT_OF_MEMORY ? ErrorCode::kResourceExhausted : ErrorCode::kInternal,
               "{} returned {}", what, static_cast<int>(code));
}

}  // namespace

struct GrowingBuffer::Impl {
  Driver driver;
  CUmemAllocationProp properties{};
  size_t piece = 0, reserved = 0, mapped = 0, max_bytes = 0;
  CUdeviceptr base = 0;
  std::vector<CUmemGenericAllocationHandle> handles;

  ~Impl() {
    // On a dead context all of these fail, and there is nothing left to free.
    if (mapped > 0) driver.unmap(base, mapped);
    for (CUmemGenericAllocationHandle handle : handles) driver.release(handle);
    if (base != 0) driver.free(base, reserved);
  }
};

GrowingBuffer::GrowingBuffer() = default;
GrowingBuffer::GrowingBuffer(GrowingBuffer&&) noexcept = default;
GrowingBuffer& GrowingBuffer::operator=(GrowingBuffer&&) noexcept = default;
GrowingBuffer::~GrowingBuffer() = default;

std::byte* GrowingBuffer::data() const { return impl_ ? reinterpret_cast<std::byte*>(impl_->base) : nullptr; }
size_t GrowingBuffer::size() const { return impl_ ? impl_->mapped : 0; }
size_t GrowingBuffer::max_size() const { return impl_ ? impl_->max_bytes : 0; }

Result<GrowingBuffer> GrowingBuffer::reserve(size_t max_bytes) {
  auto impl = std::make_unique<Impl>();
  ASSIGN_OR_RETURN(impl->driver, find_driver());
  CUDA_RETURN_IF_ERROR(cudaFree(nullptr));  // a context, if this is the first call
  int device = 0;
  CUDA_RETURN_IF_ERROR(cudaGetDevice(&device));
  impl->properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  impl->properties.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device};
  RETURN_IF_ERROR(
      driver_status(impl->driver.granularity(&impl->piece, &impl->properties, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED),
                    "cuMemGetAllocationGranularity"));
  impl->max_bytes = max_bytes;
  impl->reserved = (max_bytes + impl->piece - 1) / impl->piece * impl->piece;
  RETURN_IF_ERROR(driver_status(impl->driver.reserve(&impl->base, impl->reserved, 0, 0, 0), "cuMemAddressReserve"));
  GrowingBuffer buffer;
  buffer.impl_ = std::move(impl);
  return buffer;
}

Status GrowingBuffer::grow(size_t bytes) {
  if (bytes > max_size()) return invalid_argument("a buffer of {} bytes cannot hold {}", max_size(), bytes);
  while (impl_ && impl_->mapped < bytes) {
    CUmemGenericAllocationHandle handle = 0;
    RETURN_IF_ERROR(driver_status(impl_->driver.create(&handle, impl_->piece, &impl_->properties, 0), "cuMemCreate"));
    const CUdeviceptr at = impl_->base + impl_->mapped;
    Status mapped = driver_status(impl_->driver.map(at, impl_->piece, 0, handle, 0), "cuMemMap");
    if (!mapped) {
      impl_->driver.release(handle);
      return mapped;
    }
    impl_->handles.push_back(handle);
    impl_->mapped += impl_->piece;
    const CUmemAccessDesc access{.location = impl_->properties.location, .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    RETURN_IF_ERROR(driver_status(impl_->driver.set_access(at, impl_->piece, &access, 1), "cuMemSetAccess"));
  }
  return {};
}

}  // namespace vllm
