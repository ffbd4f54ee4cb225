#pragma once
// The ceilings that kernels are judged by, measured on the machine: bytes a second of plain reads, and operations a
// second of loops that touch registers only.
#include <cstddef>
#include <span>

#include "tensor/thread_pool.h"

namespace vllm {

/// Operations a second (a multiply-add is two) of all threads of a pool together; 0 where no instruction is used.
struct PeakRates {
  double int8_ops = 0, bfloat16_flops = 0, float_flops = 0;
  const char* isa = "";
};
/// Takes about a tenth of a second; the best of many short passes, since other jobs may share the cores.
PeakRates measure_peaks(ThreadPool& pool);

/// Bytes a second of reading `memory` from end to end `passes` times: what nine of ten parts of 8 MiB do not exceed.
/// The footprint decides: a few MB lie in a cache, a GB also misses the TLB.
double measure_read_bandwidth(std::span<const std::byte> memory, ThreadPool& pool, int passes = 4);

/// The clock for a pool's work: with one thread its CPU time, which other jobs of a shared machine disturb less.
double compute_seconds(const ThreadPool& pool);

}  // namespace vllm
