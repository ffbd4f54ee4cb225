#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cli/kv_size.h"
#include "cli/sampling_defaults.h"
#include "cli/text_files.h"

namespace vllm::cli {
namespace {

using testing::HasSubstr;

constexpr KvSizeInput kPlenty{.model_max_len = 8192,
                              .bytes_per_block = 1 << 20,
                              .block_size = 16,
                              .max_num_seqs = 4,
                              .available_bytes = size_t{8} << 30};

TEST(KvSize, FollowsFlagsAndMemory) {
  KvSize size = size_kv_cache(kPlenty).value();
  EXPECT_EQ(size.max_model_len, 8192);
  EXPECT_EQ(size.num_blocks, 4 * 512 + 1);  // never more than every sequence can use

  KvSizeInput in = kPlenty;
  in.available_bytes = size_t{2} << 30;
  EXPECT_EQ(size_kv_cache(in)->num_blocks, 1024);  // half of what is free

  in = kPlenty;
  in.kv_bytes = int64_t{100} << 20;
  auto refused = size_kv_cache(in);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message,
              testing::AllOf(HasSubstr("Out of memory"), HasSubstr("--max-model-len to at most 1584"),
                             HasSubstr("VLLM_CPU_KVCACHE_SPACE to at least 1")));
  in.requested_max_len = -1;
  EXPECT_EQ(size_kv_cache(in)->max_model_len, 1584);
  in.requested_max_len = 1584;
  EXPECT_TRUE(size_kv_cache(in));

  in = kPlenty;
  in.requested_max_len = 9000;
  EXPECT_THAT(size_kv_cache(in).error().message, HasSubstr("8192"));
  in.allow_longer = true;
  EXPECT_EQ(size_kv_cache(in)->max_model_len, 9000);

  in = kPlenty;
  in.num_blocks = 512;
  EXPECT_EQ(size_kv_cache(in)->num_blocks, 513);
  in.kv_bytes = 0, in.num_blocks.reset(), in.requested_max_len = -1;
  EXPECT_FALSE(size_kv_cache(in));
}

TEST(SamplingDefaults, FlagsWinOverTheCheckpoint) {
  model::GenerationConfig config;
  config.temperature = 0.6;
  config.top_k = 20;
  ASSERT_TRUE(override_generation(config, 0.7, {}));
  EXPECT_EQ(config.temperature, 0.7);
  ASSERT_TRUE(override_generation(config, 0.7, {{"temperature", 0.1}, {"top_p", 0.5}}));
  EXPECT_EQ(config.temperature, 0.1);
  EXPECT_EQ(config.top_p, 0.5);
  EXPECT_EQ(config.top_k, 20);
  EXPECT_THAT(override_generation(config, {}, {{"top_q", 1}}).error().message, HasSubstr("top_p"));
  EXPECT_THAT(override_generation(config, {}, {{"top_p", 7}}).error().message, HasSubstr("top_p"));
}

class Folder : public testing::Test {
 protected:
  Folder() { std::filesystem::create_directories(dir_); }
  ~Folder() override { std::filesystem::remove_all(dir_); }
  void write(const std::string& name, const std::string& text) { std::ofstream(dir_ / name) << text; }
  std::filesystem::path dir_ = testing::TempDir() + "/vllm_startup_test";
};

TEST_F(Folder, GivesItsChatTemplate) {
  EXPECT_EQ(chat_template_of_folder(dir_).value(), "");
  write("tokenizer_config.json",
        R"({"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]})");
  EXPECT_EQ(chat_template_of_folder(dir_).value(), "d");
  write("tokenizer_config.json", R"({"chat_template": "s"})");
  EXPECT_EQ(chat_template_of_folder(dir_).value(), "s");
  write("chat_template.jinja", "j");
  EXPECT_EQ(chat_template_of_folder(dir_).value(), "j");
  EXPECT_EQ(chat_template_argument((dir_ / "chat_template.jinja").string()).value(), "j");
  EXPECT_EQ(chat_template_argument("{{ x }}\\n").value(), "{{ x }}\n");
  EXPECT_THAT(chat_template_argument("no-such-file.jinja").error().message, HasSubstr("--chat-template"));
}

}  // namespace
}  // namespace vllm::cli
