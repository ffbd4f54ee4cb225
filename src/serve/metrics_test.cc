#include "serve/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <set>
#include <span>
#include <sstream>
#include <thread>

namespace vllm::serve {
namespace {

// vLLM's series that have no counterpart here, with the reason.
constexpr const char* kNotBuilt[] = {
    "python_",                            // no interpreter
    "vllm:tool_call_parser_invocations",  // comes with the tool parsers
};
// Ours on top: old names that dashboards still ask for.
constexpr const char* kOurs[] = {"vllm:gpu_cache_usage_perc", "vllm:time_per_output_token_seconds"};

bool starts_with_any(const std::string& text, std::span<const char* const> prefixes) {
  return std::ranges::any_of(prefixes, [&](const char* prefix) { return text.find(prefix) != std::string::npos; });
}

std::string number(const std::string& text) {
  if (text == "+Inf") return text;
  std::ostringstream out;
  out << std::stod(text);
  return out.str();
}

// The form of tests/golden/metrics (see its make.py), as a set of lines.
std::set<std::string> outline(const std::string& exposition) {
  std::set<std::string> lines;
  std::map<std::string, std::vector<std::string>> bounds;
  std::istringstream in(exposition);
  const std::regex label(R"((\w+)="((?:[^"\\]|\\.)*)\")");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("# TYPE ")) lines.insert(line);
    if (line.empty() || line[0] == '#') continue;
    const std::string name = line.substr(0, line.find_first_of("{ "));
    std::vector<std::string> shown;
    std::string le;
    const std::string labels = line[name.size()] == '{' ? line.substr(name.size(), line.rfind('}') - name.size()) : "";
    for (std::sregex_iterator it(labels.begin(), labels.end(), label), end; it != end; ++it) {
      const std::string key = (*it)[1], value = (*it)[2];
      if (key == "le")
        le = value;
      else if (key == "reason" || key == "source" || key == "finished_reason")
        shown.push_back(key + "=" + value);
      else
        shown.push_back(key);
    }
    std::ranges::sort(shown);
    std::string key = name + "{";
    for (const auto& item : shown) key += (key.back() == '{' ? "" : ",") + item;
    key += "}";
    auto& list = bounds[key];
    if (!le.empty() && std::ranges::find(list, number(le)) == list.end()) list.push_back(number(le));
  }
  for (const auto& [key, list] : bounds) {
    std::string line = key;
    if (!list.empty()) line += " le:";
    for (const auto& bound : list) line += " " + bound;
    lines.insert(line);
  }
  return lines;
}

std::set<std::string> golden() {
  std::set<std::string> lines;
  std::ifstream in("tests/golden/metrics/vllm-0.32.0.txt");
  for (std::string line; std::getline(in, line);) {
    const size_t le = line.find(" le: ");
    if (le != std::string::npos) {
      std::istringstream bounds(line.substr(le + 5));
      line.resize(le);
      line += " le:";
      for (std::string bound; bounds >> bound;) line += " " + number(bound);
    }
    if (!starts_with_any(line, kNotBuilt)) lines.insert(line);
  }
  return lines;
}

// Label names of cache_config_info are the configuration's business: here the recorded ones.
std::vector<std::pair<std::string, std::string>> recorded_cache_labels() {
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string& line : golden()) {
    if (!line.starts_with("vllm:cache_config_info{")) continue;
    std::istringstream in(line.substr(23, line.size() - 24));
    for (std::string name; std::getline(in, name, ',');) {
      if (name != "engine") out.emplace_back(name, "x");
    }
  }
  return out;
}

Metrics::Options options() {
  return {.model_name = "m", .max_model_len = 4096, .cache_config = recorded_cache_labels()};
}

TEST(Metrics, HasVllmsSeries) {
  Metrics metrics(options());
  metrics.on_http("/v1/completions", "POST", 200, 0.2, 10, 20);
  std::set<std::string> ours = outline(metrics.expose({}));
  std::erase_if(ours, [](const std::string& line) { return starts_with_any(line, kOurs); });
  EXPECT_THAT(ours, testing::ContainerEq(golden()));
  EXPECT_GT(ours.size(), 180u);
}

// The value of one sample.
double value(const std::string& text, const std::string& sample) {
  const size_t at = ("\n" + text).find("\n" + sample + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + sample.size()));
}
constexpr const char* kLabels = R"({engine="0",model_name="m"})";

TEST(Metrics, CountsTokensAndSequences) {
  Metrics metrics(options());
  metrics.on_prompt(100, 32);
  metrics.on_first_token(0.05);
  TokenGaps gaps;
  gaps.add(2, 0.02);
  metrics.on_tokens(gaps);
  metrics.on_finished({.finish_reason = "length",
                       .e2e_s = 1.2,
                       .decode_s = 0.4,
                       .num_prompt_tokens = 100,
                       .num_generation_tokens = 3,
                       .num_cached_tokens = 32,
                       .max_tokens = 3});
  metrics.on_rejected("max_num_queued_reqs");
  const std::string text = metrics.expose({});
  auto of = [&](const std::string& name) { return value(text, name + kLabels); };
  EXPECT_EQ(of("vllm:prompt_tokens_total"), 100);
  EXPECT_EQ(of("vllm:prompt_tokens_cached_total"), 32);
  EXPECT_EQ(of("vllm:generation_tokens_total"), 3);
  EXPECT_EQ(of("vllm:time_to_first_token_seconds_count"), 1);
  EXPECT_EQ(of("vllm:inter_token_latency_seconds_count"), 1);
  EXPECT_EQ(of("vllm:e2e_request_latency_seconds_sum"), 1.2);
  EXPECT_EQ(of("vllm:request_time_per_output_token_seconds_sum"), 0.2);
  EXPECT_EQ(of("vllm:request_prefill_kv_computed_tokens_sum"), 68);
  EXPECT_EQ(value(text, R"(vllm:prompt_tokens_by_source_total{engine="0",model_name="m",source="local_compute"})"), 68);
  EXPECT_EQ(value(text, R"(vllm:request_success_total{engine="0",finished_reason="length",model_name="m"})"), 1);
  EXPECT_EQ(value(text, R"(vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"})"), 0);
  EXPECT_EQ(value(text, R"(vllm:admission_rejections_total{model_name="m",reason="max_num_queued_reqs"})"), 1);
}

TEST(Metrics, TakesTheEnginesNumbers) {
  Metrics metrics(options());
  engine::EngineStats stats;
  stats.num_running = 3;
  stats.num_waiting = 4;
  stats.num_blocks = 100;
  stats.num_free_blocks = 75;
  stats.prefix_cache_queries = 50;
  stats.num_preemptions = 2;
  stats.iteration_tokens = {1, 9, 300};
  metrics.expose(stats);
  stats.prefix_cache_queries = 60;
  stats.iteration_tokens = {5};
  const std::string text = metrics.expose(stats);
  auto of = [&](const std::string& name) { return value(text, name + kLabels); };
  EXPECT_EQ(of("vllm:num_requests_running"), 3);
  EXPECT_EQ(of("vllm:num_requests_waiting"), 4);
  EXPECT_EQ(of("vllm:kv_cache_usage_perc"), 0.25);
  EXPECT_EQ(of("vllm:gpu_cache_usage_perc"), 0.25);
  EXPECT_EQ(of("vllm:prefix_cache_queries_total"), 60);
  EXPECT_EQ(of("vllm:num_preemptions_total"), 2);
  EXPECT_EQ(of("vllm:iteration_tokens_total_count"), 4);
  EXPECT_GT(value(text, "process_resident_memory_bytes"), 1e6);
  EXPECT_GT(value(text, "process_start_time_seconds"), 1.6e9);
  EXPECT_GT(value(text, "process_open_fds"), 2);
}

TEST(Metrics, GroupsHttpRequests) {
  Metrics metrics(options());
  for (const char* probe : {"/health", "/metrics", "/ping", "/load", "/version"})
    metrics.on_http(probe, "GET", 200, 0, 0, 0);
  EXPECT_EQ(metrics.expose({}).find("http_requests_total{"), std::string::npos);
  metrics.on_http("/v1/completions", "POST", 404, 0.7, 10, 20);
  for (int i = 0; i < 100; ++i) metrics.on_http("none", "M" + std::to_string(i), 405, 0, 0, 0);  // a hostile client
  const std::string text = metrics.expose({});
  EXPECT_EQ(value(text, R"(http_requests_total{handler="/v1/completions",method="POST",status="4xx"})"), 1);
  EXPECT_EQ(value(text, R"(http_requests_total{handler="none",method="OTHER",status="4xx"})"), 100);
  EXPECT_EQ(value(text, R"(http_request_size_bytes_sum{handler="/v1/completions"})"), 10);
  EXPECT_EQ(value(text, R"(http_request_duration_seconds_bucket{handler="/v1/completions",method="POST",le="1"})"), 1);
}

TEST(Metrics, TakesCallsFromManyThreads) {
  Metrics metrics(options());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        TokenGaps gaps;
        gaps.add(1, 0.01);
        metrics.on_tokens(gaps);
        metrics.on_http("/v1/completions", "POST", 200, 0.1, 1, 1);
        if (i % 50 == 0) metrics.expose({});
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(value(metrics.expose({}), std::string("vllm:generation_tokens_total") + kLabels), 800);
}

}  // namespace
}  // namespace vllm::serve
