#pragma once
// A decode step's attention from the raw QKV projection, in one kernel: head norms, rotary embedding, the write of the
// new key and value, and attention over the paged KV cache. The same as qkv_finish_cuda and PagedAttentionCuda one
// after the other, where launches and latencies are much of the time. It needs no plan: lengths are
// read on the device, so a captured call follows them.
#include <cstdint>

#include "base/result.h"
#include "kernels/kv_layout/kv_layout_cuda.h"
#include "tensor/cuda/stream_ref.h"
#include "tensor/tensor_view.h"

namespace vllm {

struct DecodeAttentionParams {
  TensorView<void, 2> out;        // [num_seqs, num_heads * head_dim] of T; rows of padding are not written
  TensorView<const void, 2> qkv;  // [num_seqs, (num_heads + 2 * num_kv_heads) * head_dim] of T; stays as it is
  int num_heads = 0, num_kv_heads = 0, head_dim = 0;
  const float* q_norm = nullptr;  // [head_dim] or none
  const float* k_norm = nullptr;
  float norm_eps = 1e-6f;
  TensorView<const float, 2> cos, sin;       // [num_seqs, rotary_dim / 2] of rope_table_cuda
  KvLayerView kv;                            // of T; keys of positions below seq_len - 1 are there already
  const int64_t* slot_mapping = nullptr;     // [num_seqs] where the new key goes; negative or in page 0: not written
  TensorView<const int32_t, 2> block_table;  // [num_seqs, max_blocks]
  const int32_t* seq_lens = nullptr;         // [num_seqs], the new token included; 0 = padding
  float scale = 1, softcap = 0;
  int64_t sliding_window = 0;  // keys a query sees, itself included; 0 = all
  int blocks = 0;              // thread blocks of a sequence and KV head: 1, 2, 4, 8 or 16; 0 = all is chosen
  bool ring = false;           // if blocks is given (up to 8 then): the kernel for many sequences
};

/// What decides whether the kernel can do a layer.
struct DecodeAttentionShape {
  int num_heads = 0, num_kv_heads = 0, head_dim = 0, block_size = 0;
  int64_t rotary_dim = 0;
  DType dtype = DType::kBFloat16, kv_dtype = DType::kBFloat16;
};
/// T and the cache of the same 16-bit type, heads of 64 or 128, at most 8 query heads a KV head, pages of 16 n tokens.
bool decode_attention_fits(const DecodeAttentionShape& s);

/// One of two kernels, and the thread blocks of a sequence and KV head.
struct DecodeAttentionLaunch {
  bool ring = false;  // keys and values stream through shared memory, else straight into registers
  int blocks = 1;
};
constexpr int kDecodeFewSeqs = 16;
/// Up to 16 sequences, or an item (sequence and KV head) for each of `sms` SMs at most: registers, and a power of two
/// up to 16 that fills the device once; two where that fills it at most twice. Measured on an H200 at 128 to 4,096
/// keys (decode_attention_cuda_bench). More: the ring, and a power of two up to 8 that its four blocks an SM hold at
/// once.
DecodeAttentionLaunch decode_attention_launch(int num_seqs, int num_kv_heads, int sms);

/// True if another kernel that splits the work by load would be faster: a sequence is taken by a few blocks alone, so
/// one that is much longer than the others keeps the device waiting. From times on an H200 with 8 KV heads of 128
/// (decode_attention_cuda_bench: the ragged rows); lengths in keys, `total` of all sequences.
bool decode_attention_lopsided(int num_seqs, int num_kv_heads, int64_t longest, int64_t total);

/// Row i of everything is sequence i. Lengths, the block table and the keys in the cache may be read before the kernel
/// in front is done: what wrote them must have ended before one of the kernels in front started (embedding_cuda lets
/// none start before that of the step's batch).
Status decode_attention_cuda(const DecodeAttentionParams& p, StreamRef stream);

}  // namespace vllm
