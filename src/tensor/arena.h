#pragma once
// Memory for many long-lived arrays that are read from end to end in every step: packed weights. Side by side in huge
// pages where the system has them (one thread then reads up to a third faster), zeroed, freed together.
#include <cstddef>
#include <span>
#include <vector>

namespace vllm {

class Arena {
 public:
  Arena() = default;
  Arena(Arena&&) noexcept = default;
  Arena& operator=(Arena&&) noexcept = default;
  Arena(const Arena&) = delete;
  ~Arena();
  /// 64-byte aligned; pages that nobody touches take no memory.
  std::span<std::byte> allocate(size_t bytes);

 private:
  struct Chunk {
    std::byte* mapping;  // what was mapped
    size_t mapped;
    std::byte *next, *end;  // free room
  };
  std::vector<Chunk> chunks_;  // the last one is filled
};

}  // namespace vllm
