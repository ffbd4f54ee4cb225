#include "tensor/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>

#include "base/check.h"

namespace vllm {
namespace {

constexpr size_t kHugePage = size_t{2} << 20, kChunk = size_t{64} << 20;

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

Arena::~Arena() {
  for (const Chunk& chunk : chunks_) ::munmap(chunk.mapping, chunk.mapped);
}

std::span<std::byte> Arena::allocate(size_t bytes) {
  const size_t needed = round_up(bytes, 64);
  if (chunks_.empty() || static_cast<size_t>(chunks_.back().end - chunks_.back().next) < needed) {
    const size_t room = round_up(std::max(needed, kChunk), kHugePage), mapped = room + kHugePage;
    void* mapping = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(mapping != MAP_FAILED);
    auto* begin = reinterpret_cast<std::byte*>(round_up(reinterpret_cast<uintptr_t>(mapping), kHugePage));
    ::madvise(begin, room, MADV_HUGEPAGE);
    chunks_.push_back({static_cast<std::byte*>(mapping), mapped, begin, begin + room});
  }
  Chunk& chunk = chunks_.back();
  std::byte* at = chunk.next;
  chunk.next += needed;
  return {at, bytes};
}

}  // namespace vllm
