// Chat templates that models ship, rendered with every conversation of tests/golden/jinja: the same bytes as Python's
// jinja2, or a refusal where it refuses. The templates come from the packages of tests/data.lock.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>

#include <fmt/format.h>

#include "base/mapped_file.h"
#include "text/chat_template.h"

namespace vllm::text {
namespace {

std::string fnv1a(std::string_view bytes) {
  uint64_t value = 0xCBF29CE484222325;
  for (unsigned char byte : bytes) value = (value ^ byte) * 0x100000001B3;
  return fmt::format("{:016x}", value);
}

TEST(RealTemplates, EqualJinja2) {
  const char* data = std::getenv("VLLM_TEST_DATA");
  if (data == nullptr) GTEST_SKIP() << "run tests/fetch_data.py FOLDER llama-cpp-python and set VLLM_TEST_DATA=FOLDER";
  setenv("TZ", "UTC", 1);
  tzset();
  auto text = read_file("tests/golden/jinja/real.json");
  ASSERT_TRUE(text) << "run from the repository's root";
  json::value golden = *parse_json(*text);
  const double now = *get_double(golden.as_object(), "now");
  const auto& cases = golden.at("cases").as_array();
  size_t rendered = 0;
  for (const auto& [name, entry] : golden.at("templates").as_object()) {
    SCOPED_TRACE(std::string(name));
    auto source = read_file(
        fmt::format("{}/llama-cpp-python/vendor/llama.cpp/models/templates/{}", data, std::string_view(name)));
    ASSERT_TRUE(source) << source.error().message;
    ASSERT_EQ(fnv1a(*source), entry.at("source").as_string()) << "another version of the template";
    auto compiled = ChatTemplate::compile(*source);
    ASSERT_TRUE(compiled) << compiled.error().message;
    const auto& expected = entry.at("rendered").as_array();
    ASSERT_EQ(expected.size(), cases.size());
    for (size_t i = 0; i < cases.size(); ++i) {
      auto got = compiled->render(cases[i].at("variables").as_object(), now);
      EXPECT_EQ(got ? fnv1a(*got) : "error", expected[i].as_string())
          << cases[i].at("name") << ": " << (got ? *got : got.error().message);
      ++rendered;
    }
  }
  EXPECT_GE(rendered, 3700u);
}

}  // namespace
}  // namespace vllm::text
