// vllm bench serve
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include <fmt/chrono.h>

#include "base/env.h"
#include "bench/arrivals.h"
#include "bench/bench_command.h"
#include "bench/dataset.h"
#include "bench/flags.h"
#include "bench/load_client.h"
#include "bench/metrics.h"
#include "bench/serve_report.h"

namespace vllm::bench {
namespace {

// Everything that is known before the first request.
struct Plan {
  RequestPlan request;
  std::string model_id;
  std::optional<std::string> tokenizer_id;
  PromptTokenizer tokens;  // of it; the tokenizer may be null
  std::vector<Sample> samples;
  Goodput goodput;
  Headers metadata;
  ReportOptions report;
};

Status add_sampling(const ServeBenchArgs& args, json::object& fields) {
  auto add = [&fields](const char* name, const auto& value) {
    if (value) fields[name] = *value;
  };
  add("temperature", args.temperature);
  add("top_p", args.top_p);
  add("top_k", args.top_k);
  add("min_p", args.min_p);
  add("frequency_penalty", args.frequency_penalty);
  add("presence_penalty", args.presence_penalty);
  add("repetition_penalty", args.repetition_penalty);
  add("logprobs", args.logprobs);
  if (args.ignore_eos || args.dataset_name == "random") fields["ignore_eos"] = true;
  for (const auto& field : args.extra_body) fields[field.key()] = field.value();
  return {};
}

Result<std::vector<std::string>> metric_names(const std::string& text) {
  std::vector<std::string> out;
  for (size_t start = 0; start < text.size();) {
    size_t comma = std::min(text.find(',', start), text.size());
    out.push_back(text.substr(start, comma - start));
    bool known = false;
    for (const char* name : {"ttft", "tpot", "itl", "e2el", "client_queue_time", "e2el_including_client_queue"})
      known |= out.back() == name;
    if (!known) return invalid_argument("--percentile-metrics {}: '{}' is no metric", text, out.back());
    start = comma + 1;
  }
  return out;
}

// The first model that the server lists.
Result<std::string> first_model(LoadClient& client, const RequestPlan& plan) {
  ASSIGN_OR_RETURN(PlainReply reply, client.ask(get_request(plan.target, "/v1/models", plan.headers)));
  auto parsed = parse_json(reply.body);
  if (reply.status == 200 && parsed && parsed->is_object()) {
    const json::array* models = get_array(parsed->get_object(), "data");
    if (models && !models->empty() && models->front().is_object()) {
      if (auto id = get_string(models->front().get_object(), "id")) return *id;
    }
  }
  return error(ErrorCode::kUnavailable, "no model at {}/v1/models (HTTP {}); is the server ready? --model names one",
               plan.target.host_header, reply.status);
}

Result<RequestPlan> plan_requests(const ServeBenchArgs& args) {
  RequestPlan out;
  if (args.base_url.empty()) {
    out.target = make_target(args.host.empty() ? "127.0.0.1" : args.host, args.port);
  } else {
    ASSIGN_OR_RETURN(out.target, parse_base_url(args.base_url));
    out.target.verify = !args.insecure;
  }
  out.api = args.backend == "openai-chat" ? Api::kChat : Api::kCompletions;
  const char* usual = out.api == Api::kChat ? "/v1/chat/completions" : "/v1/completions";
  out.path = args.endpoint.empty() ? usual : args.endpoint;
  if (!out.path.starts_with('/') || out.path.find_first_of(" \r\n") != std::string::npos)
    return invalid_argument("--endpoint {}: expected a path", args.endpoint);
  if (out.path.ends_with("chat/completions") != (out.api == Api::kChat))
    return invalid_argument("--endpoint {} does not fit --backend {}; expected {}", out.path, args.backend, usual);
  ASSIGN_OR_RETURN(Headers headers, parse_pairs("header", args.headers));
  if (auto key = env("OPENAI_API_KEY"); key && key->find_first_of("\r\n") == std::string::npos)
    out.headers.emplace_back("Authorization", "Bearer " + *key);
  for (auto& header : headers) {
    std::erase_if(out.headers, [&](const auto& other) { return other.first == header.first; });
    out.headers.push_back(std::move(header));
  }
  RETURN_IF_ERROR(add_sampling(args, out.fields));
  return out;
}

// Prompts as text where vLLM's client would have the same lengths; as ids where no tokenizer is at hand.
Status plan_samples(const ServeBenchArgs& args, Plan& plan) {
  const bool is_random = args.dataset_name == "random";
  const bool ids_will_do = is_random && plan.request.api == Api::kCompletions;
  std::string name = args.tokenizer;
  if (name.empty() && !args.skip_tokenizer_init && !ids_will_do && args.dataset_name != "custom") name = plan.model_id;
  if (!name.empty() && !args.skip_tokenizer_init) {
    ASSIGN_OR_RETURN(plan.tokens, find_tokenizer(name, args.hf_token));
    plan.tokenizer_id = name;
  }
  if (is_random && !ids_will_do && !plan.tokens.tokenizer)
    return invalid_argument("chat completions with random prompts need a tokenizer: --tokenizer");
  const PromptForm form = plan.tokens.tokenizer ? PromptForm::kText : PromptForm::kIds;
  ASSIGN_OR_RETURN(plan.samples, make_samples(args, form, plan.tokens.tokenizer.get(), plan.tokens.vocabulary));
  if (!is_random) {
    std::printf("Prompts: text of %s\n", args.dataset_path.c_str());
  } else if (form == PromptForm::kText) {
    std::printf("Prompts: random text, cut to length with the tokenizer %s\n", plan.tokenizer_id->c_str());
  } else {
    std::printf("Prompts: lists of random token ids (no --tokenizer was given)\n");
  }
  return {};
}

Result<Plan> make_plan(const ServeBenchArgs& args, std::unique_ptr<LoadClient>& client) {
  Plan plan;
  ASSIGN_OR_RETURN(plan.request, plan_requests(args));
  ASSIGN_OR_RETURN(plan.goodput, parse_goodput(args.goodput));
  ASSIGN_OR_RETURN(plan.metadata, parse_pairs("metadata", args.metadata));
  plan.report = {
      .max_concurrency = args.max_concurrency, .request_rate = args.request_rate, .has_goodput = plan.goodput.any()};
  ASSIGN_OR_RETURN(plan.report.percentiles, parse_percentiles(args.metric_percentiles));
  ASSIGN_OR_RETURN(plan.report.metrics, metric_names(args.percentile_metrics));
  ASSIGN_OR_RETURN(client, LoadClient::make(plan.request.target));
  if (args.settings.count("model")) {
    plan.model_id = args.model;
  } else {
    ASSIGN_OR_RETURN(plan.model_id, first_model(*client, plan.request));
    std::printf("Model not specified: taking the server's first, %s\n", plan.model_id.c_str());
  }
  plan.request.model = args.served_model_names.empty() ? plan.model_id : args.served_model_names.front();
  RETURN_IF_ERROR(plan_samples(args, plan));
  if (!args.temperature && !args.extra_body.contains("temperature"))
    std::printf("WARNING: no --temperature: the server's default is used, which may sample. 0 is greedy.\n");
  return plan;
}

std::vector<LoadJob> make_jobs(const Plan& plan, const std::string& prefix) {
  std::vector<LoadJob> jobs;
  jobs.reserve(plan.samples.size());
  for (const Sample& sample : plan.samples)
    jobs.push_back({post_request(plan.request, sample, prefix + std::to_string(jobs.size())), sample.prompt_len,
                    sample.output_len});
  return jobs;
}

// The first prompt, until it is answered or the time is over. vLLM's client does the same.
Status wait_until_ready(LoadClient& client, const LoadJob& job, Api api, int64_t timeout_s) {
  std::printf("Waiting for endpoint to become up in %lld seconds\n", static_cast<long long>(timeout_s));
  const auto end = Clock::now() + std::chrono::seconds(timeout_s);
  for (;;) {
    Outcome outcome = client.run({job}, {.api = api, .arrivals = {0.0}}).outcomes[0];
    if (outcome.success) return {};
    if (Clock::now() >= end)
      return error(ErrorCode::kUnavailable, "the test request failed; check the arguments. {}", outcome.error);
    std::this_thread::sleep_for(std::min<Clock::duration>(std::chrono::seconds(5), end - Clock::now()));
  }
}

// The server's profiler; a run goes on without it, as with vLLM's client.
void ask_profiler(LoadClient& client, const RequestPlan& plan, const char* path) {
  Result<PlainReply> reply = client.ask(empty_post(plan.target, path, plan.headers));
  if (reply && reply->status == 200) return;
  std::printf("WARNING: POST %s failed: %s\n", path,
              !reply                 ? reply.error().message.c_str()
              : reply->status == 404 ? "404; was the server started with --profiler-config '{\"profiler\": \"torch\"}'?"
                                     : reply->body.c_str());
}

// "12/100 [3.1 s]" on a terminal.
std::function<void(size_t)> progress_line(size_t total, bool enabled) {
  if (!enabled || !isatty(STDERR_FILENO)) return {};
  return [total, start = Clock::now()](size_t done) {
    std::fprintf(stderr, "\r%zu/%zu requests [%.1f s]%s", done, total, seconds(Clock::now() - start),
                 done == total ? "\n" : "");
  };
}

// As Python prints a float.
std::string python_float(double value) {
  std::string out = fmt::format("{}", value);
  return out.find_first_of(".en") == std::string::npos ? out + ".0" : out;
}

void print_traffic(const ServeBenchArgs& args) {
  std::printf("Traffic request rate: %s\n", args.request_rate > 0 ? python_float(args.request_rate).c_str() : "inf");
  std::printf("Burstiness factor: %s (%s)\n", python_float(args.burstiness).c_str(),
              args.burstiness == 1 ? "Poisson process" : "Gamma distribution");
  std::printf("Maximum request concurrency: %s\n",
              args.max_concurrency ? std::to_string(*args.max_concurrency).c_str() : "None");
  std::fflush(stdout);
}

void print_failures(const std::vector<Outcome>& outcomes) {
  int shown = 0;
  for (const Outcome& outcome : outcomes) {
    if (outcome.success || shown == 10) continue;
    if (shown == 0) std::printf("Failed requests during benchmark run detected (capping to 10):\n");
    std::printf("Error %d: %s\n", shown++, outcome.error.c_str());
  }
}

// Output tokens that the server did not count.
std::vector<int64_t> count_tokens(const std::vector<Outcome>& outcomes, const text::Tokenizer* tokenizer) {
  std::vector<int64_t> out(outcomes.size());
  for (size_t i = 0; i < outcomes.size() && tokenizer; ++i) {
    if (!outcomes[i].success || outcomes[i].output_tokens > 0) continue;
    if (auto ids = tokenizer->encode(outcomes[i].generated_text, {.add_special_tokens = false}))
      out[i] = static_cast<int64_t>(ids->size());
  }
  return out;
}

json::value text_or_null(const std::string& text) { return text.empty() ? json::value() : json::value(text); }

json::object setup_keys(const ServeBenchArgs& args, const Plan& plan, const std::string& date) {
  json::object out;
  out["date"] = date;
  out["endpoint_type"] = args.backend;
  out["backend"] = args.backend;
  out["label"] = text_or_null(args.label);
  out["model_id"] = plan.model_id;
  out["tokenizer_id"] = text_or_null(plan.tokenizer_id.value_or(""));
  out["num_prompts"] = args.num_prompts;
  for (const auto& [key, value] : plan.metadata) out[key] = value;
  out["request_rate"] = args.request_rate > 0 ? json::value(args.request_rate) : json::value("inf");
  out["burstiness"] = args.burstiness;
  out["max_concurrency"] = args.max_concurrency ? json::value(*args.max_concurrency) : json::value();
  return out;
}

Status save(const ServeBenchArgs& args, const Plan& plan, const std::string& date, const json::object& result) {
  std::string model = plan.model_id.substr(plan.model_id.rfind('/') + 1);
  std::string name =
      fmt::format("{}-{}qps{}-{}-{}.json", args.label.empty() ? args.backend : args.label,
                  args.request_rate > 0 ? python_float(args.request_rate) : "inf",
                  args.max_concurrency ? fmt::format("-concurrency{}", *args.max_concurrency) : "", model, date);
  std::filesystem::path path = args.result_filename.empty() ? name : args.result_filename;
  std::error_code failure;
  if (!args.result_dir.empty()) {
    std::filesystem::create_directories(args.result_dir, failure);
    path = args.result_dir / path;
  }
  const bool add_newline =
      args.append_result && std::filesystem::exists(path, failure) && std::filesystem::file_size(path, failure) > 0;
  std::ofstream out(path, args.append_result ? std::ios::app : std::ios::trunc);
  if (add_newline) out << "\n";
  out << json::serialize(result);
  if (!out.flush()) return error(ErrorCode::kInternal, "{}: cannot be written", path.string());
  return {};
}

Status run(ServeBenchArgs& args) {
  std::unique_ptr<LoadClient> client;
  ASSIGN_OR_RETURN(Plan plan, make_plan(args, client));
  const Api api = plan.request.api;
  if (args.request_id_prefix.empty()) args.request_id_prefix = fmt::format("bench-{:08x}-", std::random_device()());
  const std::vector<LoadJob> jobs = make_jobs(plan, args.request_id_prefix);

  std::printf("Starting initial single prompt test run...\n");
  if (args.ready_check_timeout_s > 0) {
    RETURN_IF_ERROR(wait_until_ready(*client, jobs[0], api, args.ready_check_timeout_s));
    std::printf("Initial test run completed.\n");
  } else {
    std::printf("Skipping endpoint ready check.\n");
  }
  if (args.num_warmups > 0) {
    std::printf("Warming up with %lld requests...\n", static_cast<long long>(args.num_warmups));
    const auto count = static_cast<size_t>(args.num_warmups);
    client->run(std::vector<LoadJob>(count, jobs[0]), {.api = api,
                                                       .arrivals = std::vector<double>(count, 0.0),
                                                       .max_concurrency = args.max_concurrency.value_or(0),
                                                       .on_progress = {}});
    std::printf("Warmup run completed.\n");
  }
  std::printf("Starting main benchmark run...\n");
  print_traffic(args);
  if (args.profile) ask_profiler(*client, plan.request, "/start_profile");
  const LoadResult load = client->run(jobs, {.api = api,
                                             .arrivals = arrival_times(jobs.size(), args.request_rate, args.burstiness,
                                                                       static_cast<uint32_t>(args.seed)),
                                             .max_concurrency = args.max_concurrency.value_or(0),
                                             .on_progress = progress_line(jobs.size(), !args.disable_tqdm)});

  if (args.profile) ask_profiler(*client, plan.request, "/stop_profile");

  print_failures(load.outcomes);
  const ServeMetrics metrics = compute_metrics(load.outcomes, count_tokens(load.outcomes, plan.tokens.tokenizer.get()),
                                               load.duration_s, plan.goodput);
  Report report = make_report(load, metrics, plan.report);
  std::fputs(report.table.c_str(), stdout);

  const std::string date = fmt::format("{:%Y%m%d-%H%M%S}", fmt::localtime(std::time(nullptr)));
  json::object result = setup_keys(args, plan, date);
  for (const auto& field : report.result) result[field.key()] = field.value();
  if (!args.save_detailed) drop_details(result);
  if (args.save_result || args.append_result) RETURN_IF_ERROR(save(args, plan, date, result));
  if (metrics.completed == 0)
    return error(ErrorCode::kUnavailable, "all requests failed; check the arguments and the server");
  return {};
}

}  // namespace

int serve_bench(const std::vector<std::string>& argv) {
  ServeBenchArgs args;
  if (auto status = read_flags(serve_page(), argv, args)) return *status;
  Status status = run(args);
  return status ? 0 : failed(status.error());
}

}  // namespace vllm::bench
