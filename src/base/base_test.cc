#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "base/hash.h"
#include "base/json.h"
#include "base/queue.h"
#include "base/result.h"
#include "base/utf8.h"

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

TEST(Utf8, CountsCharactersAndMaximalIllFormedParts) {
  const std::pair<std::string, size_t> cases[] = {{"", 0},
                                                  {"plain", 5},
                                                  {"a\xC3\xA9\xE4\xB8\xAD\xF0\x9F\xA7\xBF", 4},
                                                  {"\xE4\xB8", 1},
                                                  {"\xE4\xB8x", 2},
                                                  {"\xC0\xAF", 2},
                                                  {"\xED\xA0\x80", 3},
                                                  {"12345678\xFF", 9}};
  for (const auto& [text, count] : cases) EXPECT_EQ(count_chars(text), count) << text;
  EXPECT_TRUE(is_utf8("123456789\xC3\xA9"));
  EXPECT_FALSE(is_utf8("123456789\xC3"));
  EXPECT_EQ(valid_utf8_prefix("123456789\xC3\xA9\x80"), 11u);
  EXPECT_EQ(valid_utf8_prefix("\xE4\xB8\xAD\xE4\xB8\xAD\xE4\xB8"), 6u);
  EXPECT_EQ(utf8_prefix_bytes("a\xE4\xB8\xAD\x80z", 3), 5u);
  EXPECT_EQ(utf8_prefix_bytes("ab", 9), 2u);
  EXPECT_EQ(next_utf8("\xF0\x9F").state, Utf8State::kUnfinished);
  EXPECT_EQ(next_utf8("\x80").state, Utf8State::kBad);
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
