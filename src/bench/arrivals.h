#pragma once
// When requests are sent.
#include <cstddef>
#include <cstdint>
#include <vector>

namespace vllm::bench {

/// Seconds after the start for each of `count` requests: all 0 for `rate` 0 ("inf"); else gaps from a gamma
/// distribution with shape `burstiness` and mean 1 / rate, scaled so that the last request is sent at count / rate.
/// The same times as vLLM's client has for the same seed. An infinite burstiness gives even gaps.
std::vector<double> arrival_times(size_t count, double rate, double burstiness, uint32_t seed);

}  // namespace vllm::bench
