#pragma once
// Writer and reader of the step values' byte form (private to step.cc). Numbers are little-endian, bool one byte of 0
// or 1, optional a bool and the value, string and vector a u32 count and the elements. `Fields` lists the members of
// structs.
#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/check.h"

namespace vllm::engine {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie in memory");

template <typename T>
concept Number = std::is_arithmetic_v<T> && !std::same_as<T, bool>;

template <typename Fields>
struct StepWriter {
  std::string bytes;

  template <typename... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }

 private:
  void raw(const void* data, size_t size) { bytes.append(static_cast<const char*>(data), size); }
  void count(size_t n) {
    CHECK(n <= UINT32_MAX);
    put(static_cast<uint32_t>(n));
  }
  template <typename T>
  void put(const T& value) {
    if constexpr (Number<T>)
      raw(&value, sizeof value);
    else
      Fields{}(*this, value);
  }
  void put(const bool& value) { bytes.push_back(value ? 1 : 0); }
  void put(const std::string& value) { count(value.size()), bytes += value; }
  template <typename A, typename B>
  void put(const std::pair<A, B>& value) {
    put(value.first), put(value.second);
  }
  template <typename T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <typename T>
  void put(const std::vector<T>& values) {
    count(values.size());
    if constexpr (Number<T>)
      raw(values.data(), values.size() * sizeof(T));
    else
      for (const T& value : values) put(value);
  }
};

template <typename Fields>
struct StepReader {
  std::string_view bytes;
  size_t position = 0;
  const char* problem = nullptr;  // of the first thing that could not be read; values after it are left as they were

  bool ok() const { return problem == nullptr; }
  template <typename... T>
  void operator()(T&... values) {
    (get(values), ...);
  }

 private:
  bool take(void* data, size_t size) {
    if (!ok()) return false;
    if (bytes.size() - position < size) return problem = "too short", false;
    if (size) std::memcpy(data, bytes.data() + position, size);
    position += size;
    return true;
  }
  // A count of elements that take at least `min_bytes` each: never more than the rest of the input can hold.
  size_t count(size_t min_bytes) {
    uint32_t n = 0;
    get(n);
    if (!ok()) return 0;
    if (n > (bytes.size() - position) / min_bytes) return problem = "count larger than the input", 0;
    return n;
  }
  template <typename T>
  void get(T& value) {
    if constexpr (Number<T>)
      take(&value, sizeof value);
    else
      Fields{}(*this, value);
  }
  void get(bool& value) {
    uint8_t byte = 0;
    if (!take(&byte, 1)) return;
    if (byte > 1) problem = "bool is neither 0 nor 1";
    value = byte == 1;
  }
  void get(std::string& value) {
    value.resize(count(1));
    take(value.data(), value.size());
  }
  template <typename A, typename B>
  void get(std::pair<A, B>& value) {
    get(value.first), get(value.second);
  }
  template <typename T>
  void get(std::optional<T>& value) {
    bool present = false;
    get(present);
    if (ok() && present) get(value.emplace());
  }
  template <typename T>
  void get(std::vector<T>& values) {
    if constexpr (Number<T>) {
      values.resize(count(sizeof(T)));
      take(values.data(), values.size() * sizeof(T));
    } else {
      // Every struct, pair and list here takes at least 4 bytes; grown one by one, so a lie costs no memory up front.
      for (size_t n = count(4); n > 0 && ok(); --n) get(values.emplace_back());
    }
  }
};

}  // namespace vllm::engine
