#pragma once
// Counter-based random numbers: the same (seed, position, token, stream) gives the same number on every row, batch,
// thread and device. Philox 4x32 with 10 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
#include <array>
#include <cmath>
#include <cstdint>

// Device code calls these too: constexpr functions as they are, the others by this mark.
#ifdef __CUDACC__
#define VLLM_HOST_DEVICE __host__ __device__
#else
#define VLLM_HOST_DEVICE
#endif

namespace vllm::engine {

constexpr std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, uint64_t key) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    uint64_t p0 = uint64_t{0xD2511F53u} * counter[0], p1 = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ k0, static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  return counter;
}

/// What one random number is for; each stream is independent of the others.
enum class RandomStream : uint32_t { kSample = 0 };

/// Four uniform 32-bit words for the token ids [4 * block, 4 * block + 4) at one output position.
constexpr std::array<uint32_t, 4> random_words(uint64_t seed, int64_t position, uint32_t block, RandomStream stream) {
  return philox4x32(
      {block, static_cast<uint32_t>(position), static_cast<uint32_t>(stream), static_cast<uint32_t>(position >> 32)},
      seed);
}

/// A standard Gumbel variate from a uniform word; in [-3.2, 22.9]. Host and device differ in log's last bit of a
/// double: about one word in 2^27 then gives floats that are neighbours.
VLLM_HOST_DEVICE inline float gumbel(uint32_t word) {
  double v = (static_cast<double>(word) + 0.5) * 0x1p-32;
  return static_cast<float>(-std::log(-std::log1p(-v)));
}
constexpr float kMaxGumbel = 22.9f;

}  // namespace vllm::engine
