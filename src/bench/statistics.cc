#include "bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace vllm::bench {

double mean(std::span<const double> values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double standard_deviation(std::span<const double> values) {
  if (values.empty()) return 0;
  const double middle = mean(values);
  double sum = 0;
  for (double value : values) sum += (value - middle) * (value - middle);
  return std::sqrt(sum / static_cast<double>(values.size()));
}

std::vector<double> percentiles(std::span<const double> values, std::span<const double> percents) {
  if (values.empty()) return std::vector<double>(percents.size(), 0.0);
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> out;
  for (double percent : percents) {
    const double at = std::clamp(percent, 0.0, 100.0) / 100 * static_cast<double>(sorted.size() - 1);
    const auto low = static_cast<size_t>(at);
    const size_t high = std::min(low + 1, sorted.size() - 1);
    out.push_back(sorted[low] + (sorted[high] - sorted[low]) * (at - static_cast<double>(low)));
  }
  return out;
}

double percentile(std::span<const double> values, double percent) {
  return percentiles(values, std::span(&percent, 1)).front();
}

}  // namespace vllm::bench
