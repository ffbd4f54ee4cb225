#pragma once
// 128-bit keyed hashing for chains of blocks, and helpers. Not cryptographic on its own: the key is random per process,
// and whoever relies on equality compares the hashed data too.
#include <cstddef>
#include <cstdint>
#include <span>

namespace vllm {

struct Hash128 {
  uint64_t lo = 0, hi = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};
struct Hash128Hasher {
  size_t operator()(const Hash128& h) const { return static_cast<size_t>(h.lo); }
};

/// SipHash-2-4 with 128-bit output (Aumasson & Bernstein 2012) of `data` under `key`.
Hash128 siphash128(Hash128 key, std::span<const std::byte> data);
/// A key from the operating system's random source.
Hash128 random_key();

}  // namespace vllm
