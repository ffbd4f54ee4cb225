#pragma once
// How far two models' logits are apart.
#include <algorithm>
#include <cmath>
#include <vector>

namespace vllm::model::testing {

struct Distance {
  double largest = 0;   // |difference| of a logit; infinite if anything is NaN or the shapes differ
  double relative = 0;  // the same over the largest |logit|
  double mean_dlogprob = 0;
};

inline Distance distance(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  constexpr Distance kFar{INFINITY, INFINITY, INFINITY};
  if (a.size() != b.size()) return kFar;
  auto log_sum = [](const std::vector<float>& row) {
    double top = *std::max_element(row.begin(), row.end()), sum = 0;
    for (float x : row) sum += std::exp(double{x} - top);
    return top + std::log(sum);
  };
  Distance d;
  double size = 0;
  size_t count = 0;
  for (size_t t = 0; t < a.size(); ++t) {
    if (a[t].size() != b[t].size() || a[t].empty()) return kFar;
    const double shift = log_sum(a[t]) - log_sum(b[t]);
    for (size_t i = 0; i < a[t].size(); ++i) {
      const double difference = double{a[t][i]} - double{b[t][i]};
      if (std::isnan(difference)) return kFar;
      d.largest = std::max(d.largest, std::abs(difference)), size = std::max(size, std::abs(double{b[t][i]}));
      d.mean_dlogprob += std::abs(difference - shift), ++count;
    }
  }
  if (count > 0) d.mean_dlogprob /= static_cast<double>(count);
  d.relative = size > 0 ? d.largest / size : d.largest;
  return d;
}

}  // namespace vllm::model::testing
