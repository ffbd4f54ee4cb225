#include "tensor/cuda/device.h"

#include <filesystem>
#include <optional>

#include "tensor/cuda/error.h"

namespace vllm {
namespace {

// Of local memory for every thread that the device can hold. CUDA's 1024 bytes take 198 MiB more on an H200; the
// largest frame of our kernels has 120, and for one that needs more the driver makes room at its first launch.
constexpr size_t kStackBytes = 256;

Error not_found(cudaError_t code, int driver_version) {
  auto gpu = [](std::string why) { return error(ErrorCode::kUnavailable, "GPU not found: {}", why); };
  switch (code) {
    case cudaErrorInsufficientDriver:
      if (driver_version == 0 && !std::filesystem::exists("/dev/nvidiactl") && !std::filesystem::exists("/dev/dxg")) {
        return gpu(
            "no NVIDIA driver is visible. In a container, start it with --gpus all (or --runtime nvidia) and install "
            "the NVIDIA container toolkit; on the host, install driver 580 or newer. --device cpu runs without a GPU");
      }
      return gpu(
          fmt::format("the NVIDIA driver supports CUDA {}.{}, and this program needs 13.0; install driver 580 "
                      "or newer, or run with --device cpu",
                      driver_version / 1000, driver_version % 1000 / 10));
    case cudaErrorNoDevice:
      return gpu(
          "the driver shows no device. In a container, start it with --gpus all; check CUDA_VISIBLE_DEVICES and "
          "NVIDIA_VISIBLE_DEVICES; or run with --device cpu");
    default: return gpu(fmt::format("{} ({})", cudaGetErrorString(code), cudaGetErrorName(code)));
  }
}

}  // namespace

Status cuda_status(cudaError_t code, const char* what) {
  if (code == cudaSuccess) return {};
  return error(code == cudaErrorMemoryAllocation ? ErrorCode::kResourceExhausted : ErrorCode::kInternal, "{}: {} ({})",
               what, cudaGetErrorString(code), cudaGetErrorName(code));
}

Result<CudaDevice> open_cuda_device(int ordinal) {
  CudaDevice device{.ordinal = ordinal};
  cudaDriverGetVersion(&device.driver_version);
  int count = 0;
  if (cudaError_t code = cudaGetDeviceCount(&count); code != cudaSuccess) return not_found(code, device.driver_version);
  if (count == 0) return not_found(cudaErrorNoDevice, device.driver_version);
  if (ordinal < 0 || ordinal >= count) {
    return error(ErrorCode::kUnavailable, "GPU not found: device {} was asked for, and {} visible", ordinal,
                 count == 1 ? "1 is" : fmt::format("{} are", count));
  }
  cudaDeviceProp properties;
  CUDA_RETURN_IF_ERROR(cudaSetDevice(ordinal));
  if (cudaDeviceSetLimit(cudaLimitStackSize, kStackBytes) != cudaSuccess) cudaGetLastError();  // it is only larger
  CUDA_RETURN_IF_ERROR(cudaGetDeviceProperties(&properties, ordinal));
  device.name = properties.name;
  device.compute_major = properties.major, device.compute_minor = properties.minor;
  device.sm_count = properties.multiProcessorCount;
  device.l2_bytes = static_cast<size_t>(properties.l2CacheSize);
  device.shared_bytes = properties.sharedMemPerBlockOptin;
  if (cudaError_t code = cudaMemGetInfo(&device.free_bytes, &device.total_bytes); code != cudaSuccess) {
    return not_found(code, device.driver_version);
  }
  return device;
}

Status use_cuda_device(int ordinal) { return cuda_status(cudaSetDevice(ordinal), "cudaSetDevice"); }

Result<CudaMemory> cuda_memory() {
  CudaMemory memory;
  CUDA_RETURN_IF_ERROR(cudaMemGetInfo(&memory.free_bytes, &memory.total_bytes));
  return memory;
}

std::string to_string(const CudaDevice& device) {
  return fmt::format("{} (sm_{}{}, {} SMs, {:.1f} GiB)", device.name, device.compute_major, device.compute_minor,
                     device.sm_count, static_cast<double>(device.total_bytes) / (1 << 30));
}

}  // namespace vllm
