#pragma once
// prometheus-cpp's registry with what prometheus_client adds on its own: a `_created` gauge beside each counter,
// histogram and summary.
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/summary.h>

#include <string>
#include <vector>

namespace vllm::serve {

using Buckets = std::vector<double>;
using SeriesLabels = prometheus::Labels;

/// Families by name. Every call returns the child of those labels, made on first use. Thread-safe.
class Series {
 public:
  prometheus::Gauge& gauge(const std::string& name, const std::string& help, const SeriesLabels& labels);
  /// `name` without "_total", which is added.
  prometheus::Counter& counter(const std::string& name, const std::string& help, const SeriesLabels& labels);
  /// process_cpu_seconds: the one counter without a `_created`.
  prometheus::Counter& bare_counter(const std::string& name, const std::string& help, const SeriesLabels& labels);
  prometheus::Histogram& histogram(const std::string& name, const std::string& help, const SeriesLabels& labels,
                                   const Buckets& buckets);
  prometheus::Summary& summary(const std::string& name, const std::string& help, const SeriesLabels& labels);
  std::string expose() const;

 private:
  void created(const std::string& name, const std::string& help, const SeriesLabels& labels);
  prometheus::Registry registry_{prometheus::Registry::InsertBehavior::Merge};
};

/// 1, 2, 5, 10, 20, … up to `max`.
Buckets buckets_1_2_5(int64_t max);

}  // namespace vllm::serve
