#include <gtest/gtest.h>

#include <numeric>

#include "tensor/cuda/growing_buffer.h"
#include "tensor/cuda/launch.cuh"
#include "tensor/cuda/testing.h"

namespace vllm {
namespace {

__global__ void add_one(int* x, int n) {
  pdl_launch();
  pdl_wait();
  int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) x[i] += 1;
}

TEST(CudaDevice, SaysWhatIsThere) {
  Result<CudaDevice> device = open_cuda_device(0);
  if (!device) {
    EXPECT_TRUE(device.error().message.starts_with("GPU not found: ")) << device.error().message;
    GTEST_SKIP() << device.error().message;
  }
  EXPECT_GT(device->sm_count, 0);
  EXPECT_GT(device->total_bytes, size_t{1} << 30);
  EXPECT_FALSE(open_cuda_device(99));
  printf("%s\n", to_string(*device).c_str());
}

TEST(CudaGraph, ReplaysADependentChain) {
  REQUIRE_GPU();
  std::vector<int> host(100000);
  std::iota(host.begin(), host.end(), 0);
  DeviceArray<int> x(host);
  CudaStream stream = CudaStream::create().value();
  auto chain = [&](StreamRef s) -> Status {
    for (int i = 0; i < 10; ++i) RETURN_IF_ERROR(launch(add_one, {dim3(391), dim3(256)}, s, x.data(), 100000));
    return {};
  };
  Result<CudaGraph> graph = CudaGraph::capture(stream, chain);
  ASSERT_TRUE(graph) << graph.error().message;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(graph->launch(stream));
  std::vector<int> out = x.host();
  for (size_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], static_cast<int>(i) + 50);
}

TEST(DeviceBuffer, RefusesWhatDoesNotFit) {
  REQUIRE_GPU();
  Result<DeviceBuffer> huge = DeviceBuffer::allocate(size_t{1} << 50, "a test");
  ASSERT_FALSE(huge);
  EXPECT_TRUE(huge.error().message.starts_with("Out of memory: a test needs 1048576.00 GiB")) << huge.error().message;
  EXPECT_TRUE(DeviceBuffer::allocate(1 << 20, "a test"));
}

TEST(GrowingBuffer, GrowsInPlace) {
  REQUIRE_GPU();
  GrowingBuffer buffer = GrowingBuffer::reserve(size_t{64} << 20).value();
  std::byte* const at = buffer.data();
  EXPECT_EQ(buffer.size(), 0u);
  ASSERT_TRUE(buffer.grow(1000));
  EXPECT_GE(buffer.size(), 1000u);
  EXPECT_LT(buffer.size(), buffer.max_size());
  CudaStream stream = CudaStream::create().value();
  auto* ints = reinterpret_cast<int*>(at);
  ASSERT_EQ(cudaMemset(at, 0, 400), cudaSuccess);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  // A graph that was captured before the buffer grew.
  Result<CudaGraph> graph = CudaGraph::capture(stream, [&](StreamRef s) {
    return launch(add_one, {dim3(1), dim3(128)}, s, ints, 100);
  });
  ASSERT_TRUE(graph) << graph.error().message;
  ASSERT_TRUE(graph->launch(stream));
  ASSERT_TRUE(buffer.grow(size_t{64} << 20));
  EXPECT_EQ(buffer.data(), at);
  EXPECT_GE(buffer.size(), size_t{64} << 20);
  ASSERT_TRUE(graph->launch(stream));
  ASSERT_TRUE(launch(add_one, {dim3(1), dim3(128)}, stream, ints + (16 << 20) - 100, 100));  // its last bytes
  ASSERT_TRUE(stream.synchronize());
  int first[100];
  ASSERT_EQ(cudaMemcpy(first, at, 400, cudaMemcpyDeviceToHost), cudaSuccess);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(first[i], 2) << i;
  EXPECT_FALSE(buffer.grow((size_t{64} << 20) + 1));
  EXPECT_FALSE(GrowingBuffer().grow(1));
  EXPECT_TRUE(GrowingBuffer().grow(0));
}

TEST(PinnedBuffer, IsSeenByKernels) {
  REQUIRE_GPU();
  PinnedBuffer pinned = PinnedBuffer::allocate(400, "a test").value();
  CudaStream stream = CudaStream::create().value();
  ASSERT_TRUE(launch(add_one, {dim3(1), dim3(128)}, stream, pinned.as<int>(), 100));
  ASSERT_TRUE(stream.synchronize());
  for (int i = 0; i < 100; ++i) EXPECT_EQ(pinned.as<int>()[i], 1);
}

}  // namespace
}  // namespace vllm
