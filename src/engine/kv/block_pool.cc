#include "engine/kv/block_pool.h"

#include <algorithm>

#include "base/check.h"

namespace vllm::engine {

BlockPool::BlockPool(BlockId num_blocks) : blocks_(std::max<BlockId>(num_blocks, 1)) {
  for (BlockId id = 1; id < static_cast<BlockId>(blocks_.size()); ++id) link(id, kNullBlock);
}

BlockId BlockPool::allocate() {
  CHECK(num_free_ > 0);
  BlockId id = blocks_[kNullBlock].next;
  ref(id);
  return id;
}

void BlockPool::ref(BlockId id) {
  CHECK(id > 0 && id < static_cast<BlockId>(blocks_.size()));
  if (blocks_[id].refs++ == 0) unlink(id);
}

void BlockPool::unref(BlockId id, bool keep) {
  CHECK(id > 0 && id < static_cast<BlockId>(blocks_.size()) && blocks_[id].refs > 0);
  if (--blocks_[id].refs == 0) link(id, keep ? kNullBlock : blocks_[kNullBlock].next);
}

void BlockPool::link(BlockId id, BlockId before) {
  BlockId after = blocks_[before].prev;
  blocks_[id].prev = after, blocks_[id].next = before;
  blocks_[after].next = id, blocks_[before].prev = id;
  ++num_free_;
}

void BlockPool::unlink(BlockId id) {
  blocks_[blocks_[id].prev].next = blocks_[id].next;
  blocks_[blocks_[id].next].prev = blocks_[id].prev;
  --num_free_;
}

}  // namespace vllm::engine
