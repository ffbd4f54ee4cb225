#include <iterator>

#include "bench/flags.h"

namespace vllm::bench {
namespace {

using cli::Flag;
using enum cli::FlagType;
using Args = ServeBenchArgs;
constexpr auto B = cli::Effect::kBuilt;
constexpr auto W = cli::Effect::kWarn;
constexpr auto R = cli::Effect::kRefuse;

// "inf" has no number: 0 stands for it.
Status set_rate(cli::ServeArgs& args, const cli::FlagValue& value) {
  if (value.text != "inf" && !(value.number > 0))
    return invalid_argument("{} is no rate: expected a number above 0, or inf", value.text);
  static_cast<Args&>(args).request_rate = value.text == "inf" ? 0 : value.number;
  return {};
}
Status set_burstiness(cli::ServeArgs& args, const cli::FlagValue& value) {
  if (!(value.number > 0)) return invalid_argument("expected a number above 0");
  return set<&Args::burstiness>(args, value);
}
Status set_model_name(cli::ServeArgs& args, const cli::FlagValue& value) {
  args.served_model_names = {value.text};
  return {};
}

constexpr Flag kTarget[] = {
    {"backend", kString, "openai", "Which API: completions (openai, vllm) or chat completions (openai-chat).", B,
     set<&Args::backend>, "openai|vllm|openai-chat"},
    {"base-url", kString, "http://HOST:PORT",
     "Where the server is: http://host:port or https://host:port, with a path prefix if any.", B, set<&Args::base_url>},
    {"host", kString, "127.0.0.1", "Host of the server.", B, set<&cli::ServeArgs::host>},
    {"port", kInt, "8000", "Port of the server.", B, set_int<&cli::ServeArgs::port, 1>},
    {"endpoint", kString, "the backend's", "Path of the API: /v1/completions, /v1/chat/completions.", B,
     set<&Args::endpoint>},
    {"header", kList, "", "KEY=VALUE headers for every request. OPENAI_API_KEY gives the key.", B, set<&Args::headers>},
    {"model", kString, "the server's first", "Model name in requests, and where the tokenizer is looked for.", B,
     set<&cli::ServeArgs::model>},
    {"served-model-name", kString, "the model", "Model name in requests, if it is another.", B, set_model_name},
    {"tokenizer", kString, "",
     "Folder, .gguf file or hub id. With one, random prompts are text, as vLLM's client sends them; without one they "
     "are lists of token ids (completions only).",
     B, set<&cli::ServeArgs::tokenizer>},
    {"skip-tokenizer-init", kBool, "false", "Never load a tokenizer.", B, set<&Args::skip_tokenizer_init>},
    {"ready-check-timeout-sec", kInt, "0",
     "Send a test request first, again and again until it succeeds or this time is over; 0: none.", B,
     set_int<&Args::ready_check_timeout_s, 0>},
    {"trust-remote-code", kBool, "false", "Accepted: no code of a checkpoint is ever run.", B,
     set<&cli::ServeArgs::trust_remote_code>},
    {"hf-token", kString, "$HF_TOKEN", "Token for gated tokenizers.", B, set<&cli::ServeArgs::hf_token>},
    {"tokenizer-mode", kString, "auto", "", W},
    {"insecure", kBool, "false", "With an https:// --base-url, take whatever certificate the server shows.", B,
     set<&Args::insecure>},
};

constexpr Flag kTraffic[] = {
    {"request-rate", kFloat, "inf", "Requests per second; inf: all at once.", B, set_rate, "inf"},
    {"burstiness", kFloat, "1.0",
     "Shape of the gamma distribution of gaps: 1 is a Poisson process, less is burstier, more is evener.", B,
     set_burstiness},
    {"max-concurrency", kHumanInt, "none", "Most requests open at a time; the others wait in the client.", B,
     set_int<&Args::max_concurrency, 1>},
    {"num-warmups", kHumanInt, "0", "Requests that are sent before and not counted.", B,
     set_int<&Args::num_warmups, 0>},
    {"seed", kInt, "0", "Of prompts and arrival times: those of vLLM's client for the same seed.", B,
     set_int<&cli::ServeArgs::seed, 0>},
    {"ignore-eos", kBool, "false", "Generate to the full length; always so with random prompts.", B,
     set<&Args::ignore_eos>},
    {"logprobs", kInt, "", "Ask for so many logprobs per token.", B, set_int<&Args::logprobs, 0>},
    {"extra-body", kJson, "{}", "Further fields of each request's body.", B, set<&Args::extra_body>},
    {"request-id-prefix", kString, "bench-<random>-", "X-Request-Id is this and the request's number.", B,
     set<&Args::request_id_prefix>},
    {"disable-tqdm", kBool, "false", "No progress line.", B, set<&Args::disable_tqdm>},
    {"lora-modules", kList, "", "", R},
    {"lora-assignment", kString, "random", "", R},
    {"ramp-up-strategy", kString, "", "", R},
    {"ramp-up-start-rps", kInt, "", "", R},
    {"ramp-up-end-rps", kInt, "", "", R},
    {"probe-request-rate", kFloat, "0.0", "", R},
    {"self-timed", kBool, "false", "", R},
    {"use-beam-search", kBool, "false", "", R},
    {"profile", kBool, "false",
     "Ask the server to record the run (/start_profile, /stop_profile): it needs --profiler-config.", B,
     set<&Args::profile>},
    {"chat-template-kwargs", kJson, "", "", R},
};

constexpr Flag kSampling[] = {
    {"temperature", kFloat, "the server's", "0 is greedy.", B, set<&cli::ServeArgs::temperature>},
    {"top-p", kFloat, "the server's", "Nucleus sampling.", B, set<&Args::top_p>},
    {"top-k", kInt, "the server's", "Sample from so many tokens.", B, set_int<&Args::top_k, -1>},
    {"min-p", kFloat, "the server's", "Least probability, as a share of the best token's.", B, set<&Args::min_p>},
    {"frequency-penalty", kFloat, "the server's", "Per use of a token.", B, set<&Args::frequency_penalty>},
    {"presence-penalty", kFloat, "the server's", "For any use of a token.", B, set<&Args::presence_penalty>},
    {"repetition-penalty", kFloat, "1.0", "Factor on used tokens.", B, set<&Args::repetition_penalty>},
};

constexpr Flag kResults[] = {
    {"percentile-metrics", kString, "ttft,tpot,itl",
     "Which of ttft, tpot, itl, e2el, client_queue_time, e2el_including_client_queue are reported.", B,
     set<&Args::percentile_metrics>},
    {"metric-percentiles", kString, "99", "Which percentiles of them: 25,50,75.", B, set<&Args::metric_percentiles>},
    {"goodput", kList, "", "Limits in ms, such as ttft:200 tpot:20 e2el:5000: requests per second within all of them.",
     B, set<&Args::goodput>},
    {"save-result", kBool, "false", "Write the result as JSON.", B, set<&Args::save_result>},
    {"save-detailed", kBool, "false", "With each request's times, lengths, text and error.", B,
     set<&Args::save_detailed>},
    {"append-result", kBool, "false", "Add a line to the file instead of a new one.", B, set<&Args::append_result>},
    {"result-dir", kString, ".", "Folder of the file; it is made.", B, set<&Args::result_dir>},
    {"result-filename", kString, "LABEL-RATEqps-MODEL-DATE.json", "Name of the file.", B, set<&Args::result_filename>},
    {"label", kString, "the backend", "First part of that name, and a key in the result.", B, set<&Args::label>},
    {"metadata", kList, "", "KEY=VALUE pairs to keep in the result.", B, set<&Args::metadata>},
    {"config", kString, "", "A YAML file of flags.", B,
     [](cli::ServeArgs&, const cli::FlagValue&) { return Status(); }},
    {"plot-timeline", kBool, "false", "", R},
    {"timeline-itl-thresholds", kString, "25,50", "", R},
    {"plot-dataset-stats", kBool, "false", "", R},
};

constexpr std::string_view kMostUsed[] = {"base-url",          "model",       "tokenizer",       "random-input-len",
                                          "random-output-len", "num-prompts", "max-concurrency", "request-rate",
                                          "num-warmups",       "temperature", "goodput",         "save-result"};

}  // namespace

const cli::HelpPage& serve_page() {
  static const cli::FlagTable table({{"Server", "Where requests go, and in which form.", kTarget},
                                     {"Dataset", "Which prompts are sent.", dataset_flags()},
                                     {"Traffic", "When, and how many at a time.", kTraffic},
                                     {"Sampling", "Sampling parameters; what is not given is left out.", kSampling},
                                     {"Results", "What is reported and kept.", kResults}});
  static const cli::HelpPage page{
      .flags = table,
      .usage = "vllm bench serve [FLAGS]",
      .about =
          "Send prompts to a running OpenAI-compatible server and report throughput and latencies. TTFT is the time to "
          "the first token, TPOT the mean time per token after it (per request), ITL the gaps between chunks (of all "
          "requests together), E2EL the time to the last token.",
      .most_used = kMostUsed,
      .notes =
          "Example: vllm bench serve --port 8000 --random-input-len 512 --random-output-len 256 --num-prompts 640 "
          "--max-concurrency 64"};
  return page;
}

}  // namespace vllm::bench
