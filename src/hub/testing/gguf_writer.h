#pragma once
// Builds small GGUF files in memory, correct or damaged on purpose: for tests.
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vllm::testing {

class GgufWriter {
 public:
  template <typename T>
  static std::string raw(T value) {
    return {reinterpret_cast<const char*>(&value), sizeof(T)};
  }
  static std::string text(std::string_view value) { return raw<uint64_t>(value.size()) + std::string(value); }

  /// A key with its type number and its encoded value.
  GgufWriter& key(std::string_view name, uint32_t type, const std::string& value) {
    keys_ += text(name) + raw(type) + value;
    ++num_keys_;
    return *this;
  }
  GgufWriter& array(std::string_view name, uint32_t element_type, uint64_t count, const std::string& elements) {
    return key(name, 9, raw(element_type) + raw(count) + elements);
  }
  /// A tensor; `dimensions` in GGUF's order (columns first), `offset` from the start of the data section.
  GgufWriter& tensor(std::string_view name, const std::vector<int64_t>& dimensions, uint32_t type, uint64_t offset) {
    tensors_ += text(name) + raw(static_cast<uint32_t>(dimensions.size()));
    for (int64_t d : dimensions) tensors_ += raw(d);
    tensors_ += raw(type) + raw(offset);
    ++num_tensors_;
    return *this;
  }
  GgufWriter& data(std::string bytes) {
    data_ = std::move(bytes);
    return *this;
  }

  std::string header(uint32_t version = 3) const {
    return "GGUF" + raw(version) + raw(num_tensors_) + raw(num_keys_) + keys_ + tensors_;
  }
  std::string build(size_t alignment = 32, uint32_t version = 3) const {
    std::string file = header(version);
    file.resize((file.size() + alignment - 1) / alignment * alignment, '\0');
    return file + data_;
  }

 private:
  std::string keys_, tensors_, data_;
  uint64_t num_keys_ = 0, num_tensors_ = 0;
};

inline std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace vllm::testing
