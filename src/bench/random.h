#pragma once
// The generators behind vLLM's data sets and arrival times, so that one seed means one load, whichever client sends it.
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace vllm::bench {

/// numpy.random.default_rng(seed): PCG64 (O'Neill 2014, XSL-RR 128/64) seeded through numpy's SeedSequence.
class NumpyRng {
 public:
  explicit NumpyRng(uint64_t seed);
  /// Generator.integers(low, high): uniform in [low, high); high > low. Lemire's method (arXiv:1805.10941).
  int64_t integers(int64_t low, int64_t high);
  std::vector<int64_t> integers(int64_t low, int64_t high, size_t count);

 private:
  uint64_t next64();
  uint32_t next32();  // the halves of one next64, low half first
  uint64_t state_high_ = 0, state_low_ = 0, increment_high_ = 0, increment_low_ = 0;
  uint32_t kept_ = 0;
  bool has_kept_ = false;
};

/// MT19937 as Python's `random` and numpy's legacy RandomState use it.
class MersenneTwister {
 public:
  /// random.seed(seed)
  static MersenneTwister python(uint64_t seed);
  /// numpy.random.seed(seed)
  static MersenneTwister numpy(uint32_t seed);

  uint32_t next();
  double uniform();                          // [0, 1), 53 bits
  uint64_t below(uint64_t bound);            // Python's randrange(bound); 0 < bound < 2^32
  double gamma(double shape, double scale);  // numpy.random.gamma

 private:
  void fill(uint32_t seed);
  double exponential();
  double gauss();
  std::array<uint32_t, 624> state_{};
  size_t next_ = 624;
  double kept_gauss_ = 0;
  bool has_gauss_ = false;
};

/// random.shuffle
template <typename T>
void python_shuffle(MersenneTwister& rng, std::vector<T>& items) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[rng.below(i)]);
}

}  // namespace vllm::bench
