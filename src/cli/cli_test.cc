#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "cli/help.h"
#include "cli/parser.h"
#include "cli/serve_args.h"

namespace vllm::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ServeArgs ok(const std::vector<std::string>& argv) {
  auto line = read_serve_command_line(argv);
  EXPECT_TRUE(line) << (line ? "" : line.error().message);
  return line ? line->args : ServeArgs{};
}
std::string refused(const std::vector<std::string>& argv) {
  auto line = read_serve_command_line(argv);
  EXPECT_FALSE(line);
  return line ? "" : line.error().message;
}

TEST(Flags, HaveOneRowEachAndAllInOneTable) {
  std::set<std::string_view> names, shorts;
  for (const FlagGroup& group : serve_flag_groups()) {
    for (const Flag& flag : group.flags) {
      EXPECT_TRUE(names.insert(flag.name).second) << flag.name;
      if (!flag.short_name.empty()) {
        EXPECT_TRUE(shorts.insert(flag.short_name).second) << flag.short_name;
      }
      EXPECT_EQ(flag.effect == Effect::kBuilt, flag.set != nullptr) << flag.name;
      EXPECT_EQ(flag.effect == Effect::kBuilt, !flag.help.empty()) << flag.name;
      EXPECT_THAT(serve_help(flag.name), HasSubstr("--"));
    }
  }
  EXPECT_GT(names.size(), 250u);
}

TEST(Parser, NamesTheNearestFlags) {
  EXPECT_EQ(nearest_flags("max-modle-len").front(), "max-model-len");
  EXPECT_EQ(nearest_flags("prot").front(), "port");
  EXPECT_EQ(nearest_flags("hots").front(), "host");
  EXPECT_EQ(nearest_flags("gpu-memory-utilisation").front(), "gpu-memory-utilization");
  EXPECT_EQ(nearest_flags("xenable-prefix-caching").front(), "enable-prefix-caching");
  EXPECT_THAT(nearest_flags(std::string(70, 'q')), testing::IsEmpty());
  EXPECT_THAT(nearest_flags("\xff\xfe quite another thing"), testing::IsEmpty());
  EXPECT_LE(nearest_flags("").size(), 3u);
}

TEST(EntryWords, AreDroppedWithAWarning) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"serve"}, {"vllm", "serve"}, {"python3", "-m", "vllm.entrypoints.openai.api_server"}}) {
    auto argv = words;
    argv.insert(argv.end(), {"org/model", "--port", "9"});
    auto line = read_serve_command_line(argv);
    ASSERT_TRUE(line) << words[0];
    EXPECT_EQ(line->args.model, "org/model");
    EXPECT_EQ(line->args.port, 9);
    EXPECT_THAT(line->warnings, ElementsAre(HasSubstr("is what runs already")));
  }
  EXPECT_EQ(ok({"org/serve"}).model, "org/serve");
  EXPECT_EQ(ok({"--served-model-name", "serve"}).model, "Qwen/Qwen3-0.6B");
  EXPECT_THAT(refused({"bash"}), HasSubstr("--entrypoint bash"));
  EXPECT_THAT(refused({"/bin/sh", "-c", "ls"}), HasSubstr("--entrypoint /bin/sh"));
}

TEST(Parser, FollowsArgparse) {
  EXPECT_EQ(ok({"org/model"}).model, "org/model");
  EXPECT_EQ(ok({"--model", "x"}).model, "x");
  EXPECT_EQ(ok({}).model, "Qwen/Qwen3-0.6B");
  EXPECT_EQ(ok({"--max_model_len=4k"}).max_model_len, 4000);
  EXPECT_EQ(ok({"--max-model-len", "4K"}).max_model_len, 4096);
  EXPECT_EQ(ok({"--max-model-len", "25.6k"}).max_model_len, 25600);
  EXPECT_EQ(ok({"--max-model-len", "-1"}).max_model_len, -1);
  EXPECT_EQ(ok({"--max-model-len", "auto"}).max_model_len, -1);
  EXPECT_EQ(ok({"--max-model", "7"}).max_model_len, 7);  // a unique prefix
  EXPECT_EQ(ok({"--port", "1", "--port=2"}).port, 2);    // the last one wins
  EXPECT_FALSE(ok({"--no-enable-prefix-caching"}).enable_prefix_caching);
  EXPECT_FALSE(ok({"--disable-prefix-caching"}).enable_prefix_caching);
  EXPECT_FALSE(ok({"--disable-log-requests"}).enable_log_requests);
  EXPECT_TRUE(ok({"--enable-log-requests=true"}).enable_log_requests);
  EXPECT_THAT(ok({"--served-model-name", "a", "b", "--port", "3"}).served_model_names, ElementsAre("a", "b"));
  EXPECT_THAT(*ok({"--allowed-origins", R"(["*"])"}).allowed_origins, ElementsAre("*"));
  EXPECT_THAT(*ok({"--cors-allow-origins \"*\""}).allowed_origins,
              ElementsAre("*"));  // one argument, from a compose list
  EXPECT_EQ(ok({"m", "--port", "9", "#", "a comment", "--nonsense"}).port, 9);
  EXPECT_EQ(json::serialize(ok({"--default-chat-template-kwargs.a.b", "1", "--default-chat-template-kwargs.l+", "x",
                                "--default-chat-template-kwargs.l+=y"})
                                .default_chat_template_kwargs),
            R"({"a":{"b":1},"l":["x","y"]})");
  EXPECT_EQ(ok({"-tp", "1", "-O3", "-pp=1"}).port, 8000);
  EXPECT_EQ(ok({"-O0"}).optimization_level, 0);
  EXPECT_EQ(ok({"--device-memory-utilization", "0.5"}).gpu_memory_utilization, 0.5);
  EXPECT_EQ(ok({"--kv-cache-memory-bytes", "25G"}).kv_cache_memory_bytes, int64_t{25} << 30);
  EXPECT_EQ(ok({"--device", "cuda"}).device, "cuda");
  EXPECT_EQ(ok({}).kv_cache_dtype, "auto");
  EXPECT_EQ(ok({"--kv-cache-dtype", "fp8"}).kv_cache_dtype, "fp8_e4m3");
  EXPECT_EQ(ok({"--kv-cache-dtype", "int8_per_token_head"}).kv_cache_dtype, "int8_per_token_head");
  EXPECT_THAT(refused({"--kv-cache-dtype", "fp8_e5m2"}), HasSubstr("fp8 (e4m3)"));
  EXPECT_THAT(refused({"--kv-cache-dtype", "int8"}), HasSubstr("fp8_e4m3"));
}

TEST(Parser, NamesWhatIsWrong) {
  EXPECT_THAT(refused({"--max-modle-len", "3"}), HasSubstr("--max-model-len"));
  EXPECT_THAT(refused({"--max"}), HasSubstr("ambiguous"));
  EXPECT_THAT(refused({"--port"}), HasSubstr("expected one value"));
  EXPECT_THAT(refused({"--port", "abc"}), HasSubstr("'abc'"));
  EXPECT_THAT(refused({"--port", "70000"}), HasSubstr("65535"));
  EXPECT_THAT(refused({"--dtype", "int3"}), HasSubstr("bfloat16"));
  EXPECT_THAT(refused({"a", "b"}), HasSubstr("'b'"));
  EXPECT_THAT(refused({"--max-batch-size", "32", "--max-num-seqs", "16"}), HasSubstr("same setting"));
  EXPECT_THAT(refused({"--temperature", "nan"}), HasSubstr("number"));
  EXPECT_THAT(refused({"-tp", "2"}), HasSubstr("tensor-parallel-size 2"));
  EXPECT_THAT(refused({"--quantization", "awq"}), HasSubstr("not built yet"));
  EXPECT_THAT(refused({"--default-chat-template-kwargs", "[1]"}), HasSubstr("JSON object"));
  EXPECT_THAT(refused({"--enable-auto-tool-choice"}), HasSubstr("--tool-call-parser"));
  EXPECT_THAT(refused({"-zz"}), HasSubstr("-zz"));
  EXPECT_THAT(refused({"--gpu-memory-utilization", "1.5"}), HasSubstr("0 to 1"));
  EXPECT_THAT(refused({"-O7"}), HasSubstr("0 to 3"));
  EXPECT_THAT(refused({"--device", "tpu"}), HasSubstr("cuda"));
}

TEST(ServeArgs, AcceptsTheGuidesLines) {
  ServeArgs a = ok({"--model", "meta-llama/Meta-Llama-3-8B-Instruct", "--tensor-parallel-size", "1", "--max-batch-size",
                    "32", "--temperature", "0.7", "--log-file", "/tmp/x.log"});
  EXPECT_EQ(a.max_num_seqs, 32);
  EXPECT_EQ(a.temperature, 0.7);
  auto line = read_serve_command_line({"--gpu-memory-utilization", "0.9", "--swap-space", "4", "--enforce-eager"});
  ASSERT_TRUE(line);
  EXPECT_EQ(line->warnings.size(), 1u);  // --swap-space
  EXPECT_EQ(line->args.gpu_memory_utilization, 0.9);
  EXPECT_TRUE(line->args.enforce_eager);
}

// The shapes in which the guides' CORS flag arrives from shells, compose lists and folded YAML.
TEST(ServeArgs, ReadsOriginsInEveryShape) {
  using List = std::vector<std::string>;
  for (const List& argv :
       {List{"--cors-allow-origins", "*"}, List{"--cors-allow-origins", "\"*\""}, List{"--cors-allow-origins=*"},
        List{"--cors-allow-origins=\"*\""}, List{"--cors-allow-origins \"*\""}, List{"--cors-allow-origins '*'"},
        List{"--cors-allow-origins *"}, List{"--cors_allow_origins", "[\"*\"]"}, List{"--allowed-origins", "[\"*\"]"},
        List{"--allowed-origins", "'[\"*\"]'"}, List{"--allowed-origins=*"}, List{"--allowed-origins [\"*\"]"}}) {
    SCOPED_TRACE(testing::PrintToString(argv));
    EXPECT_THAT(ok(argv).allowed_origins, testing::Optional(ElementsAre("*")));
  }
  EXPECT_THAT(*ok({"--cors-allow-origins", "http://a,http://b:1"}).allowed_origins,
              ElementsAre("http://a", "http://b:1"));
  EXPECT_THAT(*ok({"--allowed-origins", "http://a", "http://b"}).allowed_origins, ElementsAre("http://a", "http://b"));
  EXPECT_THAT(*ok({"--allowed-origins", "[]"}).allowed_origins, ElementsAre());
  EXPECT_EQ(ok({}).allowed_origins, std::nullopt);
  EXPECT_THAT(refused({"--allowed-origins", "'[1'"}), HasSubstr("JSON list"));
}

// What compose files and shells make of a command: (arguments, model, port, a warning's text or none).
TEST(ServeArgs, ReadsTheProfilersConfig) {
  const ServeArgs a = ok({"--profiler-config",
                          R"({"profiler": "torch", "torch_profiler_dir": "/t", "torch_profiler_with_stack": true,
                              "delay_iterations": 0})"});
  EXPECT_TRUE(a.profiler.enabled);
  EXPECT_EQ(a.profiler.dir, "/t");
  EXPECT_FALSE(ok({}).profiler.enabled);
  EXPECT_FALSE(ok({"--profiler-config", R"({"profiler": null})"}).profiler.enabled);
  EXPECT_THAT(refused({"--profiler-config", R"({"profiler": "cuda"})"}), HasSubstr("not built"));
  EXPECT_THAT(refused({"--profiler-config", R"({"max_iterations": 5})"}), HasSubstr("max_iterations"));
  EXPECT_THAT(refused({"--profiler-config", R"({"torch_dir": "x"})"}), HasSubstr("torch_profiler_dir"));
  EXPECT_THAT(refused({"--profiler-config", R"({"torch_profiler_dir": 3})"}), HasSubstr("folder"));
}

TEST(ServeArgs, ReadsWhatComposeFilesPass) {
  struct Row {
    std::vector<std::string> argv;
    std::string model;
    int64_t port;
    std::string warning;
  };
  const Row rows[] = {
      {{"--model=m", "--port=8001"}, "m", 8001, ""},
      {{"--model", "m", " --port", "8001"}, "m", 8001, ""},
      {{"--model", "m", "\n  --port=8001"}, "m", 8001, ""},
      {{"--model m", "--port 8001"}, "m", 8001, ""},
      {{"--model", "m", "--port", "8001", "#", "--port", "9"}, "m", 8001, "comment"},
      {{"--model", "m", "--port", "8001", "#the", "port"}, "m", 8001, "comment"},
      {{"--model", "m", "", "--port", "8001"}, "m", 8001, "an empty argument"},
      {{"m", "", "--port", "8001"}, "m", 8001, "an empty argument"},
      {{"m", "--port", "8001", "--model", "n"}, "m", 8001, "named twice"},
      {{"m", "--port", "8001", "--api-key", ""}, "m", 8001, "asks for no key"},
      {{"m", "--port", "8001", "--served-model-name="}, "m", 8001, ""},
      {{"m", "--port", "8001", "--revision", "", "--chat-template", "", "--log-file="}, "m", 8001, ""},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(testing::PrintToString(row.argv));
    auto line = read_serve_command_line(row.argv);
    ASSERT_TRUE(line) << line.error().message;
    EXPECT_EQ(line->args.model, row.model);
    EXPECT_EQ(line->args.port, row.port);
    EXPECT_TRUE(line->args.served_model_names.empty());
    if (row.warning.empty()) {
      EXPECT_THAT(line->warnings, ElementsAre());
    } else {
      EXPECT_THAT(line->warnings, ElementsAre(HasSubstr(row.warning)));
    }
  }
  EXPECT_THAT(refused({""}), HasSubstr("empty string"));
  EXPECT_THAT(refused({"--model", ""}), HasSubstr("empty"));
  EXPECT_THAT(refused({"m", "--max-model-len="}), HasSubstr("whole number"));
}

class ConfigFile : public testing::Test {
 protected:
  std::string write(const std::string& text) {
    path_ = testing::TempDir() + "/vllm_cli_test.yaml";
    std::ofstream(path_) << text;
    return path_;
  }
  ~ConfigFile() override { std::filesystem::remove(path_); }
  std::string path_;
};

TEST_F(ConfigFile, IsReadBelowTheCommandLine) {
  std::string path = write(
      "model: from/file\nport: 9000\nenable-prefix-caching: false\nserved-model-name: [a, b]\nmax_model_len: "
      "2k\ndefault-chat-template-kwargs: {enable_thinking: false}\n");
  ServeArgs a = ok({"--config", path, "--port", "9001"});
  EXPECT_EQ(a.model, "from/file");
  EXPECT_EQ(a.port, 9001);
  EXPECT_FALSE(a.enable_prefix_caching);
  EXPECT_THAT(a.served_model_names, ElementsAre("a", "b"));
  EXPECT_EQ(a.max_model_len, 2000);
  EXPECT_EQ(a.settings["port"].source, "command line");
  EXPECT_EQ(a.settings["max-model-len"].source, path);
  EXPECT_EQ(json::serialize(a.default_chat_template_kwargs), R"({"enable_thinking":false})");
}

// command line > --config > environment > /etc/vllm/config.yaml > default
TEST_F(ConfigFile, SourcesWinInOrder) {
  std::string system = testing::TempDir() + "/vllm_cli_test_system.yaml";
  std::ofstream(system) << "port: 1\nseed: 1\ntemperature: 0.1\nblock-size: 32\nlog-level: error\napi-key: "
                           "a\nmax-num-seqs: 8\nhf-token: hf_secret\n";
  std::string path = write("port: 2\nseed: 2\nserved-model-name: 1.0\nlog-level: debug\nmax-num-seqs: 16\n");
  setenv("VLLM_API_KEY", "b", 1);
  setenv("VLLM_LOGGING_LEVEL", "WARNING", 1);
  auto above_system = read_serve_command_line({}, system);
  auto all = read_serve_command_line({"--config", path, "--port", "3", "--max-batch-size", "32"}, system);
  unsetenv("VLLM_API_KEY");
  unsetenv("VLLM_LOGGING_LEVEL");
  std::filesystem::remove(system);
  ASSERT_TRUE(above_system) << above_system.error().message;
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_EQ(above_system->args.log_level, "warning");
  EXPECT_THAT(above_system->args.api_keys, ElementsAre("b"));
  EXPECT_EQ(above_system->args.max_num_seqs, 8);
  EXPECT_EQ(all->args.port, 3);
  EXPECT_EQ(all->args.seed, 2);
  EXPECT_EQ(all->args.temperature, 0.1);
  EXPECT_EQ(all->args.block_size, 32);
  EXPECT_EQ(all->args.log_level, "debug");
  EXPECT_EQ(all->args.max_num_seqs, 32);  // a weaker source's --max-num-seqs is no contradiction
  EXPECT_THAT(describe_settings(all->args),
              testing::UnorderedElementsAre(
                  "Set by " + system + ": --block-size 32 --hf-token *** --temperature 0.1",
                  "Set by environment (VLLM_API_KEY): --api-key ***",
                  "Set by " + path + ": --log-level debug --max-num-seqs 16 --seed 2 --served-model-name 1.0",
                  "Set by command line: --config " + path + " --max-batch-size 32 --port 3"));
}

TEST_F(ConfigFile, ErrorsNameTheFile) {
  EXPECT_THAT(refused({"--config", write("config: other.yaml\n")}), HasSubstr("cannot name another"));
  EXPECT_THAT(refused({"--config", write("max-num-seqs: 1\nmax-batch-size: 2\n")}), HasSubstr("same setting"));
  EXPECT_THAT(refused({"--config", write("prot: 1\n")}), testing::AllOf(HasSubstr(path_), HasSubstr("prot")));
  EXPECT_THAT(refused({"--config", write("a: [1\n")}), HasSubstr(path_));
  EXPECT_THAT(refused({"--config", write("- 1\n")}), HasSubstr("flag-name: value"));
  EXPECT_THAT(refused({"--config", "/no/such.yaml"}), HasSubstr("/no/such.yaml"));
  EXPECT_THAT(refused({"--config", "x.json"}), HasSubstr(".yaml"));
}

TEST(Environment, GivesTheApiKeyBelowTheCommandLine) {
  setenv("VLLM_API_KEY", "from-env", 1);
  EXPECT_THAT(ok({}).api_keys, ElementsAre("from-env"));
  EXPECT_THAT(ok({"--api-key", "k1", "k2"}).api_keys, ElementsAre("k1", "k2"));
  unsetenv("VLLM_API_KEY");
}

TEST(Help, TeachesByTopic) {
  EXPECT_THAT(serve_help("short"), HasSubstr("--port"));
  EXPECT_THAT(serve_help("frontend"), HasSubstr("--api-key"));
  EXPECT_THAT(serve_help("max_model_len"), HasSubstr("auto"));
  EXPECT_THAT(serve_help("all"), HasSubstr("--speculative-config"));
  EXPECT_THAT(serve_help("prot"), HasSubstr("--port"));
}

}  // namespace
}  // namespace vllm::cli
