// The arithmetic of the tile unit: its emulation against what Intel documents, and where there is one the unit itself
// against its emulation.
#include "kernels/linear/linear_tiles.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "kernels/linear/linear_amx_check.h"
#include "kernels/linear/linear_layout.h"
#include "tensor/cpu_info.h"

namespace vllm::linear {
namespace {

struct Operands {
  uint16_t x[kTileRows][32] = {};  // bfloat16
  uint16_t w[kTileRows][32] = {};  // [pair of k][row][2]
  float sum[kTileRows][kTileRows] = {};
};

template <class Tiles>
void multiply(Operands& o) {
  TileConfig config;
  for (int tile = 0; tile < 8; ++tile) config.set(tile, kTileRows, kTileBytes);
  Tiles tiles(config);
  tiles.template load<1>(o.sum, kTileBytes);
  tiles.template load<4>(o.x, kTileBytes);
  tiles.template load<7>(o.w, kTileBytes);
  tiles.template dot_bfloat16<1, 4, 7>();
  tiles.template store<1>(o.sum, kTileBytes);
}

uint16_t bf16(float value) { return to_bfloat16(value).bits; }

// sum[0][0] after the products of x and w, two by two from k = 0 on.
float sum_of(std::initializer_list<std::pair<float, float>> products, float start = 0) {
  Operands o;
  int k = 0;
  for (auto [x, w] : products) o.x[0][k] = bf16(x), o.w[k / 2][k % 2] = bf16(w), ++k;
  o.sum[0][0] = start;
  multiply<EmulatedTiles>(o);
  return o.sum[0][0];
}

TEST(EmulatedTiles, SumsEvenAndOddElementsApartAndThenBothToTheSum) {
  EXPECT_EQ(sum_of({{2, 3}, {5, 7}, {11, 13}, {17, 19}}, 1), 6 + 35 + 143 + 323 + 1);
  // 2^24 + 1 is no float: even elements 2^24, 1, -2^24 lose the 1, odd ones keep it.
  const float big = 4096;
  EXPECT_EQ(sum_of({{big, big}, {0, 0}, {1, 1}, {0, 0}, {-big, big}}), 0);
  EXPECT_EQ(sum_of({{big, big}, {1, 1}, {-big, big}, {0, 0}}), 1);
  // The products do not meet the sum one by one: 1 + 1 is enough for it, 1 is not.
  EXPECT_EQ(sum_of({{1, 1}, {1, 1}}, big * big), big * big + 2);
  EXPECT_EQ(sum_of({{1, 1}}, big * big), big * big);
}

TEST(EmulatedTiles, RoundsOnceToNearestEven) {
  const float odd = 1 + 0x1p-7f;  // its square is a little more than 1, half a step of 2^24
  EXPECT_EQ(sum_of({{4096, 4096}, {0, 0}, {odd, odd}}), 0x1p24f + 2);
  EXPECT_EQ(sum_of({{4096, 4096}, {0, 0}, {1, 1}}), 0x1p24f);
  EXPECT_EQ(sum_of({{4096, 4096}, {0, 0}, {3, 1}}), 0x1p24f + 4);
}

TEST(EmulatedTiles, DenormalsAreZeroInAndOut) {
  const float denormal = 0x1p-130f;
  EXPECT_EQ(sum_of({{denormal, 0x1p100f}}), 0);
  EXPECT_EQ(sum_of({{0x1p100f, denormal}}), 0);
  EXPECT_EQ(sum_of({{0x1p-70f, 0x1p-70f}}), 0);
  EXPECT_EQ(sum_of({{0, 0}}, denormal), 0);
  EXPECT_EQ(sum_of({{0x1p-126f, 1}, {0, 0}, {-0x1.8p-126f, 1}}), 0);
  EXPECT_EQ(sum_of({{0x1p-63f, 0x1p-63f}}), 0x1p-126f);
}

TEST(EmulatedTiles, KeepsInfinitiesAndNans) {
  EXPECT_EQ(sum_of({{INFINITY, 1}}), INFINITY);
  EXPECT_EQ(sum_of({{0x1p127f, 4}}), INFINITY);
  EXPECT_TRUE(std::isnan(sum_of({{INFINITY, 1}, {-INFINITY, 1}})));
  EXPECT_TRUE(std::isnan(sum_of({{INFINITY, 0}})));
}

TEST(EmulatedTiles, SumsSignedBytesExactly) {
  int8_t x[kTileRows][32], w[8][64];
  int32_t sum[kTileRows][kTileRows];
  std::mt19937 rng(1);
  for (auto& row : x) {
    for (int8_t& v : row) v = static_cast<int8_t>(rng() % 4 == 0 ? -128 : rng());
  }
  for (auto& row : w) {
    for (int8_t& v : row) v = static_cast<int8_t>(rng() % 4 == 0 ? -128 : rng());
  }
  for (auto& row : sum) {
    for (int32_t& v : row) v = static_cast<int32_t>(rng() >> 2);
  }
  int32_t expected[kTileRows][kTileRows];
  for (int m = 0; m < kTileRows; ++m) {
    for (int n = 0; n < kTileRows; ++n) {
      expected[m][n] = sum[m][n];
      for (int k = 0; k < 32; ++k) expected[m][n] += x[m][k] * w[k / 4][4 * n + k % 4];
    }
  }
  TileConfig config;
  config.set(0, 5, 64), config.set(4, 5, 32), config.set(6, 8, 64);
  EmulatedTiles tiles(config);
  tiles.load<0>(sum, 64);
  tiles.load<4>(x, 32);
  tiles.load<6>(w, 64);
  tiles.dot_int8<0, 4, 6>();
  std::memset(sum, 0, sizeof sum);
  tiles.store<0>(sum, 64);
  EXPECT_EQ(std::memcmp(sum, expected, 5 * 64), 0);
  EXPECT_EQ(sum[5][0], 0) << "rows that are not configured are left alone";
}

// Any bit patterns, and patterns of a few neighbouring exponents, where the order of sums shows.
[[maybe_unused]] uint16_t random_bfloat16(std::mt19937& rng, unsigned lowest, unsigned exponents) {
  const unsigned bits = static_cast<unsigned>(rng());
  return static_cast<uint16_t>((bits & 0x807fu) | (lowest + (bits >> 16) % exponents) << 7);
}

TEST(NativeTiles, DoWhatTheEmulationDoes) {
#if defined(__x86_64__)
  if (amx_use() != AmxUse::kNative) GTEST_SKIP() << "no AMX";
  ASSERT_EQ(check_amx(), AmxCheck::kWorks);
  std::mt19937 rng(1);
  for (auto [lowest, exponents] : {std::pair(120u, 8u), {60u, 4u}, {90u, 70u}, {0u, 130u}, {0u, 256u}}) {
    for (int round = 0; round < 50; ++round) {
      Operands native;
      for (auto& row : native.x) {
        for (uint16_t& v : row) v = random_bfloat16(rng, lowest, exponents);
      }
      for (auto& row : native.w) {
        for (uint16_t& v : row) v = random_bfloat16(rng, lowest, exponents);
      }
      for (auto& row : native.sum) {
        for (float& v : row) v = to_float(BFloat16{random_bfloat16(rng, lowest, exponents)}) * 1.2345f;
      }
      Operands emulated = native;
      multiply<NativeTiles>(native);
      multiply<EmulatedTiles>(emulated);
      for (int m = 0; m < kTileRows; ++m) {
        for (int n = 0; n < kTileRows; ++n) {
          const float got = native.sum[m][n], expected = emulated.sum[m][n];
          if (std::isnan(got) && std::isnan(expected)) continue;
          ASSERT_EQ(std::memcmp(&got, &expected, sizeof got), 0)
              << got << " is not " << expected << ", exponents from " << lowest;
        }
      }
    }
  }
#endif
}

}  // namespace
}  // namespace vllm::linear
