#pragma once
// A cursor over bytes of unknown origin: every read is checked against what is left, and little-endian by definition.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "base/result.h"

namespace vllm {

static_assert(std::endian::native == std::endian::little, "file formats here are little-endian, and read as they lie");

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }

  /// The next number. kInvalidArgument names `what` if the bytes end before it does.
  template <typename T>
  Result<T> number(std::string_view what) {
    if (remaining() < sizeof(T)) return truncated(what);
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  /// The next `count` bytes as text, looking into the underlying bytes.
  Result<std::string_view> text(uint64_t count, std::string_view what) {
    if (count > remaining()) return truncated(what);
    std::string_view view(reinterpret_cast<const char*>(bytes_.data()) + position_, static_cast<size_t>(count));
    position_ += view.size();
    return view;
  }

 private:
  Error truncated(std::string_view what) const {
    return invalid_argument("the file ends inside {} (at byte {} of {})", what, position_, bytes_.size());
  }

  std::span<const std::byte> bytes_;
  size_t position_ = 0;
};

}  // namespace vllm
