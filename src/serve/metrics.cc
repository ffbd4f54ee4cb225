#include "serve/metrics.h"

#include <algorithm>
#include <mutex>

#include "serve/process_stats.h"
#include "serve/series.h"

namespace vllm::serve {
namespace {

// Bucket bounds as in vLLM 0.33's vllm/v1/metrics/loggers.py.
const Buckets kTimeToFirstToken = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,  0.25,  0.5,   0.75,
                                   1.0,   2.5,   5.0,  7.5,  10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0};
const Buckets kInterToken = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2,  0.3,  0.4, 0.5,
                             0.75, 1.0,   2.5,  5.0,   7.5, 10.0, 20.0, 40.0, 80.0};
const Buckets kLatency = {0.3,  0.5,  0.8,  1.0,  1.5,   2.0,   2.5,   5.0,   10.0,   15.0,  20.0,
                          30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0};
const Buckets kIterationTokens = {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};
const Buckets kParamsN = {1, 2, 5, 10, 20};
const Buckets kPreemptions = {1, 2, 3, 4, 5, 10, 20};
// prometheus_fastapi_instrumentator's, as vLLM uses it.
const Buckets kHttpFine = {0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0,  1.5, 2.0,
                           2.5,  3.0,   3.5,  4.0,   4.5, 5.0,  7.5, 10.0, 30.0, 60.0};
const Buckets kHttpCoarse = {0.1, 0.5, 1.0};
constexpr const char* kHttpExcluded[] = {"/metrics", "/health", "/load", "/ping", "/version", "/server_info"};
// A method is the client's text: only these become label values, so that nobody can grow the registry.
constexpr const char* kMethods[] = {"GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"};

// Series that have no meaning here yet, exported as 0 as vLLM does.
constexpr std::pair<const char*, const char*> kIdleCounters[] = {
    {"vllm:estimated_flops_per_gpu", "Estimated floating point operations per GPU."},
    {"vllm:estimated_read_bytes_per_gpu", "Estimated bytes read from memory per GPU."},
    {"vllm:estimated_write_bytes_per_gpu", "Estimated bytes written to memory per GPU."},
    {"vllm:external_prefix_cache_queries", "External prefix cache queries, in tokens."},
    {"vllm:external_prefix_cache_hits", "External prefix cache hits, in tokens."},
    {"vllm:mm_cache_queries", "Multi-modal cache queries, in items."},
    {"vllm:mm_cache_hits", "Multi-modal cache hits, in items."},
};

SeriesLabels with(SeriesLabels labels, const char* name, const std::string& value) {
  labels[name] = value;
  return labels;
}

// Bring a counter up to what the engine counted.
void raise(prometheus::Counter& counter, double to) {
  if (to > counter.Value()) counter.Increment(to - counter.Value());
}

}  // namespace

struct Metrics::Impl {
  explicit Impl(const Options& options);
  void raise_speculation(const engine::EngineStats& stats);

  Series series;
  const std::string model;
  const SeriesLabels labels{{"engine", "0"}, {"model_name", model}};

  prometheus::Counter& counter(const char* name, const char* help) { return series.counter(name, help, labels); }
  prometheus::Counter& counter(const char* name, const char* help, const char* label, const char* value) {
    return series.counter(name, help, with(labels, label, value));
  }
  prometheus::Gauge& gauge(const char* name, const char* help) { return series.gauge(name, help, labels); }
  prometheus::Histogram& histogram(const char* name, const char* help, const Buckets& buckets) {
    return series.histogram(name, help, labels, buckets);
  }
  static constexpr const char* kSuccessHelp = "Count of successfully processed requests.";
  static constexpr const char* kBySourceHelp = "Number of prompt tokens by source.";
  static constexpr const char* kRejectionsHelp = "Count of requests refused because a queue is full.";

  prometheus::Gauge& running = gauge("vllm:num_requests_running", "Number of requests in model execution batches.");
  prometheus::Gauge& waiting = gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.");
  prometheus::Gauge& waiting_capacity =
      series.gauge("vllm:num_requests_waiting_by_reason", "Number of waiting requests by reason.",
                   with(labels, "reason", "capacity"));
  prometheus::Gauge& cache_usage = gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.");
  // Older dashboards ask for this name.
  prometheus::Gauge& gpu_cache_usage = gauge("vllm:gpu_cache_usage_perc", "As vllm:kv_cache_usage_perc.");

  prometheus::Counter& prompt_tokens = counter("vllm:prompt_tokens", "Number of prefill tokens processed.");
  prometheus::Counter& prompt_computed =
      counter("vllm:prompt_tokens_by_source", kBySourceHelp, "source", "local_compute");
  prometheus::Counter& prompt_hit = counter("vllm:prompt_tokens_by_source", kBySourceHelp, "source", "local_cache_hit");
  prometheus::Counter& prompt_cached = counter("vllm:prompt_tokens_cached", "Number of cached prompt tokens.");
  prometheus::Counter& prompt_cached_device =
      counter("vllm:prompt_tokens_cached_by_source", "Number of cached prompt tokens by source.", "source", "device");
  prometheus::Counter& generation_tokens = counter("vllm:generation_tokens", "Number of generation tokens processed.");
  prometheus::Histogram& ttft =
      histogram("vllm:time_to_first_token_seconds", "Histogram of time to first token in seconds.", kTimeToFirstToken);
  prometheus::Histogram& inter_token =
      histogram("vllm:inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", kInterToken);
  prometheus::Histogram& inter_token_alias =
      histogram("vllm:time_per_output_token_seconds", "As vllm:inter_token_latency_seconds.", kInterToken);
  prometheus::Histogram& mean_per_token =
      histogram("vllm:request_time_per_output_token_seconds", "Histogram of a request's mean time per output token.",
                kInterToken);
  prometheus::Histogram& e2e =
      histogram("vllm:e2e_request_latency_seconds", "Histogram of end to end request latency in seconds.", kLatency);
  prometheus::Histogram& queue =
      histogram("vllm:request_queue_time_seconds", "Histogram of time spent in WAITING phase.", kLatency);
  prometheus::Histogram& inference =
      histogram("vllm:request_inference_time_seconds", "Histogram of time spent in RUNNING phase.", kLatency);
  prometheus::Histogram& prefill =
      histogram("vllm:request_prefill_time_seconds", "Histogram of time spent in PREFILL phase.", kLatency);
  prometheus::Histogram& decode =
      histogram("vllm:request_decode_time_seconds", "Histogram of time spent in DECODE phase.", kLatency);
  prometheus::Histogram& iteration_tokens =
      histogram("vllm:iteration_tokens_total", "Histogram of number of tokens per engine step.", kIterationTokens);
  prometheus::Histogram& params_n =
      histogram("vllm:request_params_n", "Histogram of the n request parameter.", kParamsN);
  prometheus::Histogram& preemptions_of_request =
      histogram("vllm:request_num_preemptions", "Histogram of preemptions per request.", kPreemptions);
  const Buckets token_buckets;
  prometheus::Histogram& request_prompt =
      histogram("vllm:request_prompt_tokens", "Number of prefill tokens processed.", token_buckets);
  prometheus::Histogram& request_generation =
      histogram("vllm:request_generation_tokens", "Number of generation tokens processed.", token_buckets);
  prometheus::Histogram& request_max_generation =
      histogram("vllm:request_max_num_generation_tokens", "Histogram of maximum number of requested generation tokens.",
                token_buckets);
  prometheus::Histogram& params_max_tokens =
      histogram("vllm:request_params_max_tokens", "Histogram of the max_tokens request parameter.", token_buckets);
  prometheus::Histogram& computed_tokens = histogram(
      "vllm:request_prefill_kv_computed_tokens", "Histogram of new KV tokens computed during prefill.", token_buckets);

  // on_tokens() notes here; the three series of it are told when somebody asks.
  struct TokenNotes {
    std::mutex mutex;  // guards the rest
    std::vector<double> gaps_in_bucket = std::vector<double>(std::size(kInterToken) + 1);
    double sum_s = 0, num_tokens = 0;
  } notes;
  void tell_notes();

  std::mutex mutex;  // guards the four below and the order of expose()
  prometheus::Counter& prefix_queries = counter("vllm:prefix_cache_queries", "Prefix cache queries, in tokens.");
  prometheus::Counter& prefix_hits = counter("vllm:prefix_cache_hits", "Prefix cache hits, in tokens.");
  prometheus::Counter& preemptions = counter("vllm:num_preemptions", "Cumulative number of preemptions.");
  prometheus::Counter& cpu_seconds =
      series.bare_counter("process_cpu_seconds", "Total user and system CPU time spent in seconds.", {});
};

Metrics::Impl::Impl(const Options& options)
    : model(options.model_name), token_buckets(buckets_1_2_5(std::max<int64_t>(options.max_model_len, 1))) {
  for (const auto& [name, help] : kIdleCounters) counter(name, help);
  series.gauge("vllm:num_requests_waiting_by_reason", "Number of waiting requests by reason.",
               with(labels, "reason", "deferred"));
  for (const char* state : {"awake", "weights_offloaded", "discard_all"}) {
    series
        .gauge("vllm:engine_sleep_state", "Engine sleep state; awake = 0 means the engine is asleep.",
               with(labels, "sleep_state", state))
        .Set(state == std::string_view("awake"));
  }
  counter("vllm:prompt_tokens_by_source", kBySourceHelp, "source", "external_kv_transfer");
  for (const char* source : {"host", "p2p", "disk", "external_unspecified"}) {
    counter("vllm:prompt_tokens_cached_by_source", "Number of cached prompt tokens by source.", "source", source);
  }
  for (const char* reason : {"stop", "length", "abort", "error", "repetition"}) {
    counter("vllm:request_success", kSuccessHelp, "finished_reason", reason);
  }
  for (const char* reason : {"max_num_queued_reqs", "max_num_queued_tokens"}) {
    series.counter("vllm:admission_rejections", kRejectionsHelp, {{"model_name", model}, {"reason", reason}});
  }
  SeriesLabels cache{{"engine", "0"}};
  for (const auto& [name, value] : options.cache_config) cache[name] = value;
  series.gauge("vllm:cache_config_info", "Information of the LLMEngine CacheConfig", cache).Set(1);
}

Metrics::Metrics(Options options) : impl_(std::make_unique<Impl>(options)) {}
Metrics::~Metrics() = default;

void Metrics::on_prompt(int num_prompt_tokens, int num_cached_tokens) {
  impl_->prompt_tokens.Increment(num_prompt_tokens);
  impl_->prompt_computed.Increment(std::max(num_prompt_tokens - num_cached_tokens, 0));
  impl_->prompt_hit.Increment(num_cached_tokens);
  impl_->prompt_cached.Increment(num_cached_tokens);
  impl_->prompt_cached_device.Increment(num_cached_tokens);
}

void Metrics::on_first_token(double ttft_s) {
  impl_->ttft.Observe(ttft_s);
  impl_->generation_tokens.Increment();
}

void Metrics::on_tokens(const TokenGaps& gaps) {
  if (gaps.seconds.empty()) return;
  Impl::TokenNotes& notes = impl_->notes;
  std::lock_guard lock(notes.mutex);
  notes.num_tokens += static_cast<double>(gaps.num_tokens);
  for (const double gap : gaps.seconds) {
    const auto bucket = std::ranges::lower_bound(kInterToken, gap) - std::begin(kInterToken);
    notes.gaps_in_bucket[static_cast<size_t>(bucket)] += 1;
    notes.sum_s += gap;
  }
}

void Metrics::Impl::tell_notes() {
  std::lock_guard lock(notes.mutex);
  generation_tokens.Increment(notes.num_tokens);
  inter_token.ObserveMultiple(notes.gaps_in_bucket, notes.sum_s);
  inter_token_alias.ObserveMultiple(notes.gaps_in_bucket, notes.sum_s);
  std::ranges::fill(notes.gaps_in_bucket, 0);
  notes.sum_s = notes.num_tokens = 0;
}

void Metrics::on_finished(const FinishedSequence& s) {
  Impl& m = *impl_;
  m.series.counter("vllm:request_success", Impl::kSuccessHelp, with(m.labels, "finished_reason", s.finish_reason))
      .Increment();
  m.e2e.Observe(s.e2e_s);
  m.queue.Observe(s.queue_s);
  m.prefill.Observe(s.prefill_s);
  m.decode.Observe(s.decode_s);
  m.inference.Observe(s.inference_s);
  m.mean_per_token.Observe(s.num_generation_tokens > 1 ? s.decode_s / (s.num_generation_tokens - 1) : 0);
  m.request_prompt.Observe(s.num_prompt_tokens);
  m.request_generation.Observe(s.num_generation_tokens);
  m.request_max_generation.Observe(s.num_generation_tokens);
  m.computed_tokens.Observe(std::max(s.num_prompt_tokens - s.num_cached_tokens, 0));
  m.preemptions_of_request.Observe(s.num_preemptions);
  m.params_n.Observe(s.n);
  if (s.max_tokens > 0) m.params_max_tokens.Observe(s.max_tokens);
}

void Metrics::on_rejected(const std::string& reason) {
  impl_->series
      .counter("vllm:admission_rejections", Impl::kRejectionsHelp, {{"model_name", impl_->model}, {"reason", reason}})
      .Increment();
}

void Metrics::on_http(const std::string& handler, const std::string& method, int status, double seconds,
                      size_t request_bytes, size_t response_bytes) {
  for (const char* excluded : kHttpExcluded) {
    if (handler.find(excluded) != std::string::npos) return;
  }
  const bool known = std::ranges::find(kMethods, method) != std::end(kMethods);
  const std::string verb = known ? method : "OTHER";
  Series& s = impl_->series;
  s.counter("http_requests", "Total number of requests by method, status and handler.",
            {{"handler", handler}, {"method", verb}, {"status", std::to_string(status / 100) + "xx"}})
      .Increment();
  s.summary("http_request_size_bytes", "Content length of incoming requests by handler.", {{"handler", handler}})
      .Observe(static_cast<double>(request_bytes));
  s.summary("http_response_size_bytes", "Content length of outgoing responses by handler.", {{"handler", handler}})
      .Observe(static_cast<double>(response_bytes));
  s.histogram("http_request_duration_highr_seconds", "Latency with many buckets but no labels.", {}, kHttpFine)
      .Observe(seconds);
  s.histogram("http_request_duration_seconds", "Latency with few buckets by handler.",
              {{"handler", handler}, {"method", verb}}, kHttpCoarse)
      .Observe(seconds);
}

// vLLM shows these families only where something drafts.
void Metrics::Impl::raise_speculation(const engine::EngineStats& stats) {
  if (stats.accepted_per_position.empty()) return;
  raise(counter("vllm:spec_decode_num_drafts", "Number of spec decoding drafts."),
        static_cast<double>(stats.num_drafts));
  raise(counter("vllm:spec_decode_num_draft_tokens", "Number of draft tokens."),
        static_cast<double>(stats.num_draft_tokens));
  raise(counter("vllm:spec_decode_num_accepted_tokens", "Number of accepted tokens."),
        static_cast<double>(stats.num_accepted_tokens));
  for (size_t i = 0; i < stats.accepted_per_position.size(); ++i) {
    raise(series.counter("vllm:spec_decode_num_accepted_tokens_per_pos", "Accepted tokens per draft position.",
                         with(labels, "position", std::to_string(i))),
          static_cast<double>(stats.accepted_per_position[i]));
  }
}

std::string Metrics::expose(const engine::EngineStats& stats) {
  Impl& m = *impl_;
  std::lock_guard lock(m.mutex);
  m.tell_notes();
  m.running.Set(stats.num_running);
  m.waiting.Set(stats.num_waiting);
  m.waiting_capacity.Set(stats.num_waiting);
  const double blocks = static_cast<double>(stats.num_blocks);
  const double usage = blocks > 0 ? 1.0 - static_cast<double>(stats.num_free_blocks) / blocks : 0.0;
  m.cache_usage.Set(usage);
  m.gpu_cache_usage.Set(usage);
  // The engine counts these itself.
  raise(m.prefix_queries, static_cast<double>(stats.prefix_cache_queries));
  raise(m.prefix_hits, static_cast<double>(stats.prefix_cache_hits));
  raise(m.preemptions, static_cast<double>(stats.num_preemptions));
  m.raise_speculation(stats);
  for (int tokens : stats.iteration_tokens) m.iteration_tokens.Observe(tokens);
  const ProcessStats process = read_process_stats();
  raise(m.cpu_seconds, process.cpu_s);
  m.series.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", {}).Set(process.virtual_bytes);
  m.series.gauge("process_resident_memory_bytes", "Resident memory size in bytes.", {}).Set(process.resident_bytes);
  m.series.gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", {})
      .Set(process.start_time_s);
  m.series.gauge("process_open_fds", "Number of open file descriptors.", {}).Set(process.open_fds);
  m.series.gauge("process_max_fds", "Maximum number of open file descriptors.", {}).Set(process.max_fds);
  return m.series.expose();
}

}  // namespace vllm::serve
