#pragma once
// How a step's attention is cut into work items: pure functions, the same on the device (attention_plan.cu) and in
// tests.
//
// The queries of a sequence, times the query heads of a KV head, are packed into tiles of `tile` rows. A tile and a
// chunk of keys are one item of work; a tile with several chunks is split, its parts are joined by whoever finishes
// last. The chunk is one number for all sequences: the smallest that gives no more items than fit at once on the
// device. If that would be above 512 keys, more items than fit at once are allowed, so that unequal ones even out.
#include <cstdint>

#ifdef __CUDACC__
#define VLLM_HOST_DEVICE __host__ __device__
#else
#define VLLM_HOST_DEVICE
#endif

namespace vllm {

struct AttentionPlanRules {
  int tile = 16;       // rows of a tile
  int group = 1;       // query heads of a KV head
  int min_rows = 1;    // sequences with fewer or more packed rows (queries * group) belong to another plan
  int max_rows = 16;   //
  int slots = 1;       // items that run at once, per KV head
  int min_chunk = 64;  // keys
  bool waves = true;   // whether more items than slots may be made of long sequences
  int window = 0;      // keys that a query sees at most; 0 = all
};

/// One work item, for every KV head. 32 bytes: two loads.
struct AttentionWork {
  int32_t seq, q_tile, kv_tile;
  int32_t unit;  // of a split tile: index of its counter
  int32_t kv_len, q_start, q_len;
  int32_t
      partial_row;  // of a split sequence: first row of its parts; row (query, chunk) is query * chunks + chunk further
};

struct AttentionPlanHeader {
  int32_t num_items, chunk;
  int32_t num_units, num_partial_rows;
};

/// What one sequence needs.
struct AttentionPlanSeq {
  int32_t tiles, keys;  // tiles of queries, and keys that a tile's rows can see together
};
VLLM_HOST_DEVICE inline AttentionPlanSeq attention_plan_seq(const AttentionPlanRules& r, int32_t q_len,
                                                            int32_t kv_len) {
  int64_t rows = int64_t{q_len} * r.group;
  if (q_len <= 0 || kv_len < q_len || rows < r.min_rows || rows > r.max_rows) return {0, 0};
  int32_t keys = r.window > 0 && r.window - 1 + r.tile < kv_len ? r.window - 1 + r.tile : kv_len;
  return {static_cast<int32_t>((rows + r.tile - 1) / r.tile), keys};
}
VLLM_HOST_DEVICE inline int32_t attention_chunks(int32_t keys, int32_t chunk) { return (keys + chunk - 1) / chunk; }

/// Chunk sizes that are tried, in rising order: by 32 up to 512, then by a quarter of an octave; the last one splits
/// nothing.
constexpr int kAttentionChunks = 64;
VLLM_HOST_DEVICE inline int32_t attention_chunk(int k) {
  if (k == kAttentionChunks - 1) return INT32_MAX / 2;
  if (k < 15) return 64 + 32 * k;
  int step = (k - 14) % 4, mantissa = step == 0 ? 64 : step == 1 ? 76 : step == 2 ? 91 : 108;
  return (8 << ((k - 14) / 4)) * mantissa;
}
/// Whether chunk k may be taken, when it makes `items` items of `tiles` tiles.
VLLM_HOST_DEVICE inline bool attention_chunk_fits(const AttentionPlanRules& r, int k, int32_t tiles, int32_t items) {
  int32_t chunk = attention_chunk(k), one_wave = tiles > r.slots ? tiles : r.slots;
  if (k == kAttentionChunks - 1) return true;
  if (chunk < r.min_chunk) return false;
  if (chunk <= 512 || !r.waves) return items <= one_wave;
  int32_t more = 3 * tiles < 4 * r.slots ? 4 * tiles : tiles + 4 * r.slots;
  return items <= (more > one_wave ? more : one_wave);
}
/// Upper bound of the items of at most `tiles` tiles.
VLLM_HOST_DEVICE inline int32_t attention_max_items(const AttentionPlanRules& r, int32_t tiles) {
  int32_t one_wave = tiles > r.slots ? tiles : r.slots;
  return r.waves && tiles + 4 * r.slots > one_wave ? tiles + 4 * r.slots : one_wave;
}
/// Upper bound of the rows (query, chunk) of split sequences.
VLLM_HOST_DEVICE inline int64_t attention_max_partial_rows(const AttentionPlanRules& r, int32_t tiles) {
  // Without waves a sequence is split only while all items fit into the slots.
  int64_t items = r.waves ? attention_max_items(r, tiles) : r.slots;
  return items * r.tile / r.group;
}

/// Item i of a sequence whose first item, part and unit are given. Tiles come last first: they see the most keys.
VLLM_HOST_DEVICE inline AttentionWork attention_work(AttentionPlanSeq s, int32_t chunk, int32_t i, int32_t seq,
                                                     int32_t unit, int32_t partial_row) {
  int32_t chunks = attention_chunks(s.keys, chunk);
  AttentionWork w{};
  w.seq = seq, w.q_tile = s.tiles - 1 - i / chunks, w.kv_tile = i % chunks;
  w.unit = unit + w.q_tile, w.partial_row = partial_row;
  return w;
}

}  // namespace vllm
