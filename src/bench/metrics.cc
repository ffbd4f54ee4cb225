#include "bench/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace vllm::bench {
namespace {

Result<double> number(std::string_view text) {
  std::string copy(text);
  char* end = nullptr;
  double value = std::strtod(copy.c_str(), &end);
  if (copy.empty() || *end || !std::isfinite(value)) return invalid_argument("'{}' is no number", text);
  return value;
}

bool within(const std::optional<double>& limit_ms, double value_s) { return !limit_ms || value_s <= *limit_ms / 1000; }

// Chunks and open requests in each second after the first start.
void find_peaks(const std::vector<Outcome>& outcomes, ServeMetrics& out) {
  double begin = INFINITY, end = -INFINITY;
  for (const Outcome& o : outcomes) {
    if (!o.success) continue;
    begin = std::min(begin, o.start_time);
    end = std::max(end, o.start_time + o.latency);
  }
  if (!(begin <= end)) return;
  std::vector<int64_t> tokens(static_cast<size_t>(std::ceil(end - begin)) + 1), open(tokens.size());
  auto bucket = [&](double time) { return std::min(static_cast<size_t>(time - begin), tokens.size() - 1); };
  for (const Outcome& o : outcomes) {
    if (!o.success) continue;
    double time = o.start_time + o.ttft;
    ++tokens[bucket(time)];
    for (double gap : o.itls) ++tokens[bucket(time += gap)];
    for (size_t second = bucket(o.start_time); second <= bucket(o.start_time + o.latency); ++second) ++open[second];
  }
  out.max_output_tokens_per_s = *std::max_element(tokens.begin(), tokens.end());
  out.max_concurrent_requests = *std::max_element(open.begin(), open.end());
}

}  // namespace

Result<Goodput> parse_goodput(const std::vector<std::string>& items) {
  Goodput out;
  for (const std::string& item : items) {
    size_t colon = item.find(':');
    std::string name = item.substr(0, colon);
    if (colon == std::string::npos) return invalid_argument("--goodput {}: expected NAME:MILLISECONDS", item);
    ASSIGN_OR_RETURN(double value, number(std::string_view(item).substr(colon + 1)).with_context("--goodput {}", item));
    if (value < 0) return invalid_argument("--goodput {}: expected 0 or more", item);
    std::optional<double>* field = name == "ttft"   ? &out.ttft_ms
                                   : name == "tpot" ? &out.tpot_ms
                                   : name == "e2el" ? &out.e2el_ms
                                                    : nullptr;
    if (!field) return invalid_argument("--goodput {}: expected ttft, tpot or e2el", item);
    *field = value;
  }
  return out;
}

Result<std::vector<double>> parse_percentiles(const std::string& text) {
  std::vector<double> out;
  for (size_t start = 0; start <= text.size();) {
    size_t comma = std::min(text.find(',', start), text.size());
    std::string_view item = std::string_view(text).substr(start, comma - start);
    while (item.starts_with(' ')) item.remove_prefix(1);
    ASSIGN_OR_RETURN(double value, number(item).with_context("--metric-percentiles {}", text));
    if (value < 0 || value > 100) return invalid_argument("--metric-percentiles {}: expected 0 to 100", text);
    out.push_back(value);
    start = comma + 1;
  }
  return out;
}

ServeMetrics compute_metrics(const std::vector<Outcome>& outcomes, const std::vector<int64_t>& counted_lens,
                             double duration_s, const Goodput& goodput) {
  ServeMetrics out;
  int64_t num_good = 0;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const Outcome& o = outcomes[i];
    if (!o.success) {
      ++out.failed;
      out.output_lens.push_back(0);
      continue;
    }
    ++out.completed;
    int64_t length = o.output_tokens;
    if (length == 0) length = i < counted_lens.size() && counted_lens[i] > 0 ? counted_lens[i] : 1;
    out.output_lens.push_back(length);
    out.total_input += o.prompt_len;
    out.total_output += length;
    double tpot = 0;  // one token has no time per further token: any limit holds
    if (length > 1) {
      tpot = (o.latency - o.ttft) / static_cast<double>(length - 1);
      out.tpots.push_back(tpot);
    }
    out.ttfts.push_back(o.ttft);
    out.itls.insert(out.itls.end(), o.itls.begin(), o.itls.end());
    out.e2els.push_back(o.latency);
    out.queue_times.push_back(o.queue_time);
    out.e2els_with_queue.push_back(o.latency + o.queue_time);
    if (goodput.any() && within(goodput.ttft_ms, o.ttft) && within(goodput.tpot_ms, tpot) &&
        within(goodput.e2el_ms, o.latency))
      ++num_good;
  }
  find_peaks(outcomes, out);
  out.request_throughput = static_cast<double>(out.completed) / duration_s;
  out.request_goodput = static_cast<double>(num_good) / duration_s;
  out.output_throughput = static_cast<double>(out.total_output) / duration_s;
  out.total_token_throughput = static_cast<double>(out.total_input + out.total_output) / duration_s;
  return out;
}

}  // namespace vllm::bench
