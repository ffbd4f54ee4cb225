#include "bench/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "bench/bench_command.h"

namespace vllm::bench {
namespace {

using testing::HasSubstr;

Status read(const cli::HelpPage& page, cli::ServeArgs& args, const std::vector<std::string>& argv) {
  cli::CommandLine line{page.flags, args, {}, {}};
  return cli::read_command_line(line, argv, "");
}
std::string refused(const cli::HelpPage& page, const std::vector<std::string>& argv) {
  ServeBenchArgs args;
  Status status = read(page, args, argv);
  EXPECT_FALSE(status) << testing::PrintToString(argv);
  return status ? "" : status.error().message;
}

TEST(BenchFlags, HaveOneRowEachAndHelp) {
  for (const cli::HelpPage* page :
       {&serve_page(), &latency_page(), &throughput_page(), &roofline_page(), &startup_page()}) {
    std::set<std::string_view> names;
    for (const cli::FlagGroup& group : page->flags.groups()) {
      for (const cli::Flag& flag : group.flags) {
        EXPECT_TRUE(names.insert(flag.name).second) << page->usage << " " << flag.name;
        EXPECT_EQ(flag.effect == cli::Effect::kBuilt, flag.set != nullptr) << flag.name;
        EXPECT_EQ(flag.effect == cli::Effect::kBuilt, !flag.help.empty()) << flag.name;
      }
    }
    for (std::string_view name : page->most_used) EXPECT_TRUE(page->flags.find(name)) << name;
    EXPECT_THAT(cli::help_text(*page, "short"), HasSubstr("--model"));
    EXPECT_THAT(cli::help_text(*page, "num-itres"), testing::AnyOf(HasSubstr("No group or flag")));
  }
  EXPECT_THAT(cli::help_text(serve_page(), "traffic"), HasSubstr("--burstiness"));
  EXPECT_THAT(cli::help_text(latency_page(), "all"), HasSubstr("--max-num-seqs"));
  EXPECT_EQ(latency_page().flags.find("host"), nullptr);
}

TEST(BenchFlags, OfServeAreRead) {
  ServeBenchArgs a;
  ASSERT_TRUE(read(serve_page(), a,
                   {"--backend",
                    "openai-chat",
                    "--base-url",
                    "http://h:1",
                    "--model",
                    "x/y",
                    "--num-prompts",
                    "2k",
                    "--random-input-len=7",
                    "--random_output_len",
                    "9",
                    "--request-rate",
                    "4.5",
                    "--burstiness",
                    "0.5",
                    "--max-concurrency",
                    "3",
                    "--goodput",
                    "ttft:1",
                    "tpot:2",
                    "--save-result",
                    "--metadata",
                    "a=b",
                    "--temperature",
                    "0",
                    "--top-k",
                    "5",
                    "--extra-body",
                    "{\"x\": 1}",
                    "--ignore-eos"}));
  EXPECT_EQ(a.backend, "openai-chat");
  EXPECT_EQ(a.model, "x/y");
  EXPECT_EQ(a.num_prompts, 2000);
  EXPECT_EQ(a.random_input_len, 7);
  EXPECT_EQ(a.random_output_len, 9);
  EXPECT_EQ(a.request_rate, 4.5);
  EXPECT_EQ(a.burstiness, 0.5);
  EXPECT_EQ(a.max_concurrency, 3);
  EXPECT_THAT(a.goodput, testing::ElementsAre("ttft:1", "tpot:2"));
  EXPECT_TRUE(a.save_result && a.ignore_eos);
  EXPECT_EQ(a.temperature, 0.0);
  EXPECT_EQ(a.top_k, 5);
  EXPECT_EQ(json::serialize(a.extra_body), R"({"x":1})");
  ASSERT_TRUE(read(serve_page(), a, {"--request-rate", "inf"}));
  EXPECT_EQ(a.request_rate, 0);
}

TEST(BenchFlags, UnknownAndUnbuiltOnesAreRefused) {
  EXPECT_THAT(refused(serve_page(), {"--num-promts", "3"}), HasSubstr("--num-prompts"));
  EXPECT_THAT(refused(serve_page(), {"--dtype", "auto"}), HasSubstr("unrecognized"));
  EXPECT_THAT(refused(serve_page(), {"--num-prompts", "0"}), HasSubstr("--num-prompts"));
  EXPECT_THAT(refused(serve_page(), {"--request-rate", "0"}), HasSubstr("--request-rate"));
  EXPECT_THAT(refused(serve_page(), {"--request-rate", "nan"}), HasSubstr("--request-rate"));
  EXPECT_THAT(refused(serve_page(), {"--backend", "tgi"}), HasSubstr("openai-chat"));
  EXPECT_THAT(refused(serve_page(), {"--ramp-up-strategy", "linear"}), HasSubstr("not built"));
  EXPECT_THAT(refused(latency_page(), {"--port", "1"}), HasSubstr("unrecognized"));
}

TEST(BenchFlags, EngineFlagsReachTheEngine) {
  LatencyArgs a;
  ASSERT_TRUE(read(latency_page(), a, {"m", "--batch-size", "4", "--max-num-seqs", "8", "--dtype", "bfloat16"}));
  EXPECT_EQ(a.model, "m");
  EXPECT_EQ(a.batch_size, 4);
  EXPECT_EQ(a.max_num_seqs, 8);
  EXPECT_EQ(a.dtype, "bfloat16");
  EXPECT_FALSE(a.profile);
  ASSERT_TRUE(read(latency_page(), a, {"--profile", "--profiler-config.torch_profiler_dir", "/tmp/p"}));
  EXPECT_TRUE(a.profile);
  EXPECT_EQ(a.profiler.dir, "/tmp/p");
  ThroughputArgs t;
  ASSERT_TRUE(read(throughput_page(), t, {"--input-len", "5", "--n", "2", "--block-size", "32"}));
  EXPECT_EQ(t.input_len, 5);
  EXPECT_EQ(t.n, 2);
  EXPECT_EQ(t.block_size, 32);
}

}  // namespace
}  // namespace vllm::bench
