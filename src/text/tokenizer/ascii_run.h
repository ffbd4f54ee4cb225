#pragma once
// How far a run of ASCII letters reaches, 16 bytes at a time.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace vllm::text {

inline bool is_ascii_letter(unsigned char c) { return static_cast<unsigned char>((c | 0x20) - 'a') < 26; }

/// The first of [p, end) that is no ASCII letter.
inline const char* skip_ascii_letters(const char* p, const char* end) {
#if defined(__SSE2__)
  while (end - p >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i from_a = _mm_sub_epi8(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
    const __m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(from_a, _mm_set1_epi8(25)), from_a);
    const auto others = static_cast<uint32_t>(_mm_movemask_epi8(is_letter)) ^ 0xFFFF;
    if (others != 0) return p + std::countr_zero(others);
    p += 16;
  }
#else
  while (end - p >= 8) {
    uint64_t bytes;
    std::memcpy(&bytes, p, 8);
    if constexpr (std::endian::native == std::endian::big) break;
    constexpr uint64_t kOnes = 0x0101010101010101, kHigh = 0x8080808080808080;
    const uint64_t lower = (bytes | kOnes * 0x20) & ~kHigh;     // seven bits of each byte
    const uint64_t at_least_a = lower + kOnes * (0x80 - 'a');   // high bit set: 'a' or more
    const uint64_t above_z = lower + kOnes * (0x80 - 'z' - 1);  // high bit set: more than 'z'
    const uint64_t others = ~(at_least_a & ~above_z & ~bytes) & kHigh;
    if (others != 0) return p + std::countr_zero(others) / 8;
    p += 8;
  }
#endif
  while (p < end && is_ascii_letter(static_cast<unsigned char>(*p))) ++p;
  return p;
}

}  // namespace vllm::text
