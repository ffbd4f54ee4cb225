#include "base/hash.h"

#include <sys/random.h>

#include <bit>
#include <cstring>

#include "base/check.h"

namespace vllm {

Hash128 siphash128(Hash128 key, std::span<const std::byte> data) {
  uint64_t v0 = 0x736f6d6570736575ULL ^ key.lo, v1 = 0x646f72616e646f6dULL ^ key.hi ^ 0xee;
  uint64_t v2 = 0x6c7967656e657261ULL ^ key.lo, v3 = 0x7465646279746573ULL ^ key.hi;
  auto rounds = [&](int n) {
    for (int i = 0; i < n; ++i) {
      v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
      v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
    }
  };
  const std::byte* p = data.data();
  size_t left = data.size();
  for (; left >= 8; p += 8, left -= 8) {
    uint64_t m;
    std::memcpy(&m, p, 8);
    v3 ^= m;
    rounds(2);
    v0 ^= m;
  }
  uint64_t tail = static_cast<uint64_t>(data.size()) << 56;
  for (size_t i = 0; i < left; ++i) tail |= static_cast<uint64_t>(p[i]) << (8 * i);
  v3 ^= tail;
  rounds(2);
  v0 ^= tail;
  v2 ^= 0xee;
  rounds(4);
  Hash128 out;
  out.lo = v0 ^ v1 ^ v2 ^ v3;
  v1 ^= 0xdd;
  rounds(4);
  out.hi = v0 ^ v1 ^ v2 ^ v3;
  return out;
}

Hash128 random_key() {
  Hash128 key;
  CHECK(::getrandom(&key, sizeof key, 0) == sizeof key);
  return key;
}

}  // namespace vllm
