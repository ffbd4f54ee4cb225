// bfloat16 weights in 12 bits: any bits come back, and the products are those of the plain form.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <random>

#include "kernels/linear/linear_compact.h"
#include "kernels/linear/linear_test_data.h"

namespace vllm {
namespace {

using Numbers = std::function<uint16_t(std::mt19937&)>;

struct CompactCase {
  const char* name;
  Numbers numbers;
  bool compact;
};

uint16_t normal_bits(std::mt19937& rng) {
  std::normal_distribution<float> normal(0.0f, 0.03f);
  return to_bfloat16(normal(rng)).bits;
}

// Bits of any mantissa and sign, of an exponent out of [first, first + count).
Numbers exponents(unsigned first, unsigned count) {
  return [=](std::mt19937& rng) {
    return static_cast<uint16_t>((rng() & 0x807fu) | ((first + static_cast<unsigned>(rng() % count)) & 255u) << 7);
  };
}

std::vector<CompactCase> cases() {
  return {
      {"normal", normal_bits, true},
      {"zeros_and_denormals", exponents(0, 1), true},
      {"infinity_and_nan", exponents(255, 1), true},
      {"fifteen_small_and_zero", exponents(0, 16), true},
      {"fifteen_up_to_nan", exponents(241, 15), true},
      {"around", exponents(250, 15), true},
      {"seventeen", exponents(100, 17), false},
      {"any_bits", [](std::mt19937& rng) { return static_cast<uint16_t>(rng()); }, false},
      {"rare_infinity_nan_and_denormals",
       [](std::mt19937& rng) {
         static constexpr uint16_t kOdd[] = {0x7f80, 0xff80, 0x7fc1, 0x0001, 0x8000, 0x7f7f, 0xffff, 0x8080};
         return rng() % 30000 == 0 ? kOdd[rng() % 8] : normal_bits(rng);
       },
       true},
      {"blocks_of_any_bits_beside_others",
       [n = int64_t{0}](std::mt19937& rng) mutable {
         const int64_t k = n++ % 2048;
         return k / 64 == 5 ? static_cast<uint16_t>(rng()) : normal_bits(rng);
       },
       true},
  };
}

LinearWeight make_weight(const CompactCase& c, int64_t n, int64_t k, std::vector<uint16_t>& bits) {
  std::mt19937 rng(static_cast<uint32_t>(n * 1000 + k));
  bits.resize(static_cast<size_t>(n * k));
  Numbers numbers = c.numbers;
  for (uint16_t& b : bits) b = numbers(rng);
  return {.data = bits.data(), .dtype = DType::kBFloat16, .n = n, .k = k};
}

PackedWeight pack_as(const LinearWeight& w, const LinearPacking& packing, ThreadPool& pool) {
  PackedWeight out{.storage = Buffer(packing.bytes), .weight = {}};
  out.weight = pack_linear_weight(w, packing, {out.storage.data(), out.storage.size()}, pool);
  return out;
}

TEST(LinearCompact, EveryBitComesBack) {
  ThreadPool pool(3);
  for (const CompactCase& c : cases()) {
    for (int64_t n : {16, 37}) {
      std::vector<uint16_t> bits;
      const LinearWeight w = make_weight(c, n, 2048, bits);
      const LinearPacking packing = linear::compact_packing(w, pool);
      ASSERT_EQ(packing.compact, c.compact) << c.name;
      if (!packing.compact) continue;
      const PackedWeight packed = pack_as(w, packing, pool);
      const size_t panel = linear::panel_bytes(DType::kBFloat16, w.k);
      std::vector<std::byte> plain(2 * panel), expected(2 * panel);
      for (int64_t row = 0; row < n; row += linear::kCompactRows) {
        for (int64_t p = 0; p < 2; ++p) {
          linear::pack_panel(w.dtype, w.data, n, w.k, row + 16 * p, expected.data() + static_cast<size_t>(p) * panel);
        }
        for (const linear::Kernels* kernels : testing::kernels_to_test()) {
          kernels->unpack_compact(packed.storage.data() + linear::panel_offset(packed.weight, row), w.k, plain.data());
          EXPECT_EQ(std::memcmp(plain.data(), expected.data(), plain.size()), 0) << c.name << " " << kernels->name;
          std::fill(plain.begin(), plain.end(), std::byte{1});
        }
      }
    }
  }
}

TEST(LinearCompact, ProductsAreThoseOfThePlainForm) {
  ThreadPool pool(2);
  struct Shape {
    int64_t n, k;
  };
  for (const CompactCase& c : cases()) {
    for (const auto& [n, k] : {Shape{5, 2048}, {96, 2048}, {144, 2048}, {37, 192}}) {
      std::vector<uint16_t> bits;
      LinearWeight w = make_weight(c, n, k, bits);
      const LinearPacking packing = linear::compact_packing(w, pool);
      if (!packing.compact) continue;
      const PackedWeight compact = pack_as(w, packing, pool),
                         plain = pack_as(w, {.compact = false, .bytes = packed_linear_bytes(w)}, pool);
      EXPECT_LE(packing.bytes, (n + 31) / 32 * 32 * w.k * 2 * 83 / 100) << c.name;
      for (int64_t num_tokens : {1, 2, 3, 8, 9, 15, 31, 70, 130}) {
        if (num_tokens > 100 && k > 192) continue;  // long in emulations
        std::mt19937 rng(1);
        std::normal_distribution<float> normal;
        std::vector<float> x(static_cast<size_t>(num_tokens * w.k)), bias(static_cast<size_t>(n));
        for (float& v : x) v = normal(rng);
        for (float& v : bias) v = normal(rng);
        std::vector<std::byte> workspace(linear_workspace_bytes(num_tokens, w.k));
        for (const linear::Kernels* kernels : testing::kernels_to_test()) {
          std::vector<float> out[2];
          for (int form = 0; form < 2; ++form) {
            out[form].assign(static_cast<size_t>(num_tokens * n), 0.5f);
            const LinearParams params = {.out = {out[form].data(), {num_tokens, n}},
                                         .x = TensorView<float, 2>(x.data(), {num_tokens, w.k}),
                                         .weight = form == 0 ? plain.weight : compact.weight,
                                         .bias = bias,
                                         .add_to_out = n == 96};
            linear::run(*kernels, std::span(&params, 1), workspace, pool);
          }
          EXPECT_EQ(std::memcmp(out[0].data(), out[1].data(), out[0].size() * sizeof(float)), 0)
              << c.name << " " << kernels->name << ", " << num_tokens << " tokens, n " << n;
        }
      }
    }
  }
}

TEST(LinearCompact, OtherTypesAndOddColumnsStayPlain) {
  ThreadPool pool(1);
  std::vector<uint16_t> bits(16 * 96);
  LinearWeight w = {.data = bits.data(), .dtype = DType::kBFloat16, .n = 16, .k = 96};
  EXPECT_FALSE(linear::compact_packing(w, pool).compact);
  w.k = 64;
  EXPECT_TRUE(linear::compact_packing(w, pool).compact);
  w.dtype = DType::kFloat16;
  EXPECT_FALSE(linear::compact_packing(w, pool).compact);
}

}  // namespace
}  // namespace vllm
