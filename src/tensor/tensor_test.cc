#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <span>
#include <vector>

#include "base/env.h"
#include "tensor/arena.h"
#include "tensor/buffer.h"
#include "tensor/cpu_info.h"
#include "tensor/dtype.h"
#include "tensor/tensor_view.h"
#include "tensor/thread_pool.h"

namespace vllm {
namespace {

TEST(DType, EveryHalfSurvivesARoundTrip) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    float f = to_float(Float16{static_cast<uint16_t>(bits)});
    if (std::isnan(f)) continue;
    EXPECT_EQ(to_float16(f).bits, bits);
    float b = to_float(BFloat16{static_cast<uint16_t>(bits)});
    if (!std::isnan(b)) {
      EXPECT_EQ(to_bfloat16(b).bits, bits);
    }
  }
  EXPECT_EQ(to_float16(65520.0f).bits, 0x7c00);  // half way to the first value beyond the range: infinity
  EXPECT_EQ(to_float16(65519.0f).bits, 0x7bff);
  EXPECT_EQ(to_bfloat16(1.00390625f).bits, 0x3f80);  // a tie goes to even
}

TEST(TensorView, SlicesAndConverts) {
  std::vector<float> data(12);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<float>(i);
  TensorView<float, 2> t(data.data(), {3, 4});
  EXPECT_EQ(t(2, 1), 9.0f);
  TensorView<const void, 2> v = t.slice(1, 3);
  EXPECT_EQ(v.as<const float>()(0, 3), 7.0f);
}

TEST(Arena, GivesAlignedZeroedMemoryApart) {
  Arena arena;
  std::vector<std::span<std::byte>> parts;
  for (size_t bytes : {size_t{1}, size_t{100}, size_t{64} << 20, size_t{70} << 20, size_t{7}}) {
    parts.push_back(arena.allocate(bytes));
    EXPECT_EQ(parts.back().size(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(parts.back().data()) % 64, 0u);
    EXPECT_EQ(parts.back().front(), std::byte{0});
    parts.back().front() = parts.back().back() = std::byte{static_cast<unsigned char>(parts.size())};
  }
  Arena moved = std::move(arena);
  for (size_t i = 0; i < parts.size(); ++i) {
    EXPECT_EQ(parts[i].front(), std::byte{static_cast<unsigned char>(i + 1)});
    EXPECT_EQ(parts[i].back(), std::byte{static_cast<unsigned char>(i + 1)});
  }
}

TEST(Buffer, IsZeroedAndAligned) {
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{1000}, size_t{1} << 20, (size_t{5} << 20) + 3}) {
    Buffer buffer(bytes);
    EXPECT_EQ(buffer.size(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
    for (size_t i = 0; i < bytes; i += 997) EXPECT_EQ(buffer.data()[i], std::byte{0});
    Buffer other = std::move(buffer);
    if (bytes > 0) other.data()[bytes - 1] = std::byte{1};
  }
}

TEST(ThreadPool, RunsEveryTileOnce) {
  for (int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 200; ++round) {
      std::vector<std::atomic<int>> hits(37);
      pool.parallel_for(37, [&](int64_t tile, int thread) {
        EXPECT_LT(thread, threads);
        ++hits[static_cast<size_t>(tile)];
      });
      for (auto& h : hits) EXPECT_EQ(h, 1);
    }
  }
}

#if defined(__aarch64__)
// deploy/arm64/check.sh runs this as several CPUs.
TEST(CpuInfo, SeesWhatAnEmulatedCpuHas) {
  const auto cpu = env("QEMU_CPU");
  if (!cpu || env("VLLM_CPU_ISA")) GTEST_SKIP() << "QEMU_CPU is not set, or VLLM_CPU_ISA is";
  const CpuIsa expected = *cpu == "max"           ? CpuIsa::kNeonI8mm
                          : *cpu == "neoverse-n1" ? CpuIsa::kNeonDotProd
                                                  : CpuIsa::kNeon;
  EXPECT_EQ(cpu_isa(), expected) << *cpu;
}
#endif

TEST(CpuInfo, SaysSomethingPlausible) {
  EXPECT_GE(usable_cpus(), 1);
  EXPECT_GT(available_memory_bytes(), size_t{1} << 20);
  EXPECT_FALSE(cpu_description().empty());
}

}  // namespace
}  // namespace vllm
