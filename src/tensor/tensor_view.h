#pragma once
// A non-owning view of a strided tensor. TensorView<float, 2> knows its type; TensorView<void, 2> carries its DType.
#include <array>
#include <cstdint>
#include <type_traits>

#include "base/check.h"
#include "tensor/dtype.h"

namespace vllm {

/// `stride` counts elements, per dimension; the last dimension is contiguous unless an op says otherwise.
/// Quantized rows have no element addresses: use `row_bytes_at` of the owner, or LinearWeight.
template <typename T, int Rank>
struct TensorView {
  using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
  T* data = nullptr;
  std::array<int64_t, Rank> shape{};
  std::array<int64_t, Rank> stride{};
  DType dtype = kDTypeOf<std::remove_const_t<T>>;

  TensorView() = default;
  /// A contiguous view.
  TensorView(T* data, std::array<int64_t, Rank> shape)
    requires(!std::is_void_v<T>)
      : data(data), shape(shape) {
    set_contiguous();
  }
  TensorView(T* data, std::array<int64_t, Rank> shape, DType dtype)
    requires std::is_void_v<T>
      : data(data), shape(shape), dtype(dtype) {
    set_contiguous();
  }
  /// From mutable to const, and from typed to void.
  template <typename U>
    requires(std::is_convertible_v<U*, T*> && (std::is_same_v<const U, const T> || std::is_void_v<T>))
  TensorView(const TensorView<U, Rank>& other)
      : data(other.data), shape(other.shape), stride(other.stride), dtype(other.dtype) {}

  int64_t size(int dim) const { return shape[static_cast<size_t>(dim)]; }
  bool empty() const { return data == nullptr; }
  int64_t num_elements() const {
    int64_t n = 1;
    for (int64_t s : shape) n *= s;
    return n;
  }
  /// Row i of the first dimension, as a pointer to its first element.
  T* row(int64_t i) const {
    if constexpr (std::is_void_v<T>) {
      return reinterpret_cast<Byte*>(data) + i * stride[0] * info(dtype).block_bytes;
    } else {
      return data + i * stride[0];
    }
  }
  template <typename... Index>
  std::add_lvalue_reference_t<T> operator()(Index... index) const
    requires(!std::is_void_v<T> && sizeof...(Index) == Rank)
  {
    int64_t offset = 0;
    size_t dim = 0;
    ((offset += static_cast<int64_t>(index) * stride[dim++]), ...);
    return data[offset];
  }
  /// The typed view of a void view; the dtype must agree.
  template <typename U>
  TensorView<U, Rank> as() const {
    CHECK(dtype == kDTypeOf<std::remove_const_t<U>>);
    TensorView<U, Rank> out;
    out.data = static_cast<U*>(data), out.shape = shape, out.stride = stride;
    return out;
  }
  /// Rows [begin, end) of the first dimension.
  TensorView slice(int64_t begin, int64_t end) const {
    CHECK(0 <= begin && begin <= end && end <= shape[0]);
    TensorView out = *this;
    out.data = row(begin);
    out.shape[0] = end - begin;
    return out;
  }

 private:
  void set_contiguous() {
    int64_t s = 1;
    for (int d = Rank - 1; d >= 0; --d) stride[static_cast<size_t>(d)] = s, s *= shape[static_cast<size_t>(d)];
  }
};

}  // namespace vllm
