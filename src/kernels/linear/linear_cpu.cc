// Host side of the CPU op: prepares x once, cuts the work into tiles, picks the ISA.
#include <algorithm>
#include <atomic>
#include <vector>

#include "kernels/linear/linear_compact.h"
#include "kernels/linear/linear_run.h"

namespace vllm {
namespace linear {
namespace {

// x of at most this many tokens is prepared at a time: it bounds the workspace and keeps x in the caches, while the
// weights, read once for each such slice, have been paid for many times over.
constexpr int64_t kSliceTokens = 256;
constexpr int64_t kTileTokens = 64;
static_assert(kSliceTokens % 2 == 0 && kTileTokens % 2 == 0);  // pairs of tokens stay together
// More tokens than this pay for panels that are unpacked as a whole, each of which one pass over all of k then uses.
constexpr int64_t kMostCompactTokens = 128;
constexpr int64_t kInlineElements = 8192;  // x smaller than this is prepared without waking the threads

int num_terms(const LinearParams& p) { return p.two_term_x ? 2 : 1; }
int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }
int64_t quantized_stride(int64_t k, int terms) {
  return round_up(k, kBlock) / kBlock * static_cast<int64_t>(quantized_block_bytes(terms));
}
// Whole cache lines, which a row of a tile register is; an odd number of them, so that 16 rows are in 16 sets of a
// cache.
int64_t bfloat16_stride(int64_t k) { return (((k + 1) * static_cast<int64_t>(sizeof(float)) + 63) / 64 | 1) * 64; }

std::byte* align(std::byte* p) { return reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(p) + 63) / 64 * 64); }

// A slice of x in the forms that the weights of one call need.
struct PreparedX {
  TensorView<const float, 2> x;
  std::byte* quantized[2] = {};  // in one term, in two
  std::byte* bfloat16 = nullptr;

  void point(const LinearParams& p, TileArgs& args) const {
    const int64_t k = x.size(1);
    if (is_quantized(p.weight.dtype)) {
      args.x_terms = num_terms(p);
      args.x = quantized[args.x_terms - 1], args.x_stride = quantized_stride(k, args.x_terms);
    } else if (p.weight.dtype == DType::kBFloat16) {
      args.x = bfloat16, args.x_stride = bfloat16_stride(k);
    } else {
      args.x = x.data, args.x_stride = x.stride[0] * static_cast<int64_t>(sizeof(float));
    }
  }
};

PreparedX prepare(const Kernels& kernels, std::span<const LinearParams> ps, int64_t first_token, int64_t last_token,
                  std::byte* workspace, ThreadPool& pool) {
  PreparedX out{.x = ps[0].x.slice(first_token, last_token)};
  const int64_t num_tokens = out.x.size(0), k = out.x.size(1);
  // The places are those of the worst case, whatever this call needs: see linear_workspace_bytes.
  std::byte* const one_term = align(workspace);
  std::byte* const two_terms = align(one_term + num_tokens * quantized_stride(k, 1));
  for (const LinearParams& p : ps) {
    if (is_quantized(p.weight.dtype)) out.quantized[p.two_term_x] = p.two_term_x ? two_terms : one_term;
    if (p.weight.dtype == DType::kBFloat16) out.bfloat16 = align(two_terms + num_tokens * quantized_stride(k, 2));
  }
  auto two_tokens = [&](int64_t pair, int) {
    const int64_t first = 2 * pair, last = std::min(first + 2, num_tokens);
    const bool interleave = kernels.interleave != nullptr && last - first == 2;
    for (int terms : {1, 2}) {
      std::byte* const to = out.quantized[terms - 1];
      if (to == nullptr) continue;
      const int64_t stride = quantized_stride(k, terms);
      for (int64_t t = first; t < last; ++t) kernels.quantize(out.x.row(t), k, terms, to + t * stride);
      if (interleave) kernels.interleave(to + first * stride, to + (first + 1) * stride, k, terms);
    }
    if (std::byte* const to = out.bfloat16) {
      const int64_t stride = bfloat16_stride(k);
      for (int64_t t = first; t < last; ++t)
        kernels.round_to_bfloat16(out.x.row(t), k, reinterpret_cast<float*>(to + t * stride));
      if (interleave) kernels.interleave(to + first * stride, to + (first + 1) * stride, k, 0);
    }
  };
  const int64_t num_pairs = (num_tokens + 1) / 2;
  if (!out.quantized[0] && !out.quantized[1] && !out.bfloat16) return out;
  if (num_tokens * k <= kInlineElements) {
    for (int64_t pair = 0; pair < num_pairs; ++pair) two_tokens(pair, 0);
  } else {
    pool.parallel_for(num_pairs, two_tokens);
  }
  return out;
}

// How one weight is cut: tiles of panels x tokens. Any cut gives the same result.
struct Cut {
  int64_t panels_per_tile, tokens_per_tile, panel_tiles, token_tiles;
  int64_t num_tiles() const { return panel_tiles * token_tiles; }
};
Cut cut(const LinearWeight& w, int64_t num_tokens, int num_threads) {
  const int64_t panels = round_up(w.n, kPanelRows) / kPanelRows;
  // A weight that is not packed, or compact, is brought into the plain packed form by each tile: no cut across tokens.
  // Panels go in fours (see tile_of_type), compact ones of several tokens in twos: narrow layers have few.
  const int64_t tokens_per_tile = w.packed && !w.compact ? std::min(num_tokens, kTileTokens) : num_tokens;
  const int64_t token_tiles = (num_tokens + tokens_per_tile - 1) / tokens_per_tile;
  const int64_t wanted_tiles = 8 * num_threads;
  const int64_t unit = w.compact && num_tokens > 8 ? 2 : 4;
  const int64_t panels_per_tile = std::clamp<int64_t>(round_up(panels * token_tiles / wanted_tiles, unit), unit, 64);
  return {panels_per_tile, tokens_per_tile, (panels + panels_per_tile - 1) / panels_per_tile, token_tiles};
}

void run_tile(const Kernels& kernels, const LinearParams& p, const PreparedX& prepared, int64_t first_token,
              const Cut& cut, int64_t tile) {
  const LinearWeight& w = p.weight;
  const int64_t row = tile / cut.token_tiles * cut.panels_per_tile * kPanelRows;
  const int64_t token = tile % cut.token_tiles * cut.tokens_per_tile, num_tokens = prepared.x.size(0);
  TileArgs args = {
      .weight = static_cast<const std::byte*>(w.data) + panel_offset(w, row),
      .dtype = w.dtype,
      .compact = w.compact,
      .rows = std::min(w.n - row, cut.panels_per_tile * kPanelRows),
      .k = w.k,
      .x = nullptr,
      .x_terms = 1,
      .x_stride = 0,
      .num_tokens = std::min(cut.tokens_per_tile, num_tokens - token),
      .out = p.out.row(first_token + token) + row,
      .out_stride = p.out.stride[0],
      .bias = p.bias.empty() ? nullptr : p.bias.data() + row,
      .add_to_out = p.add_to_out,
  };
  prepared.point(p, args);
  args.x = static_cast<const std::byte*>(args.x) + token * args.x_stride;
  if (w.packed && (!w.compact || (kernels.reads_compact && args.num_tokens <= kMostCompactTokens)))
    return kernels.tile(args);
  // Two panels at a time: see tile_of_type.
  const size_t plain_bytes = panel_bytes(w.dtype, w.k);
  thread_local std::vector<std::byte> scratch;
  if (scratch.size() < 2 * plain_bytes + kVector) scratch.resize(2 * plain_bytes + kVector);
  std::byte* const panels = align(scratch.data());
  args.weight = panels, args.compact = false;
  for (int64_t left = args.rows, at = row; left > 0;) {
    args.rows = std::min<int64_t>(left, 2 * kPanelRows);
    if (w.compact) {
      kernels.unpack_compact(static_cast<const std::byte*>(w.data) + panel_offset(w, at), w.k, panels);
    } else {
      pack_panel(w.dtype, w.data, w.n, w.k, at, panels);
      if (args.rows > kPanelRows) pack_panel(w.dtype, w.data, w.n, w.k, at + kPanelRows, panels + plain_bytes);
    }
    kernels.tile(args);
    left -= args.rows, at += args.rows, args.out += args.rows;
    if (args.bias != nullptr) args.bias += args.rows;
  }
}

}  // namespace

void run(const Kernels& kernels, std::span<const LinearParams> ps, std::span<std::byte> workspace, ThreadPool& pool) {
  if (ps.empty()) return;
  for (const LinearParams& p : ps) {
    CHECK(check(p).has_value());
    CHECK(p.x.data == ps[0].x.data && p.x.shape == ps[0].x.shape && p.x.stride == ps[0].x.stride);
  }
  const int64_t all_tokens = ps[0].x.size(0);
  CHECK(workspace.size() >= linear_workspace_bytes(all_tokens, ps[0].weight.k));
  for (int64_t first = 0; first < all_tokens; first += kSliceTokens) {
    const int64_t last = std::min(all_tokens, first + kSliceTokens);
    const PreparedX prepared = prepare(kernels, ps, first, last, workspace.data(), pool);
    int64_t num_tiles = 0;
    for (const LinearParams& p : ps) num_tiles += cut(p.weight, last - first, pool.num_threads()).num_tiles();
    pool.parallel_for(num_tiles, [&](int64_t tile, int) {
      for (const LinearParams& p : ps) {
        const Cut c = cut(p.weight, last - first, pool.num_threads());
        if (tile < c.num_tiles()) return run_tile(kernels, p, prepared, first, c, tile);
        tile -= c.num_tiles();
      }
    });
  }
}

}  // namespace linear

size_t linear_workspace_bytes(int64_t max_tokens, int64_t max_k) {
  const int64_t tokens = std::min(max_tokens, linear::kSliceTokens);
  const int64_t token_bytes =
      linear::quantized_stride(max_k, 1) + linear::quantized_stride(max_k, 2) + linear::bfloat16_stride(max_k);
  return static_cast<size_t>(3 * 64 + tokens * token_bytes);
}

void linear_cpu(std::span<const LinearParams> ps, std::span<std::byte> workspace, ThreadPool& pool) {
  static const linear::Kernels& kernels = *linear::available_kernels().front();
  linear::run(kernels, ps, workspace, pool);
}

void linear_cpu(const LinearParams& p, std::span<std::byte> workspace, ThreadPool& pool) {
  linear_cpu(std::span(&p, 1), workspace, pool);
}

bool wants_packing(const LinearWeight& weight) { return !weight.packed && weight.n > 0 && weight.k > 0; }

size_t packed_linear_bytes(const LinearWeight& weight) {
  return linear::panel_offset(weight,
                              linear::round_up(weight.n, weight.compact ? linear::kCompactRows : linear::kPanelRows));
}

LinearPacking choose_linear_packing(const LinearWeight& weight, ThreadPool& pool) {
  static const bool reads_compact = linear::available_kernels().front()->reads_compact;
  if (reads_compact) {
    LinearPacking compact = linear::compact_packing(weight, pool);
    if (compact.compact) return compact;
  }
  return {.compact = false, .bytes = packed_linear_bytes(weight)};
}

LinearWeight pack_linear_weight(const LinearWeight& weight, const LinearPacking& packing, std::span<std::byte> storage,
                                ThreadPool& pool) {
  CHECK(!weight.packed && storage.size() >= packing.bytes);
  LinearWeight out = weight;
  out.data = storage.data(), out.packed = true, out.compact = packing.compact;
  const int64_t rows = packing.compact ? linear::kCompactRows : linear::kPanelRows;
  std::byte* const raw = storage.data() + packed_linear_bytes(out);
  std::atomic<int64_t> next_raw{0};
  pool.parallel_for(linear::round_up(weight.n, rows) / rows, [&](int64_t i, int) {
    std::byte* to = storage.data() + linear::panel_offset(out, i * rows);
    if (packing.compact) {
      linear::pack_compact_panels(weight, i * rows, to, raw, next_raw);
    } else {
      linear::pack_panel(weight.dtype, weight.data, weight.n, weight.k, i * rows, to);
    }
  });
  return out;
}

PackedWeight pack_linear_weight(const LinearWeight& weight, ThreadPool& pool) {
  const LinearPacking packing = choose_linear_packing(weight, pool);
  PackedWeight out{.storage = Buffer(packing.bytes), .weight = weight};
  out.weight = pack_linear_weight(weight, packing, {out.storage.data(), out.storage.size()}, pool);
  return out;
}

}  // namespace vllm
