#pragma once
// numpy's mean, std, median and percentile of a list; all are 0 for an empty one.
#include <span>
#include <vector>

namespace vllm::bench {

double mean(std::span<const double> values);
/// Of the population (divided by n).
double standard_deviation(std::span<const double> values);
/// Linear interpolation between the neighbours; `percent` in [0, 100].
double percentile(std::span<const double> values, double percent);
/// Several of one list: it is sorted once.
std::vector<double> percentiles(std::span<const double> values, std::span<const double> percents);

}  // namespace vllm::bench
