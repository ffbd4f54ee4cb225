#pragma once
// A CudaBatch from host vectors, at device addresses that never change, so that a captured graph sees the next batch.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <vector>

#include "model/cuda/cuda_batch.h"
#include "tensor/cuda/buffer.h"
#include "tensor/cuda/error.h"

namespace vllm::model::testing {

/// One step as a CPU batch has it; set() pads it.
struct HostBatch {
  std::vector<int32_t> token_ids, positions;       // [num_tokens]
  std::vector<int32_t> query_start = {0};          // [num_seqs + 1]
  std::vector<int32_t> seq_lens;                   // [num_seqs]
  std::vector<int32_t> logits_rows;                // [num_logits]
  std::vector<std::vector<int32_t>> tables;        // per group [num_seqs * max_blocks]
  std::vector<std::vector<int64_t>> slot_mapping;  // per group [num_tokens]
  int num_seqs() const { return static_cast<int>(seq_lens.size()); }
};

class DeviceBatch {
 public:
  struct Limits {
    int max_tokens = 0, max_seqs = 0;
    int64_t max_blocks = 0;
    size_t num_groups = 1;
  };
  struct Padding {
    int tokens = 0, seqs = 0, logits = 0;  // rows added behind the real ones
    int slack = 0;                         // by which the host's lengths exceed the true ones
  };

  DeviceBatch() = default;
  static Result<DeviceBatch> create(const Limits& limits) {
    DeviceBatch b;
    b.limits_ = limits;
    const auto tokens = static_cast<size_t>(limits.max_tokens), seqs = static_cast<size_t>(limits.max_seqs);
    const size_t table = seqs * static_cast<size_t>(limits.max_blocks);
    const size_t ints = 3 * tokens + 2 * seqs + 1 + limits.num_groups * table;
    ASSIGN_OR_RETURN(b.ints_, DeviceBuffer::allocate(ints * sizeof(int32_t), "a test's batch"));
    ASSIGN_OR_RETURN(b.slots_, DeviceBuffer::allocate(limits.num_groups * tokens * sizeof(int64_t), "a test's batch"));
    return b;
  }

  /// Copy to the device; the result is valid until the next set(), its host spans included. Every device word that is
  /// not written is left poisoned.
  Result<CudaBatch> set(HostBatch host, Padding padding, bool decode, int phase) {
    const size_t max_tokens = static_cast<size_t>(limits_.max_tokens), max_seqs = static_cast<size_t>(limits_.max_seqs);
    auto pad = [](auto& values, int count, auto value) {
      values.insert(values.end(), static_cast<size_t>(count), value);
    };
    pad(host.token_ids, padding.tokens, 0), pad(host.positions, padding.tokens, 0);
    pad(host.query_start, padding.seqs, host.query_start.back()), pad(host.seq_lens, padding.seqs, 0);
    pad(host.logits_rows, padding.logits, -1);
    CHECK(host.token_ids.size() <= max_tokens && host.seq_lens.size() <= max_seqs);
    CHECK(host.logits_rows.size() <= max_tokens && host.tables.size() == limits_.num_groups);
    CUDA_RETURN_IF_ERROR(cudaDeviceSynchronize());
    CUDA_RETURN_IF_ERROR(cudaMemset(ints_.data(), 0x7f, ints_.size()));
    CUDA_RETURN_IF_ERROR(cudaMemset(slots_.data(), 0xff, slots_.size()));
    CudaBatch b;
    b.num_tokens = static_cast<int>(host.token_ids.size()), b.num_seqs = static_cast<int>(host.seq_lens.size());
    b.num_logits = static_cast<int>(host.logits_rows.size());
    b.decode = decode, b.phase = phase;
    int32_t* at = ints_.as<int32_t>();
    auto place = [&](const std::vector<int32_t>& values, size_t room, const int32_t*& out) -> Status {
      out = at;
      at += room;
      return copy(const_cast<int32_t*>(out), values);
    };
    RETURN_IF_ERROR(place(host.token_ids, max_tokens, b.token_ids));
    RETURN_IF_ERROR(place(host.positions, max_tokens, b.positions));
    RETURN_IF_ERROR(place(host.logits_rows, max_tokens, b.logits_rows));
    RETURN_IF_ERROR(place(host.query_start, max_seqs + 1, b.query_start));
    RETURN_IF_ERROR(place(host.seq_lens, max_seqs, b.seq_lens));
    for (size_t g = 0; g < limits_.num_groups; ++g) {
      const int32_t* table = nullptr;
      RETURN_IF_ERROR(place(host.tables[g], max_seqs * static_cast<size_t>(limits_.max_blocks), table));
      b.block_tables.push_back(TensorView<const int32_t, 2>(table, {b.num_seqs, limits_.max_blocks}));
      int64_t* slots = slots_.as<int64_t>() + g * max_tokens;
      RETURN_IF_ERROR(copy(slots, host.slot_mapping[g]));
      b.slot_mapping.push_back(slots);
    }
    CUDA_RETURN_IF_ERROR(cudaDeviceSynchronize());
    host_query_start_ = host.query_start, host_seq_lens_ = host.seq_lens;
    for (int32_t& n : host_seq_lens_) n = n == 0 ? 0 : n + padding.slack;
    b.host_query_start = host_query_start_, b.host_seq_lens = host_seq_lens_;
    return b;
  }

 private:
  template <typename T>
  static Status copy(T* device, const std::vector<T>& host) {
    return cuda_status(cudaMemcpy(device, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice), "cudaMemcpy");
  }

  Limits limits_;
  DeviceBuffer ints_, slots_;
  std::vector<int32_t> host_query_start_, host_seq_lens_;
};

}  // namespace vllm::model::testing
