#pragma once
// The numbers of --load-format dummy: uniform, so large that products keep the size of their input, and a function of
// the tensor's place alone, so that every device and every order of filling gives the same ones. Host and device code.
#include <cmath>
#include <cstdint>

#include "model/weights/tensor_names.h"

#ifdef __CUDACC__
#define VLLM_HOST_DEVICE __host__ __device__
#else
#define VLLM_HOST_DEVICE
#endif

namespace vllm::model {

/// What a weight's numbers start from.
inline uint64_t dummy_seed(TensorId id, int layer) {
  return (static_cast<uint64_t>(layer) * 64 + static_cast<uint64_t>(id) + 1) * 0x9e3779b97f4a7c15ULL;
}
/// Their bound, for rows of k numbers.
inline double dummy_scale(int64_t k) { return std::sqrt(3.0 / static_cast<double>(k)); }

/// Number i of a row: splitmix64 (Steele et al. 2014) from the row's seed, number i + 1 of its stream. Every step is
/// exact but for one rounding, so contraction of the arithmetic changes nothing.
VLLM_HOST_DEVICE inline float dummy_number(uint64_t seed, int64_t row, int64_t i, double scale) {
  constexpr uint64_t kStep = 0x9e3779b97f4a7c15ULL;
  uint64_t z = (seed ^ (static_cast<uint64_t>(row) << 20)) + (static_cast<uint64_t>(i) + 1) * kStep;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL, z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL, z ^= z >> 31;
  return static_cast<float>((static_cast<double>(z >> 11) * 0x1p-52 - 1) * scale);
}

}  // namespace vllm::model
