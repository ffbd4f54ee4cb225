#include "bench/random.h"

#include <bit>
#include <cmath>

namespace vllm::bench {
namespace {

__extension__ using u128 = unsigned __int128;

// numpy's SeedSequence(seed).generate_state(8): entropy hashed into a pool of four words, the pool hashed into words.
std::array<uint32_t, 8> seed_sequence(uint64_t seed) {
  uint32_t constant = 0x43b0d7e5;
  auto hash = [&constant](uint32_t value) {
    value ^= constant;
    constant *= 0x931e8875;
    value *= constant;
    return value ^ (value >> 16);
  };
  auto mix = [](uint32_t x, uint32_t y) {
    uint32_t value = 0xca01f9ddu * x - 0x4973f715u * y;
    return value ^ (value >> 16);
  };
  std::array<uint32_t, 4> pool{hash(static_cast<uint32_t>(seed)), hash(static_cast<uint32_t>(seed >> 32)), hash(0),
                               hash(0)};
  for (size_t from = 0; from < 4; ++from) {
    for (size_t to = 0; to < 4; ++to) {
      if (from != to) pool[to] = mix(pool[to], hash(pool[from]));
    }
  }
  std::array<uint32_t, 8> out{};
  constant = 0x8b51f9dd;
  for (size_t i = 0; i < out.size(); ++i) {
    uint32_t value = pool[i % 4] ^ constant;
    constant *= 0x58f38ded;
    value *= constant;
    out[i] = value ^ (value >> 16);
  }
  return out;
}

u128 join(uint64_t high, uint64_t low) { return u128{high} << 64 | low; }

}  // namespace

NumpyRng::NumpyRng(uint64_t seed) {
  auto words = seed_sequence(seed);
  auto word = [&words](size_t i) { return uint64_t{words[2 * i + 1]} << 32 | words[2 * i]; };
  u128 increment = join(word(2), word(3)) << 1 | 1;
  increment_high_ = static_cast<uint64_t>(increment >> 64), increment_low_ = static_cast<uint64_t>(increment);
  next64();
  u128 state = join(state_high_, state_low_) + join(word(0), word(1));
  state_high_ = static_cast<uint64_t>(state >> 64), state_low_ = static_cast<uint64_t>(state);
  next64();
}

uint64_t NumpyRng::next64() {
  const u128 multiplier = join(2549297995355413924u, 4865540595714422341u);
  u128 state = join(state_high_, state_low_) * multiplier + join(increment_high_, increment_low_);
  state_high_ = static_cast<uint64_t>(state >> 64), state_low_ = static_cast<uint64_t>(state);
  return std::rotr(state_high_ ^ state_low_, static_cast<int>(state_high_ >> 58));
}

uint32_t NumpyRng::next32() {
  if (has_kept_) {
    has_kept_ = false;
    return kept_;
  }
  uint64_t value = next64();
  kept_ = static_cast<uint32_t>(value >> 32);
  has_kept_ = true;
  return static_cast<uint32_t>(value);
}

int64_t NumpyRng::integers(int64_t low, int64_t high) {
  uint64_t range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  if (range == 1) return low;
  uint64_t picked = 0;
  if (range < (uint64_t{1} << 32)) {
    auto bound = static_cast<uint32_t>(range);
    uint64_t product = uint64_t{next32()} * bound;
    if (static_cast<uint32_t>(product) < bound) {
      uint32_t threshold = -bound % bound;
      while (static_cast<uint32_t>(product) < threshold) product = uint64_t{next32()} * bound;
    }
    picked = product >> 32;
  } else if (range == uint64_t{1} << 32) {
    picked = next32();
  } else {
    u128 product = u128{next64()} * range;
    if (static_cast<uint64_t>(product) < range) {
      uint64_t threshold = -range % range;
      while (static_cast<uint64_t>(product) < threshold) product = u128{next64()} * range;
    }
    picked = static_cast<uint64_t>(product >> 64);
  }
  return static_cast<int64_t>(static_cast<uint64_t>(low) + picked);
}

std::vector<int64_t> NumpyRng::integers(int64_t low, int64_t high, size_t count) {
  std::vector<int64_t> out(count);
  for (int64_t& value : out) value = integers(low, high);
  return out;
}

void MersenneTwister::fill(uint32_t seed) {
  for (size_t i = 0; i < state_.size(); ++i) {
    state_[i] = seed;
    seed = 1812433253u * (seed ^ (seed >> 30)) + static_cast<uint32_t>(i) + 1;
  }
}

MersenneTwister MersenneTwister::numpy(uint32_t seed) {
  MersenneTwister out;
  out.fill(seed);
  return out;
}

// init_by_array of Matsumoto and Nishimura's reference code, over the seed's 32-bit words.
MersenneTwister MersenneTwister::python(uint64_t seed) {
  MersenneTwister out;
  auto& s = out.state_;
  const std::array<uint32_t, 2> key{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  const size_t length = key[1] ? 2 : 1, n = s.size();
  out.fill(19650218u);
  size_t i = 1, j = 0;
  auto advance = [&] {
    if (++i >= n) s[0] = s[n - 1], i = 1;
  };
  for (size_t k = n; k > 0; --k) {
    s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1664525u)) + key[j] + static_cast<uint32_t>(j);
    advance();
    if (++j >= length) j = 0;
  }
  for (size_t k = n - 1; k > 0; --k) {
    s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1566083941u)) - static_cast<uint32_t>(i);
    advance();
  }
  s[0] = 0x80000000u;
  return out;
}

uint32_t MersenneTwister::next() {
  const size_t n = state_.size();
  if (next_ == n) {
    for (size_t i = 0; i < n; ++i) {
      uint32_t y = (state_[i] & 0x80000000u) | (state_[(i + 1) % n] & 0x7fffffffu);
      state_[i] = state_[(i + 397) % n] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    next_ = 0;
  }
  uint32_t y = state_[next_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

double MersenneTwister::uniform() {
  uint32_t a = next() >> 5, b = next() >> 6;
  return (a * 67108864.0 + b) / 9007199254740992.0;
}

uint64_t MersenneTwister::below(uint64_t bound) {
  const int bits = static_cast<int>(std::bit_width(bound));
  uint64_t picked = bound;
  while (picked >= bound) picked = next() >> (32 - bits);
  return picked;
}

double MersenneTwister::exponential() { return -std::log(1.0 - uniform()); }

double MersenneTwister::gauss() {
  if (has_gauss_) {
    has_gauss_ = false;
    return kept_gauss_;
  }
  double x = 0, y = 0, square = 0;
  do {
    x = 2 * uniform() - 1;
    y = 2 * uniform() - 1;
    square = x * x + y * y;
  } while (square >= 1 || square == 0);
  double factor = std::sqrt(-2 * std::log(square) / square);
  kept_gauss_ = factor * x;
  has_gauss_ = true;
  return factor * y;
}

// numpy's legacy gamma: Ahrens and Dieter below shape 1, Marsaglia and Tsang above.
double MersenneTwister::gamma(double shape, double scale) {
  if (shape == 1) return scale * exponential();
  if (shape < 1) {
    for (;;) {
      double u = uniform(), v = exponential();
      if (u <= 1 - shape) {
        double x = std::pow(u, 1 / shape);
        if (x <= v) return scale * x;
      } else {
        double y = -std::log((1 - u) / shape), x = std::pow(1 - shape + shape * y, 1 / shape);
        if (x <= v + y) return scale * x;
      }
    }
  }
  const double b = shape - 1.0 / 3, c = 1 / std::sqrt(9 * b);
  for (;;) {
    double x = 0, v = 0;
    do {
      x = gauss();
      v = 1 + c * x;
    } while (v <= 0);
    v = v * v * v;
    double u = uniform();
    if (u < 1 - 0.0331 * (x * x) * (x * x) || std::log(u) < 0.5 * x * x + b * (1 - v + std::log(v)))
      return scale * b * v;
  }
}

}  // namespace vllm::bench
