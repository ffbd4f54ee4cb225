#pragma once
// For tests on a device: skipping without one, and device copies of host vectors with guards behind them.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "tensor/cuda/buffer.h"
#include "tensor/cuda/device.h"
#include "tensor/cuda/handles.h"

namespace vllm {

/// Skip the test where no GPU is usable.
#define REQUIRE_GPU()                                                                         \
  do {                                                                                        \
    if (auto gpu_ = ::vllm::open_cuda_device(0); !gpu_) GTEST_SKIP() << gpu_.error().message; \
  } while (0)

/// A host vector's twin on the device. Behind it lie 256 guard bytes; guard_intact() says whether a kernel wrote there.
template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(const std::vector<T>& host) : DeviceArray(host.size()) {
    cudaMemcpy(buffer_.data(), host.data(), bytes(), cudaMemcpyHostToDevice);
    cudaDeviceSynchronize();  // our streams do not wait for the default one
  }
  /// Poisoned: every byte is 0xff (NaN for floats).
  explicit DeviceArray(size_t count) : count_(count) {
    buffer_ = DeviceBuffer::allocate(bytes() + kGuard, "a test array").value();
    cudaMemset(buffer_.data(), 0xff, bytes());
    cudaMemset(buffer_.data() + bytes(), 0x5a, kGuard);
    cudaDeviceSynchronize();
  }
  T* data() const { return buffer_.as<T>(); }
  size_t size() const { return count_; }
  std::vector<T> host() const {
    std::vector<T> out(count_);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(out.data(), buffer_.data(), bytes(), cudaMemcpyDeviceToHost), cudaSuccess);
    EXPECT_TRUE(guard_intact());
    return out;
  }
  bool guard_intact() const {
    std::vector<unsigned char> guard(kGuard);
    cudaMemcpy(guard.data(), buffer_.data() + bytes(), kGuard, cudaMemcpyDeviceToHost);
    for (unsigned char c : guard) {
      if (c != 0x5a) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kGuard = 256;
  size_t bytes() const { return count_ * sizeof(T); }
  size_t count_;
  DeviceBuffer buffer_;
};

/// Median milliseconds of `runs` graph replays of what `launches(stream)` launches; for benches.
template <typename Fn>
float time_graph_ms(Fn&& launches, int runs = 20) {
  CudaStream stream = CudaStream::create().value();
  CudaGraph graph = CudaGraph::capture(stream, launches).value();
  CudaEvent begin = CudaEvent::create(true).value(), end = CudaEvent::create(true).value();
  std::vector<float> ms;
  for (int i = 0; i < runs + 3; ++i) {
    bool ok = begin.record(stream) && graph.launch(stream) && end.record(stream) && end.synchronize();
    if (!ok) return -1;
    if (i >= 3) ms.push_back(CudaEvent::elapsed_ms(begin, end).value());
  }
  std::sort(ms.begin(), ms.end());
  return ms[ms.size() / 2];
}

}  // namespace vllm
