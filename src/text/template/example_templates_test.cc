// The templates that the images carry in /vllm-workspace/examples give what jinja2 gives
// (tests/golden/examples/make.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/mapped_file.h"
#include "text/chat_template.h"

namespace vllm::text {
namespace {
namespace fs = std::filesystem;

const fs::path kExamples = "deploy/image/rootfs/vllm-workspace/examples";

std::string read(const fs::path& path) {
  auto text = read_file(path);
  EXPECT_TRUE(text) << path;
  return text ? *text : "";
}

TEST(ExampleTemplates, GiveWhatJinjaGives) {
  const json::value golden = *parse_json(read("tests/golden/examples/golden.json"));
  size_t num_files = 0;
  for (const auto& entry : fs::directory_iterator(kExamples)) {
    const std::string name = entry.path().filename().string();
    ++num_files;
    const json::value* rendered = golden.at("rendered").as_object().if_contains(name);
    ASSERT_TRUE(rendered) << name << ": run make.py";
    auto compiled = ChatTemplate::compile(read(entry.path()));
    ASSERT_TRUE(compiled) << name << ": " << compiled.error().message;
    for (const auto& [which, text] : rendered->as_object()) {
      auto out = compiled->render(golden.at("cases").at(which).as_object(), 0);
      ASSERT_TRUE(out) << name << ", " << which << ": " << out.error().message;
      EXPECT_EQ(*out, std::string_view(text.as_string())) << name << ", " << which;
    }
  }
  EXPECT_EQ(num_files, golden.at("rendered").as_object().size());
}

TEST(ExampleTemplates, RefuseWhatTheirFormatCannotSay) {
  auto llama = ChatTemplate::compile(read(kExamples / "template_llama2.jinja"));
  ASSERT_TRUE(llama);
  auto out = llama->render(
      parse_json(R"({"messages": [{"role": "assistant", "content": "x"}], "bos_token": "", "eos_token": ""})")
          ->as_object(),
      0);
  ASSERT_FALSE(out);
  EXPECT_THAT(out.error().message, testing::HasSubstr("beginning with user"));
}

}  // namespace
}  // namespace vllm::text
