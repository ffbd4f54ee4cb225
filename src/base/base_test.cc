#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "base/hash.h"
#include "base/json.h"
#include "base/queue.h"
#include "base/result.h"

namespace vllm {
namespace {

Result<int> half(int x) {
  if (x % 2) return invalid_argument("{} is odd", x);
  return x / 2;
}
Result<int> quarter(int x) {
  ASSIGN_OR_RETURN(int h, half(x));
  return half(h).with_context("quarter of {}", x);
}

TEST(Result, CarriesValuesAndErrorsWithContext) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(7).error().message, "7 is odd");
  EXPECT_EQ(quarter(6).error().message, "quarter of 6: 3 is odd");
}

TEST(Hash, MatchesTheReferenceVectorOfSipHash128) {
  // The empty message under key 00..0f.
  Hash128 key{0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};
  Hash128 empty = siphash128(key, {});
  EXPECT_EQ(empty.lo, 0xe6a825ba047f81a3ULL);
  EXPECT_EQ(empty.hi, 0x930255c71472f66dULL);
}

TEST(Json, RefusesDeepTextAndSaysWhere) {
  EXPECT_EQ(parse_json("{\"a\": [1, 2]}").value().at("a").at(1), 2);
  EXPECT_FALSE(parse_json(std::string(10000, '[')));
  auto bad = parse_json("{\n \"a\": oops}");
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message.find("line 2"), std::string::npos) << bad.error().message;
  EXPECT_FALSE(parse_json("1 2"));
  EXPECT_FALSE(parse_json(""));
}

TEST(Queue, RefusesWhenFullAndDrainsWhenClosed) {
  Queue<int> queue(2);
  EXPECT_TRUE(queue.push(1));
  EXPECT_TRUE(queue.push(2));
  EXPECT_FALSE(queue.push(3));
  queue.close();
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_EQ(queue.pop(), std::nullopt);
}

}  // namespace
}  // namespace vllm
