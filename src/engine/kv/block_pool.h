#pragma once
// The pages of one device: reference counts, and the order in which unused pages are handed out again.
#include <cstdint>
#include <vector>

namespace vllm::engine {

using BlockId = int32_t;
inline constexpr BlockId kNullBlock = 0;  // padded rows write it; in a block table it stands for "no page"

/// Block ids [1, num_blocks) and a list of the unused ones, least recently used first. A page whose content is worth
/// keeping goes to the end of the list when its last user leaves, any other to the front. Every operation is O(1).
/// Engine thread only.
class BlockPool {
 public:
  explicit BlockPool(BlockId num_blocks);

  BlockId num_blocks() const { return static_cast<BlockId>(blocks_.size()) - 1; }  // null block excluded
  BlockId num_free() const { return num_free_; }
  int ref_count(BlockId id) const { return blocks_[id].refs; }

  /// Take the least recently used free block, with one reference. There must be one.
  BlockId allocate();
  /// Add a reference to a block, which may be unused.
  void ref(BlockId id);
  /// Drop a reference. With the last one the block becomes free; `keep` puts it behind all other free blocks.
  void unref(BlockId id, bool keep);

 private:
  struct Block {
    int32_t refs = 0;
    BlockId prev = 0, next = 0;  // in the free list while refs is 0; block 0 is the ring's head
  };
  void link(BlockId id, BlockId before);
  void unlink(BlockId id);

  std::vector<Block> blocks_;
  BlockId num_free_ = 0;
};

}  // namespace vllm::engine
