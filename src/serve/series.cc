#include "serve/series.h"

#include <prometheus/text_serializer.h>

#include <chrono>

namespace vllm::serve {

void Series::created(const std::string& name, const std::string& help, const SeriesLabels& labels) {
  auto& family = prometheus::BuildGauge().Name(name + "_created").Help(help).Register(registry_);
  if (family.Has(labels)) return;
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  family.Add(labels).Set(now.count());
}

prometheus::Gauge& Series::gauge(const std::string& name, const std::string& help, const SeriesLabels& labels) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry_).Add(labels);
}

prometheus::Counter& Series::counter(const std::string& name, const std::string& help, const SeriesLabels& labels) {
  created(name, help, labels);
  return bare_counter(name, help, labels);
}

prometheus::Counter& Series::bare_counter(const std::string& name, const std::string& help,
                                          const SeriesLabels& labels) {
  return prometheus::BuildCounter().Name(name + "_total").Help(help).Register(registry_).Add(labels);
}

prometheus::Histogram& Series::histogram(const std::string& name, const std::string& help, const SeriesLabels& labels,
                                         const Buckets& buckets) {
  created(name, help, labels);
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry_).Add(labels, buckets);
}

prometheus::Summary& Series::summary(const std::string& name, const std::string& help, const SeriesLabels& labels) {
  created(name, help, labels);
  return prometheus::BuildSummary().Name(name).Help(help).Register(registry_).Add(labels,
                                                                                  prometheus::Summary::Quantiles{});
}

std::string Series::expose() const { return prometheus::TextSerializer().Serialize(registry_.Collect()); }

Buckets buckets_1_2_5(int64_t max) {
  Buckets out;
  for (int64_t power = 1; power <= max; power *= 10) {
    for (int64_t mantissa : {1, 2, 5}) {
      if (mantissa * power <= max) out.push_back(static_cast<double>(mantissa * power));
    }
  }
  return out;
}

}  // namespace vllm::serve
