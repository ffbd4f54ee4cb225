// Flags of the commands that run the engine: their own, and all of `vllm serve` but its front end.
#include <algorithm>
#include <vector>

#include "bench/flags.h"

namespace vllm::bench {
namespace {

using cli::Flag;
using enum cli::FlagType;
constexpr auto B = cli::Effect::kBuilt;
constexpr auto R = cli::Effect::kRefuse;

constexpr Flag kLatency[] = {
    {"config", kString, "", "A YAML file of flags.", B,
     [](cli::ServeArgs&, const cli::FlagValue&) { return Status(); }},
    {"input-len", kHumanInt, "32", "Prompt tokens of each sequence.", B, set_int<&LatencyArgs::input_len, 1>},
    {"output-len", kHumanInt, "128", "Output tokens of each sequence.", B, set_int<&LatencyArgs::output_len, 1>},
    {"batch-size", kHumanInt, "8", "Prompts in the batch.", B, set_int<&LatencyArgs::batch_size, 1>},
    {"n", kInt, "1", "Sequences per prompt.", B, set_int<&LatencyArgs::n, 1>},
    {"num-iters-warmup", kInt, "10", "Runs that are not counted.", B, set_int<&LatencyArgs::num_iters_warmup, 0>},
    {"num-iters", kInt, "30", "Runs.", B, set_int<&LatencyArgs::num_iters, 1>},
    {"output-json", kString, "", "File for the result.", B, set<&LatencyArgs::output_json>},
    {"disable-detokenize", kBool, "false", "Leave tokens as ids.", B, set<&LatencyArgs::disable_detokenize>},
    {"profile", kBool, "false",
     "Record one batch, print where its time goes, write a trace for ui.perfetto.dev into the folder of "
     "--profiler-config (vllm-profile), and end.",
     B, set<&LatencyArgs::profile>},
    {"use-beam-search", kBool, "false", "", R},
};

constexpr Flag kThroughput[] = {
    {"config", kString, "", "A YAML file of flags.", B,
     [](cli::ServeArgs&, const cli::FlagValue&) { return Status(); }},
    {"backend", kString, "vllm", "Only this engine.", B,
     [](cli::ServeArgs&, const cli::FlagValue&) { return Status(); }, "vllm"},
    {"n", kInt, "1", "Sequences per prompt.", B, set_int<&ThroughputArgs::n, 1>},
    {"num-warmups", kHumanInt, "0", "Prompts that run before and are not counted.", B,
     set_int<&ThroughputArgs::num_warmups, 0>},
    {"prefix-len", kHumanInt, "0", "Short for --random-prefix-len.", B, set_int<&DatasetArgs::random_prefix_len, 0>},
    {"output-json", kString, "", "File for the result.", B, set<&ThroughputArgs::output_json>},
    {"disable-detokenize", kBool, "false", "Leave tokens as ids.", B, set<&ThroughputArgs::disable_detokenize>},
    {"profile", kBool, "false",
     "Record the run, print where its time goes and write a trace for ui.perfetto.dev into the folder of "
     "--profiler-config (vllm-profile).",
     B, set<&ThroughputArgs::profile>},
    {"async-engine", kBool, "false", "", R},
};

constexpr Flag kRoofline[] = {
    {"config", kString, "", "A YAML file of flags.", B,
     [](cli::ServeArgs&, const cli::FlagValue&) { return Status(); }},
    {"context-len", kHumanInt, "512", "Tokens that a decoding sequence has before its step.", B,
     set_int<&RooflineArgs::context_len, 1>},
    {"prefill-len", kHumanInt, "512", "Tokens of the prompt in the step that reads one.", B,
     set_int<&RooflineArgs::prefill_len, 1>},
    {"batch-size", kHumanInt, "32", "Sequences in the step that decodes many.", B,
     set_int<&RooflineArgs::batch_size, 1>},
    {"output-json", kString, "", "File for the result.", B, set<&RooflineArgs::output_json>},
};

constexpr Flag kStartup[] = {
    {"num-iters-cold", kInt, "3", "Starts with the model's files dropped from the page cache (as far as allowed).", B,
     set_int<&StartupArgs::num_iters_cold, 0>},
    {"num-iters-warmup", kInt, "1", "Starts that are not counted.", B, set_int<&StartupArgs::num_iters_warmup, 0>},
    {"num-iters-warm", kInt, "3", "Starts with the files in the page cache.", B,
     set_int<&StartupArgs::num_iters_warm, 0>},
    {"start-timeout-sec", kInt, "600", "A start that takes longer has failed.", B,
     set_int<&StartupArgs::start_timeout_s, 1>},
    {"output-json", kString, "", "File for the result.", B, set<&StartupArgs::output_json>},
};

// `own` groups, then those of serve: all, or without its front end.
std::vector<cli::FlagGroup> with_engine(std::vector<cli::FlagGroup> own, bool front_end) {
  for (const cli::FlagGroup& group : cli::serve_flag_groups()) {
    if (front_end || group.title != "Frontend") own.push_back(group);
  }
  return own;
}

constexpr std::string_view kLatencyUsed[] = {"input-len",   "output-len", "batch-size", "num-iters",
                                             "output-json", "model",      "dtype",      "max-model-len"};
constexpr std::string_view kThroughputUsed[] = {
    "input-len",   "output-len", "num-prompts", "dataset-name", "n",
    "output-json", "model",      "dtype",       "max-num-seqs", "max-model-len"};
constexpr std::string_view kRooflineUsed[] = {"context-len", "prefill-len", "batch-size", "output-json",
                                              "model",       "dtype",       "threads"};
constexpr std::string_view kStartupUsed[] = {"num-iters-cold", "num-iters-warm", "output-json", "model", "dtype"};

}  // namespace

std::span<const Flag> startup_flags() { return kStartup; }

const cli::HelpPage& latency_page() {
  static const cli::FlagTable table(with_engine({{"Latency", "The batch.", kLatency}}, false));
  static const cli::HelpPage page{
      .flags = table,
      .usage = "vllm bench latency [MODEL] [FLAGS]",
      .about =
          "Run one batch again and again on an engine in this process and report its latency. Prefix caching is off "
          "unless it is asked for. Engine flags are those of `vllm serve`.",
      .most_used = kLatencyUsed};
  return page;
}

const cli::HelpPage& throughput_page() {
  static const cli::FlagTable table(with_engine(
      {{"Throughput", "The run.", kThroughput}, {"Dataset", "Which prompts are run.", dataset_flags()}}, false));
  static const cli::HelpPage page{
      .flags = table,
      .usage = "vllm bench throughput [MODEL] [FLAGS]",
      .about =
          "Give all prompts at once to an engine in this process and report requests and tokens per second. Engine "
          "flags are those of `vllm serve`.",
      .most_used = kThroughputUsed};
  return page;
}

const cli::HelpPage& roofline_page() {
  static const cli::FlagTable table(with_engine({{"Roofline", "The steps.", kRoofline}}, false));
  static const cli::HelpPage page{
      .flags = table,
      .usage = "vllm bench roofline [MODEL] [FLAGS]",
      .about =
          "Measure this CPU's read bandwidth (over the model's footprint) and its int8, bfloat16 and float32 peak with "
          "1 to --threads threads, then each kernel of the model for one token, a batch and a prompt, as a share of "
          "these. Takes about 10 seconds.",
      .most_used = kRooflineUsed};
  return page;
}

const cli::HelpPage& startup_page() {
  static const cli::FlagTable table(with_engine({{"Startup", "The starts.", kStartup}}, true));
  static const cli::HelpPage page{
      .flags = table,
      .usage = "vllm bench startup [MODEL] [FLAGS]",
      .about =
          "Start `vllm serve` with the given flags again and again and report the time from exec to a healthy server, "
          "and to the first byte of a streamed one-token answer.",
      .most_used = kStartupUsed};
  return page;
}

}  // namespace vllm::bench
