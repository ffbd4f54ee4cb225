#include "profile/trace_writer.h"

#include <gtest/gtest.h>

#include <sstream>

namespace vllm::profile {
namespace {

TEST(TraceWriter, WritesWhatAParserReadsBack) {
  std::ostringstream out;
  TraceWriter writer(out, 1'000'000);
  writer.name_process(1, "vllm");
  writer.name_thread(1, 7, "gpu\"worker\\");
  writer.add({.name = "k<1>", .category = "kernel", .pid = 2, .tid = 9, .begin_ns = 1'000'500, .end_ns = 1'002'250},
             {{"step", int64_t{5}}, {"share", 0.5}, {"grid", std::string_view("1,2,3")}});
  writer.add({.name = "no arguments", .category = "phase", .pid = 1, .tid = 7, .begin_ns = 0, .end_ns = 1});
  writer.finish({{"idle", 3}});

  const json::value file = parse_json(out.str()).value();
  const json::array& events = file.at("traceEvents").as_array();
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].at("args").at("name").as_string(), "vllm");
  EXPECT_EQ(events[1].at("args").at("name").as_string(), "gpu\"worker\\");
  EXPECT_EQ(events[2].at("ph").as_string(), "X");
  EXPECT_DOUBLE_EQ(events[2].at("ts").to_number<double>(), 0.5);
  EXPECT_DOUBLE_EQ(events[2].at("dur").to_number<double>(), 1.75);
  EXPECT_EQ(events[2].at("args").at("step").as_int64(), 5);
  EXPECT_DOUBLE_EQ(events[2].at("args").at("share").to_number<double>(), 0.5);
  EXPECT_EQ(events[2].at("args").at("grid").as_string(), "1,2,3");
  EXPECT_FALSE(events[3].as_object().contains("args"));
  EXPECT_DOUBLE_EQ(events[3].at("ts").to_number<double>(), -1000);
  EXPECT_EQ(file.at("otherData").at("idle").as_int64(), 3);
}

TEST(TraceWriter, IsValidWithoutEvents) {
  std::ostringstream out;
  TraceWriter(out, 0).finish({});
  EXPECT_TRUE(parse_json(out.str()).value().at("traceEvents").as_array().empty());
}

TEST(TraceWriter, QuotesEveryByte) {
  std::string every;
  for (int c = 0; c < 256; ++c) every += static_cast<char>(c);
  const json::value back = parse_json(json_quoted(every)).value();
  ASSERT_EQ(back.as_string().size(), 256u);
  for (size_t c = 0; c < 127; ++c) EXPECT_EQ(back.as_string()[c], static_cast<char>(c));
  for (size_t c = 127; c < 256; ++c) EXPECT_EQ(back.as_string()[c], '?');
}

}  // namespace
}  // namespace vllm::profile
