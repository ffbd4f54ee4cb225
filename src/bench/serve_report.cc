#include "bench/serve_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/statistics.h"

namespace vllm::bench {
namespace {

void line(std::string& table, std::string_view title, double value) {
  table += fmt::format("{:<40} {:<10.2f}\n", title, value);
}
void line(std::string& table, std::string_view title, int64_t value) {
  table += fmt::format("{:<40} {:<10}\n", title, value);
}

// "99" or "99.9", as Python prints a float.
std::string percent_word(double percent) {
  return percent == std::trunc(percent) ? std::to_string(static_cast<int>(percent)) : fmt::format("{}", percent);
}

struct MetricRow {
  std::string_view key, name, header;
  const std::vector<double>* seconds;
};

void add_metric(const MetricRow& row, const ReportOptions& options, Report& out) {
  if (std::find(options.metrics.begin(), options.metrics.end(), row.key) == options.metrics.end()) return;
  out.table += fmt::format("{:-^50}\n", row.header);
  const double average = mean(*row.seconds) * 1000, median = percentile(*row.seconds, 50) * 1000;
  line(out.table, fmt::format("Mean {} (ms):", row.name), average);
  line(out.table, fmt::format("Median {} (ms):", row.name), median);
  out.result[fmt::format("mean_{}_ms", row.key)] = average;
  out.result[fmt::format("median_{}_ms", row.key)] = median;
  out.result[fmt::format("std_{}_ms", row.key)] = standard_deviation(*row.seconds) * 1000;
  const std::vector<double> values = percentiles(*row.seconds, options.percentiles);
  for (size_t i = 0; i < values.size(); ++i) {
    const std::string word = percent_word(options.percentiles[i]);
    line(out.table, fmt::format("P{} {} (ms):", word, row.name), values[i] * 1000);
    out.result[fmt::format("p{}_{}_ms", word, row.key)] = values[i] * 1000;
  }
}

template <typename Get>
json::array list(const std::vector<Outcome>& outcomes, Get get) {
  json::array out;
  out.reserve(outcomes.size());
  for (const Outcome& outcome : outcomes) out.emplace_back(get(outcome));
  return out;
}

}  // namespace

Report make_report(const LoadResult& load, const ServeMetrics& m, const ReportOptions& options) {
  Report out;
  std::string& table = out.table;
  table += fmt::format("{:=^50}\n", " Serving Benchmark Result ");
  line(table, "Successful requests:", m.completed);
  line(table, "Failed requests:", m.failed);
  if (options.max_concurrency) line(table, "Maximum request concurrency:", *options.max_concurrency);
  if (options.request_rate > 0) line(table, "Request rate configured (RPS):", options.request_rate);
  line(table, "Benchmark duration (s):", load.duration_s);
  line(table, "Total input tokens:", m.total_input);
  line(table, "Total generated tokens:", m.total_output);
  line(table, "Request throughput (req/s):", m.request_throughput);
  if (options.has_goodput) line(table, "Request goodput (req/s):", m.request_goodput);
  line(table, "Output token throughput (tok/s):", m.output_throughput);
  line(table, "Peak output token throughput (tok/s):", static_cast<double>(m.max_output_tokens_per_s));
  line(table, "Peak concurrent requests:", static_cast<double>(m.max_concurrent_requests));
  line(table, "Total token throughput (tok/s):", m.total_token_throughput);

  const std::vector<Outcome>& all = load.outcomes;
  json::object& r = out.result;
  r["duration"] = load.duration_s;
  r["completed"] = m.completed;
  r["failed"] = m.failed;
  r["total_input_tokens"] = m.total_input;
  r["total_output_tokens"] = m.total_output;
  r["request_throughput"] = m.request_throughput;
  r["request_goodput"] = options.has_goodput ? json::value(m.request_goodput) : json::value(nullptr);
  r["output_throughput"] = m.output_throughput;
  r["total_token_throughput"] = m.total_token_throughput;
  r["input_lens"] = list(all, [](const Outcome& o) { return o.prompt_len; });
  r["output_lens"] = json::array(m.output_lens.begin(), m.output_lens.end());
  r["ttfts"] = list(all, [](const Outcome& o) { return o.ttft; });
  r["itls"] = list(all, [](const Outcome& o) { return json::array(o.itls.begin(), o.itls.end()); });
  r["latencies"] = list(all, [](const Outcome& o) { return o.latency; });
  r["start_times"] = list(all, [](const Outcome& o) { return o.start_time; });
  r["queue_times"] = list(all, [](const Outcome& o) { return o.queue_time; });
  r["generated_texts"] = list(all, [](const Outcome& o) { return json::string(o.generated_text); });
  r["errors"] = list(all, [](const Outcome& o) { return json::string(o.error); });
  r["max_output_tokens_per_s"] = static_cast<double>(m.max_output_tokens_per_s);
  r["max_concurrent_requests"] = m.max_concurrent_requests;
  r["rtfx"] = 0.0;  // audio only

  const MetricRow rows[] = {
      {"ttft", "TTFT", "Time to First Token", &m.ttfts},
      {"tpot", "TPOT", "Time per Output Token (excl. 1st token)", &m.tpots},
      {"itl", "ITL", "Inter-token Latency", &m.itls},
      {"e2el", "E2EL", "End-to-end Latency", &m.e2els},
      {"client_queue_time", "Client Queue Time", "Client-side Queueing",
       options.max_concurrency ? &m.queue_times : nullptr},
      {"e2el_including_client_queue", "E2EL incl. Client Queue", "Queue-inclusive End-to-end Latency",
       options.max_concurrency && options.request_rate > 0 ? &m.e2els_with_queue : nullptr},
  };
  for (const MetricRow& row : rows) {
    if (row.seconds) add_metric(row, options, out);
  }
  table += std::string(50, '=') + "\n";
  return out;
}

void drop_details(json::object& result) {
  for (const char* key : {"input_lens", "output_lens", "start_times", "ttfts", "itls", "generated_texts", "errors"})
    result.erase(key);
}

}  // namespace vllm::bench
