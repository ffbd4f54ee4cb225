#include "kernels/peak/peak.h"

#include <gtest/gtest.h>

#include <vector>

#include "tensor/cpu_info.h"

namespace vllm {
namespace {

TEST(Peak, RatesAreThoseOfARealMachine) {
  ThreadPool pool(1);
  PeakRates rates = measure_peaks(pool);
  EXPECT_GT(rates.float_flops, 1e7);
  EXPECT_LT(rates.float_flops, 1e13);
  EXPECT_EQ(rates.int8_ops > 0, cpu_isa() != CpuIsa::kReference);
  EXPECT_EQ(rates.bfloat16_flops > 0, cpu_has_avx512_bf16() || cpu_isa() == CpuIsa::kNeonI8mm);
  EXPECT_LT(rates.int8_ops, 1e14);
}

TEST(Peak, BandwidthNeedsMemory) {
  ThreadPool pool(1);
  std::vector<std::byte> memory(4 << 20);
  EXPECT_GT(measure_read_bandwidth(memory, pool, 2), 1e7);
  EXPECT_EQ(measure_read_bandwidth({}, pool, 2), 0);
}

}  // namespace
}  // namespace vllm
