#pragma once
// Tiles of tokens x rows by AMX: over a backend B that has the vectors (linear_tile.h; a vector is a panel) and a class
// Tiles that has the tile registers (linear_tiles.h). Included only by the file of each pair, for the reason given
// there.
//
// Tile registers: 0 to 3 are sums [tokens][16 rows], 4 and 5 hold x, 6 and 7 weights. Tokens go 16 together; the last
// 16 overlap those before them where the number is no multiple, so that no row behind the last one is read; what is
// computed twice is written once.
#include "kernels/linear/linear_tile.h"
#include "kernels/linear/linear_tiles.h"

namespace vllm::linear {

static inline TileConfig tile_config(int tokens, int x_bytes, int weight_rows) {
  TileConfig config;
  for (int tile = 0; tile < 4; ++tile) config.set(tile, tokens, kTileBytes);
  for (int tile = 4; tile < 6; ++tile) config.set(tile, tokens, x_bytes);
  for (int tile = 6; tile < 8; ++tile) config.set(tile, weight_rows, kTileBytes);
  return config;
}

// The tokens of tile register row 0 on, and which of them are new.
struct TokenTile {
  int64_t first, first_new, last;
};
static inline TokenTile token_tile(int64_t index, int64_t num_tokens) {
  const int64_t at = index * kTileRows;
  const int64_t first = num_tokens < kTileRows || at + kTileRows <= num_tokens ? at : num_tokens - kTileRows;
  return {first, at, at + kTileRows <= num_tokens ? at + kTileRows : num_tokens};
}

// ---- bfloat16 ------------------------------------------------------------------------------------------------------

// One instruction's k: 32 elements, for kA tiles of tokens and kB panels.
template <class Tiles, int kA, int kB>
VLLM_FORCE_INLINE void bfloat16_step(Tiles& tiles, const std::byte* const (&x)[2], int64_t x_stride,
                                     const std::byte* const (&w)[2]) {
  tiles.template load<6>(w[0], kTileBytes);
  tiles.template load<4>(x[0], x_stride);
  tiles.template dot_bfloat16<0, 4, 6>();
  if constexpr (kB == 2) {
    tiles.template load<7>(w[1], kTileBytes);
    tiles.template dot_bfloat16<1, 4, 7>();
  }
  if constexpr (kA == 2) {
    tiles.template load<5>(x[1], x_stride);
    tiles.template dot_bfloat16<2, 5, 6>();
    if constexpr (kB == 2) tiles.template dot_bfloat16<3, 5, 7>();
  }
}

// The elements that are left behind the last whole step, with zeros up to 32: they change no sum.
template <class Tiles, int kA, int kB>
inline void bfloat16_tail(Tiles& tiles, const std::byte* const (&x)[2], int64_t x_stride,
                          const std::byte* const (&w)[2], int64_t k, int64_t tokens) {
  alignas(64) std::byte x_padded[2][kTileRows * kTileBytes] = {}, w_padded[2][kTileRows * kTileBytes] = {};
  const int64_t pairs = (k + 1) / 2;  // the odd element's partner is zero in x and in w
  for (int a = 0; a < kA; ++a) {
    for (int64_t t = 0; t < tokens; ++t)
      __builtin_memcpy(x_padded[a] + t * kTileBytes, x[a] + t * x_stride, static_cast<size_t>(4 * pairs));
  }
  for (int b = 0; b < kB; ++b) __builtin_memcpy(w_padded[b], w[b], static_cast<size_t>(pairs * kTileBytes));
  const std::byte* const x_tiles[2] = {x_padded[0], x_padded[1]};
  const std::byte* const w_tiles[2] = {w_padded[0], w_padded[1]};
  bfloat16_step<Tiles, kA, kB>(tiles, x_tiles, kTileBytes, w_tiles);
}

// kA tiles of tokens from tile `index` on times kB panels from `row` on.
template <class B, class Tiles, int kA, int kB>
inline void bfloat16_block(Tiles& tiles, const TileArgs& args, const std::byte* panel, size_t panel_bytes, int64_t row,
                           int64_t index) {
  TokenTile tokens[2];
  const std::byte *x[2], *w[2] = {panel, panel + (kB == 2 ? panel_bytes : 0)};
  for (int a = 0; a < 2; ++a) {
    tokens[a] = token_tile(index + (kA == 2 ? a : 0), args.num_tokens);
    x[a] = static_cast<const std::byte*>(args.x) + tokens[a].first * args.x_stride;
  }
  tiles.template zero<0>();
  if constexpr (kB == 2) tiles.template zero<1>();
  if constexpr (kA == 2) tiles.template zero<2>();
  if constexpr (kA == 2 && kB == 2) tiles.template zero<3>();
  int64_t k = args.k;
  for (; k >= 32; k -= 32) {
    bfloat16_step<Tiles, kA, kB>(tiles, x, args.x_stride, w);
    for (int i = 0; i < 2; ++i) x[i] += kTileBytes, w[i] += kTileRows * kTileBytes;
  }
  if (k > 0)
    bfloat16_tail<Tiles, kA, kB>(tiles, x, args.x_stride, w, k,
                                 args.num_tokens < kTileRows ? args.num_tokens : kTileRows);
  alignas(64) float sums[4][kTileRows * kPanelRows];
  tiles.template store<0>(sums[0], kTileBytes);
  if constexpr (kB == 2) tiles.template store<1>(sums[1], kTileBytes);
  if constexpr (kA == 2) tiles.template store<2>(sums[2], kTileBytes);
  if constexpr (kA == 2 && kB == 2) tiles.template store<3>(sums[3], kTileBytes);
  for (int a = 0; a < kA; ++a) {
    for (int64_t t = tokens[a].first_new; t < tokens[a].last; ++t) {
      for (int b = 0; b < kB; ++b) {
        const int64_t first = row + b * kPanelRows;
        finish<B>(B::load_float(sums[2 * a + b] + (t - tokens[a].first) * kPanelRows), args.rows - first,
                  args.bias != nullptr ? args.bias + first : nullptr, args.add_to_out,
                  args.out + t * args.out_stride + first);
      }
    }
  }
}

template <class B, class Tiles, int kB>
inline void bfloat16_panels(Tiles& tiles, const TileArgs& args, const std::byte* panel, size_t panel_bytes,
                            int64_t row) {
  const int64_t token_tiles = (args.num_tokens + kTileRows - 1) / kTileRows;
  int64_t index = 0;
  for (; index + 2 <= token_tiles; index += 2)
    bfloat16_block<B, Tiles, 2, kB>(tiles, args, panel, panel_bytes, row, index);
  if (index < token_tiles) bfloat16_block<B, Tiles, 1, kB>(tiles, args, panel, panel_bytes, row, index);
}

template <class B, class Tiles>
void amx_bfloat16(const TileArgs& args) {
  if (args.num_tokens == 0) return;
  Tiles tiles(
      tile_config(args.num_tokens < kTileRows ? static_cast<int>(args.num_tokens) : kTileRows, kTileBytes, kTileRows));
  const size_t bytes = panel_bytes(DType::kBFloat16, args.k);
  const std::byte* panel = args.weight;
  int64_t row = 0;
  for (; args.rows - row > kPanelRows; row += 2 * kPanelRows, panel += 2 * bytes)
    bfloat16_panels<B, Tiles, 2>(tiles, args, panel, bytes, row);
  if (row < args.rows) bfloat16_panels<B, Tiles, 1>(tiles, args, panel, bytes, row);
}

// ---- quantized -----------------------------------------------------------------------------------------------------

inline constexpr int kChunkBlocks = 8;        // of 32 k: unpacked together, as many as a k-quant has under one header
inline constexpr int kGroupTokens = 128;      // share what is unpacked
inline constexpr int kPrefetchBytes = 2048;   // ahead of what is unpacked
inline constexpr int kWeightTileBytes = 512;  // [32 / 4][16 rows][4]

// Some blocks of a panel as the tile unit takes them: signed bytes without their offset, scales as floats.
template <int kGroups>
struct UnpackedPanel {
  // With two groups each has a tile of its own, whose other half stays zero: both then meet the same tile of x.
  alignas(64) std::byte quants[kChunkBlocks][kGroups][kWeightTileBytes];
  alignas(64) float scale[kChunkBlocks][kGroups][kPanelRows], min[kChunkBlocks][kGroups][kPanelRows];
};

// Returns what follows in the panel. `blocks`: kChunkBlocks, or fewer of a type without headers.
template <class B, DType D>
const std::byte* unpack(const std::byte* w, int64_t blocks, UnpackedPanel<quant_layout(D).groups>& out) {
  constexpr QuantLayout kLayout = quant_layout(D);
  typename B::F d{}, dmin{};
  if constexpr (kLayout.super) {
    d = B::load_half(w);
    if constexpr (kLayout.has_min) dmin = B::load_half(w + 2 * kPanelRows);
    w += kLayout.header_bytes();
  }
  for (int64_t b = 0; b < blocks; ++b, w += kLayout.block_bytes()) {
    typename B::I q[8];
    // Some 10 % at 64 tokens: a CPU's own prefetching ends with the page.
    for (int i = 0; i < kLayout.block_bytes(); i += kVector) __builtin_prefetch(w + kPrefetchBytes + i);
    load_quants<B, kLayout.bits>(w, q);
    VLLM_UNROLL for (int j = 0; j < 8; ++j) {
      if constexpr (kLayout.offset >= 0) q[j] = B::sub_bytes(q[j], B::set_bytes(1 << kLayout.offset));
      B::store(out.quants[b][j * kLayout.groups / 8] + j * kVector, q[j]);
    }
    const std::byte *scales = w + kLayout.quant_bytes(), *mins = scales + kLayout.scale_bytes();
    VLLM_UNROLL for (int g = 0; g < kLayout.groups; ++g) {
      if constexpr (kLayout.super) {
        B::store(out.scale[b][g], B::mul(d, B::load_int8(scales + g * kPanelRows)));
        if constexpr (kLayout.has_min) B::store(out.min[b][g], B::mul(dmin, B::load_int8(mins + g * kPanelRows)));
      } else {
        B::store(out.scale[b][g], B::load_half(scales));
        if constexpr (kLayout.has_min) B::store(out.min[b][g], B::load_half(mins));
      }
    }
  }
  return w;
}

// The integer sums of one block, [group][term][token][row].
template <int kGroups, int kTerms>
struct BlockSums {
  alignas(64) int32_t v[kGroups][kTerms][kTileRows][kPanelRows];
};

// Multiplies a block for 16 tokens, into registers that store_block stores later: the tile unit does nothing else while
// it waits for a sum of its own. kOdd: blocks of one or two sums take turns between two sets of registers.
template <class Tiles, int kGroups, int kTerms, bool kOdd>
VLLM_FORCE_INLINE void multiply_block(Tiles& tiles, const std::byte* x, int64_t x_stride,
                                      const std::byte (&quants)[kGroups][kWeightTileBytes]) {
  const std::byte* terms = x + __builtin_offsetof(QuantizedBlock<kTerms>, terms);
  constexpr int kSums = kGroups * kTerms, kFirst = kOdd && kSums < 4 ? kSums : 0;
  constexpr int kX = 4 + (kOdd && kTerms == 1), kWeight = 6 + (kOdd && kGroups == 1);
  tiles.template load<kWeight>(quants[0], kVector);
  tiles.template load<kX>(terms, x_stride);
  tiles.template zero<kFirst>();
  tiles.template dot_int8<kFirst, kX, kWeight>();
  if constexpr (kTerms == 2) {
    tiles.template load<5>(terms + kBlock, x_stride);
    tiles.template zero<kFirst + 1>();
    tiles.template dot_int8<kFirst + 1, 5, kWeight>();
  }
  if constexpr (kGroups == 2) {
    constexpr int kSecond = kFirst + kTerms;
    tiles.template load<7>(quants[1], kVector);
    tiles.template zero<kSecond>();
    tiles.template dot_int8<kSecond, kX, 7>();
    if constexpr (kTerms == 2) {
      tiles.template zero<kSecond + 1>();
      tiles.template dot_int8<kSecond + 1, 5, 7>();
    }
  }
}

template <class Tiles, int kGroups, int kTerms, bool kOdd>
VLLM_FORCE_INLINE void store_block(Tiles& tiles, BlockSums<kGroups, kTerms>& sums) {
  constexpr int kSums = kGroups * kTerms, kFirst = kOdd && kSums < 4 ? kSums : 0;
  tiles.template store<kFirst>(sums.v[0][0], kVector);
  if constexpr (kTerms == 2) tiles.template store<kFirst + 1>(sums.v[0][1], kVector);
  if constexpr (kGroups == 2) tiles.template store<kFirst + kTerms>(sums.v[1][0], kVector);
  if constexpr (kSums == 4) tiles.template store<3>(sums.v[1][1], kVector);
}

// acc += one block of one token: the operations of block_of_tokens in linear_tile.h, one by one.
template <class B, int kGroups, bool kHasMin, int kTerms>
VLLM_FORCE_INLINE typename B::F add_block(typename B::F acc, const BlockSums<kGroups, kTerms>& sums, int token,
                                          const QuantizedBlock<kTerms>& x, const typename B::F (&scale)[2],
                                          const typename B::F (&min)[2]) {
  typename B::F part[kGroups];
  VLLM_UNROLL for (int g = 0; g < kGroups; ++g) {
    part[g] = B::to_float(B::load(sums.v[g][0][token]));
    // Sums of a term are below 2^24, exact as floats: one rounding, as that of the integer to a float.
    if constexpr (kTerms == 2) {
      static constexpr float kRatio = kTermRatio;
      part[g] = B::fma(part[g], B::bcast(&kRatio), B::to_float(B::load(sums.v[g][1][token])));
    }
  }
  if constexpr (kGroups == 1) {
    acc = B::fma(B::mul(part[0], scale[0]), B::bcast(&x.scale), acc);
    if constexpr (kHasMin) acc = B::fnma(min[0], B::bcast(&x.scaled_sum), acc);
    return acc;
  } else {
    auto sum = B::fma(part[1], scale[1], B::mul(part[0], scale[0]));
    if constexpr (kHasMin) {
      const auto low = B::bcast(&x.neg_sum_low), high = B::sub_int(B::bcast(&x.neg_sum), low);
      sum = B::fma(min[0], B::to_float(low), sum);
      sum = B::fma(min[1], B::to_float(high), sum);
    }
    return B::fma(sum, B::bcast(&x.scale), acc);
  }
}

template <class B, int kGroups, bool kHasMin>
VLLM_FORCE_INLINE void load_scales(const UnpackedPanel<kGroups>& w, int64_t b, typename B::F (&scale)[2],
                                   typename B::F (&min)[2]) {
  VLLM_UNROLL for (int g = 0; g < kGroups; ++g) {
    scale[g] = B::load_float(w.scale[b][g]);
    if constexpr (kHasMin) min[g] = B::load_float(w.min[b][g]);
  }
}

// acc[t] += one block of an unpacked panel, for 16 tokens.
template <class B, int kGroups, bool kHasMin, int kTerms>
VLLM_FORCE_INLINE void add_block_of_sixteen(typename B::F (&acc)[kTileRows], const UnpackedPanel<kGroups>& w, int64_t b,
                                            const BlockSums<kGroups, kTerms>& sums, const std::byte* x,
                                            int64_t x_stride) {
  typename B::F scale[2]{}, min[2]{};
  load_scales<B, kGroups, kHasMin>(w, b, scale, min);
  VLLM_UNROLL for (int t = 0; t < kTileRows; ++t) {
    acc[t] = add_block<B, kGroups, kHasMin, kTerms>(
        acc[t], sums, t, *reinterpret_cast<const QuantizedBlock<kTerms>*>(x + t * x_stride), scale, min);
  }
}

// Some blocks of a panel times 16 tokens: what is multiplied by the tile unit while the vectors work on the one before.
// A sum read right behind the store of its tile would wait for it.
template <int kGroups, int kTerms>
struct QuantizedItem {
  static constexpr int kBlocks = kChunkBlocks / (kGroups * kTerms);  // so that two items take 16 KiB

  int64_t row, block, tile;  // of args; the first block
  int buffer;                // which of the unpacked chunks
  int64_t count;             // blocks, at most kBlocks
};

// Of the type of the weight only the unpacking knows more than kGroups and kHasMin.
template <class B, class Tiles, int kGroups, bool kHasMin, int kTerms>
class QuantizedGroup {
 public:
  using Unpack = const std::byte* (*)(const std::byte* w, int64_t blocks, UnpackedPanel<kGroups>& out);

  /// args: at least 16 tokens and at most kGroupTokens.
  QuantizedGroup(Tiles& tiles, Unpack unpack, const TileArgs& args)
      : tiles_(tiles),
        unpack_(unpack),
        args_(args),
        blocks_(args.k / kBlock),
        token_tiles_((args.num_tokens + kTileRows - 1) / kTileRows),
        panel_(args.weight) {
    if constexpr (kGroups == 2) __builtin_memset(unpacked_, 0, sizeof unpacked_);
  }

  void run() {
    Item current = {.row = 0, .block = 0, .tile = 0, .buffer = 1, .count = 0}, next = current;
    begin(next);
    step(next, current, 1);
    for (int parity = 0; next.count > 0; parity ^= 1) {
      current = next;
      if (advance(next)) {
        begin(next);
      } else {
        next.count = 0;
      }
      step(next, current, parity);
    }
  }

 private:
  using Item = QuantizedItem<kGroups, kTerms>;
  using F = typename B::F;
  static constexpr int kBytes = sizeof(QuantizedBlock<kTerms>), kSums = kGroups * kTerms;

  bool advance(Item& item) const {
    if (++item.tile < token_tiles_) return true;
    item.tile = 0, item.block += Item::kBlocks;
    if (item.block < blocks_) return true;
    item.block = 0, item.row += kPanelRows;
    return item.row < args_.rows;
  }

  // Counts an item's blocks, and unpacks them if it is the first that needs them.
  void begin(Item& item) {
    const int64_t left = blocks_ - item.block;
    item.count = left < Item::kBlocks ? left : Item::kBlocks;
    if (item.tile != 0 || item.block % kChunkBlocks != 0) return;
    item.buffer ^= 1;
    panel_ = unpack_(panel_, left < kChunkBlocks ? left : kChunkBlocks, unpacked_[item.buffer]);
  }

  const std::byte* x_of(const Item& item) const {
    return static_cast<const std::byte*>(args_.x) + token_tile(item.tile, args_.num_tokens).first * args_.x_stride +
           item.block * kBytes;
  }

  // Multiplies `next` and adds up `current`, whose sums are in sums_[parity], block by block.
  void step(const Item& next, const Item& current, int parity) {
    const std::byte *x_next = x_of(next), *x_current = x_of(current);
    BlockSums<kGroups, kTerms>*to = sums_[parity ^ 1], *from = sums_[parity];
    float(*acc)[kPanelRows] = acc_ + current.tile * kTileRows;
    F in_registers[kTileRows];
    VLLM_UNROLL for (int t = 0; t < kTileRows; ++t) in_registers[t] =
        current.block == 0 ? B::zero() : B::load_float(acc[t]);
    for (int64_t b = 0; b < Item::kBlocks; b += 2) {
      multiply<false>(next, x_next, b);
      if (kSums < 4 && b > 0) store<true>(next, to, b - 1);
      add(in_registers, current, x_current, from, b);
      if (kSums == 4) store<false>(next, to, b);
      multiply<true>(next, x_next, b + 1);
      if (kSums < 4) store<false>(next, to, b);
      add(in_registers, current, x_current, from, b + 1);
      if (kSums == 4) store<true>(next, to, b + 1);
    }
    if (kSums < 4) store<true>(next, to, Item::kBlocks - 1);
    VLLM_UNROLL for (int t = 0; t < kTileRows; ++t) B::store(acc[t], in_registers[t]);
    if (current.count > 0 && current.block + current.count == blocks_) write(current);
  }

  template <bool kOdd>
  VLLM_FORCE_INLINE void multiply(const Item& item, const std::byte* x, int64_t b) {
    if (b < item.count)
      multiply_block<Tiles, kGroups, kTerms, kOdd>(tiles_, x + b * kBytes, args_.x_stride,
                                                   unpacked_[item.buffer].quants[item.block % kChunkBlocks + b]);
  }
  template <bool kOdd>
  VLLM_FORCE_INLINE void store(const Item& item, BlockSums<kGroups, kTerms>* to, int64_t b) {
    if (b < item.count) store_block<Tiles, kGroups, kTerms, kOdd>(tiles_, to[b]);
  }
  VLLM_FORCE_INLINE void add(F (&acc)[kTileRows], const Item& item, const std::byte* x,
                             const BlockSums<kGroups, kTerms>* from, int64_t b) const {
    if (b < item.count)
      add_block_of_sixteen<B, kGroups, kHasMin, kTerms>(acc, unpacked_[item.buffer], item.block % kChunkBlocks + b,
                                                        from[b], x + b * kBytes, args_.x_stride);
  }

  void write(const Item& item) const {
    const TokenTile at = token_tile(item.tile, args_.num_tokens);
    for (int64_t t = at.first_new; t < at.last; ++t) {
      finish<B>(B::load_float(acc_[item.tile * kTileRows + t - at.first]), args_.rows - item.row,
                args_.bias != nullptr ? args_.bias + item.row : nullptr, args_.add_to_out,
                args_.out + t * args_.out_stride + item.row);
    }
  }

  Tiles& tiles_;
  const Unpack unpack_;
  const TileArgs& args_;
  const int64_t blocks_, token_tiles_;
  const std::byte* panel_;  // what is unpacked next
  UnpackedPanel<kGroups> unpacked_[2];
  BlockSums<kGroups, kTerms> sums_[2][Item::kBlocks];
  alignas(64) float acc_[kGroupTokens][kPanelRows];  // 16 for each tile of tokens
};

template <class B, class Tiles, DType D, int kTerms = 1>
void amx_quantized(const TileArgs& args) {
  static_assert(B::kLanes == kPanelRows);
  if constexpr (kTerms == 1) {
    if (args.x_terms == 2) return amx_quantized<B, Tiles, D, 2>(args);
  }
  Tiles tiles(tile_config(kTileRows, kBlock, kBlock / 4));
  TileArgs group = args;
  for (int64_t left = args.num_tokens; left > 0; left -= group.num_tokens) {
    // The last group has 16 tokens or more too.
    group.num_tokens = left <= kGroupTokens ? left : left < kGroupTokens + kTileRows ? kGroupTokens / 2 : kGroupTokens;
    QuantizedGroup<B, Tiles, quant_layout(D).groups, quant_layout(D).has_min, kTerms>(tiles, unpack<B, D>, group).run();
    group.x = static_cast<const std::byte*>(group.x) + group.num_tokens * args.x_stride;
    group.out += group.num_tokens * args.out_stride;
  }
}

/// False, and nothing done, if this is nothing for the tile unit: another type, or quantized and fewer than 16 tokens,
/// which the vectors of B multiply with the same result.
template <class B, class Tiles>
bool amx_tile(const TileArgs& args) {
  if (is_quantized(args.dtype) && (args.num_tokens < kTileRows || args.k == 0)) return false;
  switch (args.dtype) {
    case DType::kBFloat16: return amx_bfloat16<B, Tiles>(args), true;
    case DType::kQ4_0: return amx_quantized<B, Tiles, DType::kQ4_0>(args), true;
    case DType::kQ4_1: return amx_quantized<B, Tiles, DType::kQ4_1>(args), true;
    case DType::kQ5_0: return amx_quantized<B, Tiles, DType::kQ5_0>(args), true;
    case DType::kQ5_1: return amx_quantized<B, Tiles, DType::kQ5_1>(args), true;
    case DType::kQ8_0: return amx_quantized<B, Tiles, DType::kQ8_0>(args), true;
    case DType::kQ2_K: return amx_quantized<B, Tiles, DType::kQ2_K>(args), true;
    case DType::kQ3_K: return amx_quantized<B, Tiles, DType::kQ3_K>(args), true;
    case DType::kQ4_K: return amx_quantized<B, Tiles, DType::kQ4_K>(args), true;
    case DType::kQ5_K: return amx_quantized<B, Tiles, DType::kQ5_K>(args), true;
    case DType::kQ6_K: return amx_quantized<B, Tiles, DType::kQ6_K>(args), true;
    default: return false;
  }
}

}  // namespace vllm::linear
