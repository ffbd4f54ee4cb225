#include "bench/arrivals.h"

#include <cmath>

#include "bench/random.h"

namespace vllm::bench {

std::vector<double> arrival_times(size_t count, double rate, double burstiness, uint32_t seed) {
  std::vector<double> out(count, 0.0);
  if (!(rate > 0)) return out;
  MersenneTwister rng = MersenneTwister::numpy(seed);
  double time = 0;
  for (double& at : out) {
    time += std::isinf(burstiness) ? 1 / rate : rng.gamma(burstiness, 1 / (rate * burstiness));
    at = time;
  }
  if (time > 0) {
    for (double& at : out) at *= static_cast<double>(count) / rate / time;
  }
  return out;
}

}  // namespace vllm::bench
