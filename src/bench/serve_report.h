#pragma once
// The table that `bench serve` prints and the JSON that it keeps: titles and keys of vLLM's client.
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "bench/load_client.h"
#include "bench/metrics.h"

namespace vllm::bench {

struct ReportOptions {
  std::optional<int64_t> max_concurrency;
  double request_rate = 0;  // 0: all at once
  bool has_goodput = false;
  std::vector<std::string> metrics;  // which of ttft, tpot, itl, e2el, ...
  std::vector<double> percentiles;
};

struct Report {
  std::string table;
  json::object result;  // all keys, the per-request lists included
};
Report make_report(const LoadResult& load, const ServeMetrics& metrics, const ReportOptions& options);

/// Take the lists out that --save-detailed would keep.
void drop_details(json::object& result);

}  // namespace vllm::bench
