#include "kernels/linear/linear_compact.h"

#include <algorithm>
#include <cstring>

namespace vllm::linear {
namespace {

constexpr int64_t kRawShare = 16;  // one block in so many may be raw

// 64 k of the rows of a panel; rows from n on are zero.
struct Block {
  uint16_t bits[kPanelRows][kCompactBlock];

  Block(const LinearWeight& w, int64_t first, int64_t k) {
    for (int64_t r = 0; r < kPanelRows; ++r) {
      if (first + r < w.n) {
        std::memcpy(bits[r], static_cast<const BFloat16*>(w.data) + (first + r) * w.k + k, sizeof bits[r]);
      } else {
        std::memset(bits[r], 0, sizeof bits[r]);
      }
    }
  }

  static uint8_t exponent(uint16_t bits) { return static_cast<uint8_t>(bits >> 7); }

  /// Exponents in ascending order, all of the block's among them, the last one repeated; false if it has too many.
  bool fill_table(uint8_t (&table)[kCompactTable]) const {
    // Most blocks span fewer octaves than the table holds: then it need not be known which of them occur.
    const auto [lowest, highest] = exponent_range();
    int count = 0;
    if (highest - lowest < kCompactTable) {
      for (int e = lowest; e <= highest; ++e) table[count++] = static_cast<uint8_t>(e);
    } else {
      bool seen[256] = {};
      for (const auto& row : bits) {
        for (uint16_t b : row) seen[exponent(b)] = true;
      }
      for (int e = lowest; e <= highest; ++e) {
        if (!seen[e]) continue;
        if (count == kCompactTable) return false;
        table[count++] = static_cast<uint8_t>(e);
      }
    }
    std::fill(table + count, table + kCompactTable, table[count - 1]);
    return true;
  }

  struct Range {
    int lowest, highest;
  };
  // Signed 16 bits and a known length: what compilers have vectors for everywhere.
  Range exponent_range() const {
    int16_t low[kCompactBlock], high[kCompactBlock];
    for (int k = 0; k < kCompactBlock; ++k) low[k] = high[k] = static_cast<int16_t>(bits[0][k] & 0x7f80);
    for (int r = 1; r < kPanelRows; ++r) {
      for (int k = 0; k < kCompactBlock; ++k) {
        const auto e = static_cast<int16_t>(bits[r][k] & 0x7f80);
        low[k] = e < low[k] ? e : low[k], high[k] = e > high[k] ? e : high[k];
      }
    }
    return {*std::min_element(low, low + kCompactBlock) >> 7, *std::max_element(high, high + kCompactBlock) >> 7};
  }

  void store(const uint8_t (&table)[kCompactTable], std::byte* out) const {
    uint8_t place[256] = {};
    for (int i = kCompactTable - 1; i >= 0; --i) place[table[i]] = static_cast<uint8_t>(i);
    for (int k = 0; k < kCompactBlock; k += kCompactGroup, out += 2 * 3 * kVector) {
      for (int r = 0; r < kPanelRows; ++r) {
        std::byte* const to = out + r / 4 * 16 + r % 4 * 2;
        uint16_t places[kCompactGroup / 2];
        for (int pair = 0; pair < kCompactGroup / 2; ++pair) {
          const uint16_t first = bits[r][k + 2 * pair], second = bits[r][k + 2 * pair + 1];
          places[pair] = static_cast<uint16_t>(place[exponent(first)] | place[exponent(second)] << 8);
          const unsigned low = (first << 1 | first >> 15) & 0xff, high = (second << 1 | second >> 15) & 0xff;
          store_two(to + pair / 2 * kVector + pair % 2 * 8, low | high << 8);
        }
        for (int pair = 0; pair < 2; ++pair)
          store_two(to + 2 * kVector + pair * 8, places[pair] | static_cast<unsigned>(places[pair + 2]) << 4);
      }
    }
  }
  // The bytes of two neighbouring k.
  static void store_two(std::byte* to, unsigned bytes) {
    const auto two = static_cast<uint16_t>(bytes);
    std::memcpy(to, &two, sizeof two);
  }

  void store_raw(std::byte* out) const {
    for (int r = 0; r < kPanelRows; ++r) {
      for (int k = 0; k < kCompactBlock; ++k)
        std::memcpy(out + (k / 2 * kPanelRows + r) * 4 + k % 2 * 2, &bits[r][k], sizeof(uint16_t));
    }
  }
};

}  // namespace

LinearPacking compact_packing(const LinearWeight& w, ThreadPool& pool) {
  if (w.dtype != DType::kBFloat16 || w.k % kCompactBlock != 0 || w.n == 0 || w.k == 0) return {};
  const int64_t panels = (w.n + kPanelRows - 1) / kPanelRows, blocks = w.k / kCompactBlock;
  std::atomic<int64_t> raw{0};
  pool.parallel_for(panels, [&](int64_t panel, int) {
    int64_t count = 0;
    uint8_t table[kCompactTable];
    for (int64_t b = 0; b < blocks; ++b)
      count += Block(w, panel * kPanelRows, b * kCompactBlock).fill_table(table) ? 0 : 1;
    raw += count;
  });
  if (raw > panels * blocks / kRawShare) return {};
  return {.compact = true,
          .bytes = static_cast<size_t>((panels + 1) / 2) * compact_panels_bytes(w.k) +
                   static_cast<size_t>(raw) * kCompactRawBytes};
}

void pack_compact_panels(const LinearWeight& w, int64_t first, std::byte* panels, std::byte* raw,
                         std::atomic<int64_t>& next_raw) {
  std::byte *table_at = panels, *out = panels + compact_tables_bytes(w.k);
  for (int64_t k = 0; k < w.k; k += kCompactBlock, out += kCompactBlock / kCompactGroup * 2 * 3 * kVector) {
    for (int p = 0; p < 2; ++p, table_at += kCompactTable) {
      const Block block(w, first + p * kPanelRows, k);
      uint8_t table[kCompactTable] = {};
      if (block.fill_table(table)) {
        block.store(table, out + p * 3 * kVector);
      } else {
        std::byte* const to = raw + static_cast<size_t>(next_raw++) * kCompactRawBytes;
        block.store_raw(to);
        const int64_t offset = to - panels;
        table[0] = 1, table[kCompactTable - 1] = 0;
        std::memcpy(table + 1, &offset, sizeof offset);
      }
      std::memcpy(table_at, table, sizeof table);
    }
  }
}

void unpack_compact(const std::byte* panels, int64_t k, std::byte* out) {
  const auto* table = reinterpret_cast<const uint8_t*>(panels);
  const auto* w = reinterpret_cast<const uint8_t*>(panels) + compact_tables_bytes(k);
  const size_t panel = panel_bytes(DType::kBFloat16, k);
  for (int64_t b = 0; b < 2 * (k / kCompactBlock); ++b, table += kCompactTable) {
    std::byte* const to = out + static_cast<size_t>(b % 2) * panel + static_cast<size_t>(b / 2) * kCompactRawBytes;
    if (table[0] > table[kCompactTable - 1]) {
      int64_t offset;
      std::memcpy(&offset, table + 1, sizeof offset);
      std::memcpy(to, panels + offset, kCompactRawBytes);
      continue;
    }
    for (int64_t group = 0; group < kCompactBlock / kCompactGroup; ++group) {
      const uint8_t* from = w + ((b / 2 * (kCompactBlock / kCompactGroup) + group) * 2 + b % 2) * 3 * kVector;
      for (int64_t pair = 0; pair < kCompactGroup / 2; ++pair) {
        for (int64_t i = 0; i < 2 * kPanelRows; ++i) {  // of the pair's vector, 16 bits each
          const int64_t at = i / 8 * 16 + pair % 2 * 8 + i % 8;
          const unsigned rest = from[pair / 2 * kVector + at], places = from[2 * kVector + at];
          const unsigned exponent = table[pair / 2 == 0 ? places & 15u : places >> 4];
          const auto bits = static_cast<uint16_t>((rest & 1u) << 15 | exponent << 7 | rest >> 1);
          std::memcpy(to + (group * kCompactGroup / 2 + pair) * kVector + 2 * i, &bits, sizeof bits);
        }
      }
    }
  }
}

}  // namespace vllm::linear
