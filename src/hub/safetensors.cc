// The safetensors format: 8 bytes header length, a JSON header, the tensors' bytes without holes.
#include <algorithm>
#include <optional>

#include "base/json.h"
#include "hub/byte_reader.h"
#include "hub/checkpoint.h"

namespace vllm {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr size_t kMaxDimensions = 8;

struct TypeRow {
  std::string_view name;
  DType dtype;
};
constexpr TypeRow kTypes[] = {
    {"F32", DType::kFloat32}, {"F16", DType::kFloat16}, {"BF16", DType::kBFloat16}, {"I8", DType::kInt8},
    {"I32", DType::kInt32},   {"I64", DType::kInt64},   {"U8", DType::kUInt8},      {"BOOL", DType::kBool},
};

Result<DType> dtype_of(std::string_view name) {
  for (const TypeRow& row : kTypes) {
    if (row.name == name) return row.dtype;
  }
  return error(ErrorCode::kUnimplemented,
               "element type {} is not supported; supported are F32, F16, BF16, I8, I32, I64, U8 and BOOL",
               name.substr(0, 32));
}

std::optional<uint64_t> unsigned_of(const json::value& value) {
  if (value.is_uint64()) return value.get_uint64();
  if (value.is_int64() && value.get_int64() >= 0) return static_cast<uint64_t>(value.get_int64());
  return std::nullopt;
}

/// The shape, with its number of elements in `elements`.
Result<std::vector<int64_t>> shape_of(const json::object& entry, int64_t& elements) {
  const json::array* dimensions = get_array(entry, "shape");
  if (!dimensions) return invalid_argument("no \"shape\"");
  if (dimensions->size() > kMaxDimensions)
    return invalid_argument("{} dimensions; at most {} are allowed", dimensions->size(), kMaxDimensions);
  std::vector<int64_t> shape;
  elements = 1;
  for (const json::value& dimension : *dimensions) {
    auto size = unsigned_of(dimension);
    if (!size || *size > INT64_MAX || __builtin_mul_overflow(elements, static_cast<int64_t>(*size), &elements)) {
      return invalid_argument("an impossible shape");
    }
    shape.push_back(static_cast<int64_t>(*size));
  }
  return shape;
}

/// One header entry; its bytes are looked up in `data`.
Result<CheckpointTensor> parse_entry(const json::value& value, std::span<const std::byte> data) {
  if (!value.is_object()) return invalid_argument("its entry is no object");
  const json::object& entry = value.get_object();
  auto type = get_string(entry, "dtype");
  if (!type) return invalid_argument("no \"dtype\"");
  CheckpointTensor tensor;
  ASSIGN_OR_RETURN(tensor.dtype, dtype_of(*type));
  int64_t elements = 0;
  ASSIGN_OR_RETURN(tensor.shape, shape_of(entry, elements));

  const json::array* offsets = get_array(entry, "data_offsets");
  if (!offsets || offsets->size() != 2) return invalid_argument("no \"data_offsets\" of two numbers");
  auto begin = unsigned_of(offsets->at(0)), end = unsigned_of(offsets->at(1));
  if (!begin || !end || *begin > *end) return invalid_argument("impossible data_offsets");
  if (*end > data.size()) {
    return invalid_argument("it ends at byte {} of a file that has {} bytes of data; the file is truncated", *end,
                            data.size());
  }
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<uint64_t>(elements), static_cast<uint64_t>(info(tensor.dtype).block_bytes),
                             &bytes) ||
      bytes != *end - *begin) {
    return invalid_argument("its shape and type do not make the {} bytes that it has", *end - *begin);
  }
  tensor.data = data.subspan(static_cast<size_t>(*begin), static_cast<size_t>(bytes));
  return tensor;
}

/// The tensors' bytes must follow each other from the first to the last byte: nothing shared, nothing hidden between.
Status check_coverage(const std::vector<CheckpointTensor>& sorted, std::span<const std::byte> data) {
  const std::byte* expected = data.data();
  for (const CheckpointTensor& tensor : sorted) {
    if (tensor.data.data() < expected) return invalid_argument("tensor \"{}\" overlaps the one before it", tensor.name);
    if (tensor.data.data() > expected) {
      return invalid_argument("{} bytes before tensor \"{}\" belong to no tensor", tensor.data.data() - expected,
                              tensor.name);
    }
    expected += tensor.data.size();
  }
  if (expected != data.data() + data.size()) {
    return invalid_argument("the last {} bytes of the file belong to no tensor", data.data() + data.size() - expected);
  }
  return Status::ok();
}

}  // namespace

Result<std::vector<CheckpointTensor>> parse_safetensors(std::span<const std::byte> bytes) {
  ByteReader in(bytes);
  ASSIGN_OR_RETURN(uint64_t header_bytes, in.number<uint64_t>("the header's length"));
  if (header_bytes > kMaxHeaderBytes) {
    return invalid_argument("not a safetensors file, or a damaged one: its header would have {} bytes", header_bytes);
  }
  ASSIGN_OR_RETURN(std::string_view header, in.text(header_bytes, "the header"));
  auto parsed = parse_json(header).with_context("in the header");
  ASSIGN_OR_RETURN(json::value document, std::move(parsed));
  if (!document.is_object()) return invalid_argument("the header is no JSON object");

  std::span<const std::byte> data = bytes.subspan(in.position());
  std::vector<CheckpointTensor> tensors;
  for (const auto& [key, value] : document.get_object()) {
    std::string_view name(key.data(), key.size());
    if (name == "__metadata__") continue;
    auto tensor = parse_entry(value, data).with_context("tensor \"{}\"", name);
    if (!tensor) return std::move(tensor).error();
    tensor->name = name;
    tensors.push_back(*std::move(tensor));
  }
  std::sort(tensors.begin(), tensors.end(), [](const CheckpointTensor& a, const CheckpointTensor& b) {
    if (a.data.data() != b.data.data()) return a.data.data() < b.data.data();
    return a.data.size() != b.data.size() ? a.data.size() < b.data.size()
                                          : a.name < b.name;  // empty tensors come first
  });
  RETURN_IF_ERROR(check_coverage(tensors, data));
  return tensors;
}

}  // namespace vllm
