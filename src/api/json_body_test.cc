// Bodies before their fields are looked at: JSON as Python's reader takes it, and the limits.
#include "api/json_body.h"

#include <gtest/gtest.h>

namespace vllm::api {
namespace {

struct JsonCase {
  std::string_view text;
  std::string_view param, message;
};
TEST(Body, BrokenJsonIsPlacedAsPythonDoes) {
  for (const JsonCase& c : {JsonCase{"{not json", "body.1", "Expecting property name enclosed in double quotes"},
                            {R"({"model": "m", "messages": [)", "body.28", "Expecting value"},
                            {R"({"a"})", "body.4", "Expecting ':' delimiter"},
                            {R"({"a":1,})", "body.7", "Expecting property name"},
                            {R"({"a":1 "b"})", "body.7", "Expecting ',' delimiter"},
                            {"[1,]", "body.3", "Expecting value"},
                            {R"({"a":tru})", "body.5", "Expecting value"},
                            {R"({"a":"\q"})", "body.6", "Invalid \\\\escape"},
                            {R"({"a":"\u12"})", "body.7", "Invalid \\\\uXXXX escape"},
                            {R"({"a":"abc)", "body.5", "Unterminated string"},
                            {"{} x", "body.3", "Extra data"},
                            {R"({"a":01})", "body.6", "Expecting ',' delimiter"},
                            {R"({"é":tru)", "body.5", "Expecting value"},
                            {"{", "body.1", "Expecting property name"}}) {
    auto parsed = parse_body(c.text, "application/json");
    ASSERT_FALSE(parsed) << c.text;
    EXPECT_EQ(parsed.error().param.value_or("-"), c.param) << c.text;
    EXPECT_EQ(parsed.error().type, "Bad Request");
    EXPECT_NE(parsed.error().message.find(c.message), std::string::npos) << parsed.error().message;
  }
}

TEST(Body, OddButReadable) {
  for (std::string_view text :
       {R"({"a":[NaN,-Infinity,1e999,-1e999,1e-999]})", R"({"a":"\ud83d\ude00"})", R"({"a":1,"a":2})", "\n {} \r\n"}) {
    EXPECT_TRUE(parse_body(text, "APPLICATION/JSON; charset=utf-8")) << text;
  }
  auto twice = parse_body(R"({"a":1,"a":2})", "application/json");
  EXPECT_EQ(twice->get_object().at("a").to_number<int>(), 2);
}

TEST(Body, RefusedBeforeAnyField) {
  EXPECT_EQ(parse_body("", "application/json").error().param, "body");
  EXPECT_EQ(parse_body("null", "application/json").error().param, "body");
  EXPECT_EQ(
      parse_body("{}", "text/plain").error().body(),
      R"({"error":{"message":"1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed","type":"Bad Request","param":null,"code":400}})");
  EXPECT_EQ(parse_body("{}", "").error().status, 400);
  const std::string deep = "{\"a\":" + std::string(10000, '[') + std::string(10000, ']') + "}";
  EXPECT_EQ(parse_body(deep, "application/json").error().body(), R"({"detail":"There was an error parsing the body"})");
  EXPECT_EQ(parse_body("{\"prompt\":\"\xff\"}", "application/json").error().body(),
            R"({"detail":"There was an error parsing the body"})");
  EXPECT_EQ(parse_body(R"({"prompt":"\ud800"})", "application/json").error().type, "BadRequestError");
  EXPECT_EQ(parse_body("[" + std::string(100, ' ') + "]", "application/json", {.max_bytes = 100}).error().status, 413);
  EXPECT_EQ(parse_body("[1,2,3,4]", "application/json", {.max_values = 3}).error().status, 400);
}

}  // namespace
}  // namespace vllm::api
