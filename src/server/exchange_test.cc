#include "server/exchange.h"

#include <gtest/gtest.h>

namespace vllm::server {
namespace {

struct Fixture {
  int wakes = 0;
  std::shared_ptr<Exchange> exchange = std::make_shared<Exchange>([this] { ++wakes; }, 100);
  std::shared_ptr<serve::ResponseWriter> writer = Exchange::make_writer(exchange);
};

TEST(Exchange, WakesOncePerTake) {
  Fixture f;
  f.writer->start_stream({});
  f.writer->write("a");
  f.writer->write("b");
  EXPECT_EQ(f.wakes, 1);
  auto out = f.exchange->take();
  EXPECT_TRUE(out.stream);
  EXPECT_EQ(out.bytes, "ab");
  EXPECT_FALSE(out.ended);
  f.writer->end();
  EXPECT_EQ(f.wakes, 2);
  EXPECT_TRUE(f.exchange->take().ended);
}

TEST(Exchange, CountsWhatTheSocketHolds) {
  Fixture f;
  f.writer->start_stream({});
  f.writer->write(std::string(60, 'x'));
  EXPECT_EQ(f.writer->pending_bytes(), 60u);
  f.exchange->take();
  EXPECT_EQ(f.writer->pending_bytes(), 60u);
  f.exchange->set_socket_backlog(10);
  EXPECT_EQ(f.writer->pending_bytes(), 10u);
}

TEST(Exchange, CutsAWriterBeyondTheCap) {
  Fixture f;
  int told = 0;
  f.writer->on_disconnect([&] { ++told; });
  f.writer->start_stream({});
  f.writer->write(std::string(90, 'x'));
  f.exchange->take();  // the socket has it, and takes no more
  EXPECT_FALSE(f.exchange->overflowed());
  f.writer->write("x");
  const int wakes = f.wakes;
  f.writer->write(std::string(20, 'x'));
  EXPECT_TRUE(f.exchange->overflowed());
  EXPECT_EQ(f.wakes, wakes + 1);
  EXPECT_EQ(told, 1);
  EXPECT_TRUE(f.exchange->take().cut);
  f.writer->write("more");
  EXPECT_TRUE(f.exchange->take().cut);
  f.exchange->disconnect();
  EXPECT_EQ(told, 1);
}

TEST(Exchange, TakesOneAnswerOnly) {
  Fixture f;
  f.writer->write("before the head");
  f.writer->respond({.body = "first"});
  f.writer->respond({.body = "second"});
  f.writer->start_stream({});
  auto out = f.exchange->take();
  EXPECT_EQ(out.head.body, "first");
  EXPECT_FALSE(out.stream);
  EXPECT_TRUE(out.bytes.empty());
  EXPECT_FALSE(f.exchange->take().has_head);
}

TEST(Exchange, DropsTheCallbackWithTheAnswer) {
  Fixture f;
  int told = 0;
  f.writer->on_disconnect([&] { ++told; });
  f.writer->respond({});
  f.exchange->take();
  f.exchange->finish();
  f.exchange->disconnect();
  EXPECT_EQ(told, 0);
}

TEST(Exchange, AnAbandonedRequestIsAnswered) {
  Fixture f;
  f.writer.reset();
  EXPECT_EQ(f.exchange->take().head.status, 500);
  Fixture g;
  g.writer->start_stream({});
  g.writer.reset();
  EXPECT_TRUE(g.exchange->take().cut);
}

}  // namespace
}  // namespace vllm::server
