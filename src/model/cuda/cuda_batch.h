#pragma once
// One step's batch on the device, as the executor's prep kernel writes it. Padded rows: token 0, position 0,
// slot_mapping -1; padded sequences: seq_len 0 and an empty query.
#include <cstdint>
#include <span>
#include <vector>

#include "tensor/tensor_view.h"

namespace vllm::model {

struct CudaBatch {
  int num_tokens = 0, num_seqs = 0, num_logits = 0;  // padded
  const int32_t* token_ids = nullptr;                // [num_tokens]
  const int32_t* positions = nullptr;                // [num_tokens]
  const int32_t* query_start = nullptr;              // [num_seqs + 1]
  const int32_t* seq_lens = nullptr;                 // [num_seqs]
  const int32_t* logits_rows = nullptr;              // [num_logits] token row of each wanted hidden row; -1 = padding
  std::vector<TensorView<const int32_t, 2>> block_tables;  // per group [num_seqs, max_blocks]
  std::vector<const int64_t*> slot_mapping;                // per group [num_tokens]
  bool decode = false;    // every sequence has one query: the whole forward is graph-safe
  bool lopsided = false;  // of a decode, as CudaModel::is_lopsided says: graphs are captured for either value
  // Else, where not negative: so many sequences in front have one query or none, in token rows of their numbers, and
  // the lengths of all are read on the device only (host_* stay empty), so that this forward is graph-safe too. The
  // rows of those with a query come first, those of the sequences behind follow without a gap. CudaModel::mixes().
  int decodes = -1;
  std::span<const int32_t> host_query_start, host_seq_lens;  // upper bounds, for eager plans only
  int phase = 0;                                             // which workspace of those that may be in flight
};

}  // namespace vllm::model
