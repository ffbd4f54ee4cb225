#include "kernels/kv_layout/kv_float8.h"

#include <gtest/gtest.h>

namespace vllm {
namespace {

TEST(KvFloat8, EveryCodeSurvivesARoundTrip) {
  for (int code = 0; code < 256; ++code) {
    const float x = float8_to_float(static_cast<uint8_t>(code));
    if ((code & 0x7f) == 0x7f) {
      EXPECT_TRUE(std::isnan(x)) << code;
    } else {
      EXPECT_EQ(float_to_float8(x), code) << x;
    }
  }
  EXPECT_EQ(float8_to_float(0x7e), 448.0f);
  EXPECT_EQ(float8_to_float(0x01), 0x1p-9f);
  EXPECT_EQ(float8_to_float(0x08), 0x1p-6f);
}

TEST(KvFloat8, RoundsToNearestEvenAndSaturates) {
  EXPECT_EQ(float8_to_float(float_to_float8(1.0625f)), 1.0f);  // half way: to the even fraction
  EXPECT_EQ(float8_to_float(float_to_float8(1.1875f)), 1.25f);
  EXPECT_EQ(float8_to_float(float_to_float8(-1.07f)), -1.125f);
  EXPECT_EQ(float8_to_float(float_to_float8(0x1.8p-9f)), 0x1p-8f);   // between two subnormal numbers
  EXPECT_EQ(float8_to_float(float_to_float8(0x1.ffp-7f)), 0x1p-6f);  // up to the smallest normal one
  EXPECT_EQ(float_to_float8(0x1p-10f), 0);
  EXPECT_EQ(float_to_float8(-0.0f), 0x80);
  for (float large : {448.0f, 465.0f, 1e9f, INFINITY}) EXPECT_EQ(float_to_float8(large), 0x7e) << large;
  EXPECT_EQ(float_to_float8(-INFINITY), 0xfe);
  EXPECT_TRUE(std::isnan(float8_to_float(float_to_float8(NAN))));
}

}  // namespace
}  // namespace vllm
