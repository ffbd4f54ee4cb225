#include "bench/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "bench/arrivals.h"
#include "bench/serve_report.h"
#include "bench/statistics.h"

namespace vllm::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Outcome outcome(double start, double ttft, std::vector<double> itls, int64_t output_tokens, int64_t prompt_len = 10) {
  Outcome out{.success = true, .start_time = start, .ttft = ttft, .latency = ttft, .prompt_len = prompt_len};
  for (double gap : itls) out.latency += gap;
  out.itls = std::move(itls);
  out.output_tokens = output_tokens;
  return out;
}

// numpy 2: np.mean, np.std, np.percentile of [0.3, 0.1, 0.4, 0.15, 0.92, 0.65]
TEST(Statistics, AreNumpys) {
  const std::vector<double> values{0.3, 0.1, 0.4, 0.15, 0.92, 0.65};
  EXPECT_NEAR(mean(values), 0.42, 1e-15);
  EXPECT_NEAR(standard_deviation(values), 0.2866472861665825, 1e-12);
  const double percents[] = {0, 10, 25, 50, 90, 99, 100};
  const auto got = percentiles(values, percents);
  const double expected[] = {0.1, 0.125, 0.1875, 0.35, 0.785, 0.9065, 0.92};
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-12) << percents[i];
  EXPECT_EQ(percentile(std::vector<double>{7}, 99), 7);
  EXPECT_EQ(mean({}), 0);
  EXPECT_EQ(standard_deviation({}), 0);
  EXPECT_EQ(percentile({}, 50), 0);
}

TEST(Metrics, FollowVllmsDefinitions) {
  // 4 tokens in 4 chunks; 5 tokens in 3 chunks; one token; a failure.
  std::vector<Outcome> outcomes{outcome(100.0, 0.2, {0.1, 0.1, 0.4}, 4, 11), outcome(100.5, 0.5, {0.3, 0.1}, 5, 20),
                                outcome(101.0, 0.25, {}, 1, 30), Outcome{.error = "HTTP 500"}};
  ServeMetrics m = compute_metrics(outcomes, {}, 2.0, {});
  EXPECT_EQ(m.completed, 3);
  EXPECT_EQ(m.failed, 1);
  EXPECT_EQ(m.total_input, 61);
  EXPECT_EQ(m.total_output, 10);
  EXPECT_THAT(m.output_lens, ElementsAre(4, 5, 1, 0));
  EXPECT_DOUBLE_EQ(m.request_throughput, 1.5);
  EXPECT_DOUBLE_EQ(m.output_throughput, 5.0);
  EXPECT_DOUBLE_EQ(m.total_token_throughput, 35.5);
  // TPOT: 0.6 / 3 and 0.4 / 4; a request of one token has none.
  ASSERT_EQ(m.tpots.size(), 2u);
  EXPECT_NEAR(m.tpots[0], 0.2, 1e-12);
  EXPECT_NEAR(m.tpots[1], 0.1, 1e-12);
  // ITL: the gaps of all requests in one list.
  EXPECT_THAT(m.itls, ElementsAre(0.1, 0.1, 0.4, 0.3, 0.1));
  EXPECT_NEAR(mean(m.itls), 0.2, 1e-12);
  EXPECT_THAT(m.ttfts, ElementsAre(0.2, 0.5, 0.25));
  EXPECT_NEAR(m.e2els[0], 0.8, 1e-12);
  // Second 100: chunks at 100.2, .3, .4, .8; second 101: 101.0, 101.3, 101.4 and 101.25.
  EXPECT_EQ(m.max_output_tokens_per_s, 4);
  EXPECT_EQ(m.max_concurrent_requests, 2);
}

TEST(Metrics, CountTokensThatTheServerDidNot) {
  std::vector<Outcome> outcomes{outcome(0, 0.1, {0.3}, 0), outcome(0, 0.1, {0.3}, 0)};
  ServeMetrics m = compute_metrics(outcomes, {4, 0}, 1.0, {});
  EXPECT_THAT(m.output_lens, ElementsAre(4, 1));
  EXPECT_THAT(m.tpots, ElementsAre(testing::DoubleNear(0.1, 1e-12)));
}

TEST(Metrics, GoodputMeetsEveryLimit) {
  std::vector<Outcome> outcomes{outcome(0, 0.2, {0.1, 0.1}, 3), outcome(0, 0.2, {0.1, 0.3}, 3), outcome(0, 0.3, {}, 1),
                                Outcome{}};
  auto good = [&](std::vector<std::string> items) {
    return compute_metrics(outcomes, {}, 0.5, parse_goodput(items).value()).request_goodput;
  };
  EXPECT_DOUBLE_EQ(good({"ttft:250"}), 4);              // two of them in half a second
  EXPECT_DOUBLE_EQ(good({"ttft:200"}), 4);              // a limit may be met exactly
  EXPECT_DOUBLE_EQ(good({"tpot:150"}), 4);              // a single token counts as 0
  EXPECT_DOUBLE_EQ(good({"ttft:250", "tpot:150"}), 2);  // both
  EXPECT_DOUBLE_EQ(good({"e2el:1000"}), 6);
  EXPECT_DOUBLE_EQ(good({"e2el:1"}), 0);
  for (const char* wrong : {"itl:3", "ttft", "ttft:x", "ttft:-1", "ttft:"})
    EXPECT_FALSE(parse_goodput({wrong})) << wrong;
}

TEST(Metrics, ReadPercentiles) {
  EXPECT_THAT(parse_percentiles("25,50, 99.9").value(), ElementsAre(25, 50, 99.9));
  for (const char* wrong : {"", "x", "101", "-1", "5,,6"}) EXPECT_FALSE(parse_percentiles(wrong)) << wrong;
}

TEST(Report, HasVllmsLinesAndKeys) {
  LoadResult load{.outcomes = {outcome(0, 0.2, {0.1, 0.1}, 3)}, .duration_s = 0.5};
  load.outcomes[0].generated_text = "abc";
  ServeMetrics m = compute_metrics(load.outcomes, {}, load.duration_s, {});
  ReportOptions options{
      .max_concurrency = 4, .metrics = {"ttft", "itl", "client_queue_time"}, .percentiles = {50, 99.9}};
  Report report = make_report(load, m, options);
  EXPECT_THAT(report.table, HasSubstr("============ Serving Benchmark Result ============\n"
                                      "Successful requests:                     1         \n"));
  EXPECT_THAT(report.table, HasSubstr("Maximum request concurrency:             4         \n"));
  EXPECT_THAT(report.table, HasSubstr("Output token throughput (tok/s):         6.00      \n"));
  EXPECT_THAT(report.table, HasSubstr("---------------Time to First Token----------------\n"
                                      "Mean TTFT (ms):                          200.00    \n"
                                      "Median TTFT (ms):                        200.00    \n"
                                      "P50 TTFT (ms):                           200.00    \n"
                                      "P99.9 TTFT (ms):                         200.00    \n"));
  EXPECT_THAT(report.table, testing::Not(HasSubstr("TPOT")));
  EXPECT_NEAR(report.result.at("p99.9_itl_ms").as_double(), 100, 1e-9);
  EXPECT_TRUE(report.result.at("request_goodput").is_null());
  EXPECT_EQ(json::serialize(report.result.at("generated_texts")), R"(["abc"])");
  drop_details(report.result);
  EXPECT_FALSE(report.result.contains("itls"));
  EXPECT_TRUE(report.result.contains("latencies"));
}

// A run of vLLM's own client (tests/golden/bench/make.py): its figures from its lists, and its keys in their order.
TEST(Report, EqualsARecordedResultOfVllm) {
  std::ifstream file("tests/golden/bench/vllm_result.json");
  std::ostringstream text;
  text << file.rdbuf();
  const json::object recorded = parse_json(text.str()).value().get_object();
  auto numbers = [](const json::value& list) { return json::value_to<std::vector<double>>(list); };
  const auto ttfts = numbers(recorded.at("ttfts")), starts = numbers(recorded.at("start_times"));
  const auto latencies = numbers(recorded.at("latencies")), queue_times = numbers(recorded.at("queue_times"));
  LoadResult load{.outcomes = {}, .duration_s = recorded.at("duration").as_double()};
  for (size_t i = 0; i < ttfts.size(); ++i) {
    load.outcomes.push_back({.success = true,
                             .start_time = starts[i],
                             .ttft = ttfts[i],
                             .latency = latencies[i],
                             .queue_time = queue_times[i],
                             .itls = numbers(recorded.at("itls").at(i)),
                             .prompt_len = recorded.at("input_lens").at(i).as_int64(),
                             .output_tokens = recorded.at("output_lens").at(i).as_int64(),
                             .generated_text = std::string(recorded.at("generated_texts").at(i).as_string())});
  }
  const Goodput goodput = parse_goodput({"ttft:250", "e2el:600"}).value();
  const ServeMetrics metrics = compute_metrics(load.outcomes, {}, load.duration_s, goodput);
  const Report report =
      make_report(load, metrics,
                  {.max_concurrency = 2,
                   .request_rate = 12,
                   .has_goodput = true,
                   .metrics = {"ttft", "tpot", "itl", "e2el", "client_queue_time", "e2el_including_client_queue"},
                   .percentiles = {10, 50, 99, 99.9}});
  std::vector<std::string> keys, recorded_keys;
  for (const auto& field : report.result) keys.emplace_back(field.key());
  for (const auto& field : recorded) recorded_keys.emplace_back(field.key());
  ASSERT_GT(recorded_keys.size(), keys.size());
  recorded_keys.erase(recorded_keys.begin(), recorded_keys.end() - static_cast<std::ptrdiff_t>(keys.size()));
  EXPECT_EQ(keys, recorded_keys);
  int figures = 0;
  for (const auto& field : report.result) {
    const json::value& expected = recorded.at(field.key());
    if (field.value().is_double()) {
      EXPECT_NEAR(field.value().as_double(), expected.to_number<double>(), 1e-9 * (1 + load.duration_s) * 1000)
          << field.key();
      ++figures;
    } else {
      EXPECT_EQ(field.value(), expected) << field.key();
    }
  }
  EXPECT_EQ(figures, 49);
}

TEST(Arrivals, AreThoseOfNumpysGammaDistribution) {
  EXPECT_THAT(arrival_times(3, 0, 1, 0), ElementsAre(0, 0, 0));
  // np.random.seed(0); [np.random.gamma(shape=1.0, scale=0.25) for _ in range(4)], summed up and scaled to 1 s
  const double gaps[] = {0.1989686270407775, 0.31398269074145946, 0.2308057864510172, 0.19680028807931768};
  const double sum = gaps[0] + gaps[1] + gaps[2] + gaps[3];
  const auto times = arrival_times(4, 4, 1, 0);
  double at = 0;
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(times[i], (at += gaps[i]) / sum, 1e-12);
  EXPECT_THAT(arrival_times(2, 4, INFINITY, 0), ElementsAre(0.25, 0.5));
}

}  // namespace
}  // namespace vllm::bench
