#include "hub/gguf.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "hub/byte_reader.h"
#include "hub/ggml_types.h"

namespace vllm {
namespace {

// Far above what real files hold (262k vocabulary entries, 2k tensors), low enough that a lying header costs little.
constexpr uint64_t kMaxKeys = 1 << 16;
constexpr uint64_t kMaxTensors = 1 << 18;
constexpr uint64_t kMaxArrayElements = 1 << 24;  // of all arrays together: they are widened to 8 or 16 bytes each
constexpr uint64_t kMaxNameBytes = 1 << 16;
constexpr uint32_t kMaxDimensions = 4;

enum ValueType : uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };

Result<std::string_view> read_string(ByteReader& in, std::string_view what) {
  ASSIGN_OR_RETURN(uint64_t length, in.number<uint64_t>(what));
  return in.text(length, what);
}

Result<std::string_view> read_name(ByteReader& in, std::string_view what) {
  ASSIGN_OR_RETURN(std::string_view name, read_string(in, what));
  if (name.empty() || name.size() > kMaxNameBytes) return invalid_argument("{} is {} bytes long", what, name.size());
  return name;
}

template <typename T>
Result<GgufValue> read_scalar(ByteReader& in, std::string_view key) {
  ASSIGN_OR_RETURN(T value, in.number<T>(key));
  if constexpr (std::is_floating_point_v<T>) {
    return GgufValue(static_cast<double>(value));
  } else if constexpr (std::is_same_v<T, uint64_t>) {
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return GgufValue(value);
  }
  return GgufValue(static_cast<int64_t>(value));
}

template <typename T, typename Wide>
Result<GgufValue> read_array(ByteReader& in, uint64_t count, std::string_view key) {
  if (count > in.remaining() / sizeof(T))
    return invalid_argument("array \"{}\" of {} elements ends past the file", key, count);
  std::vector<Wide> values;
  values.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(T value, in.number<T>(key));
    if constexpr (std::is_same_v<T, uint64_t>) {
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        return invalid_argument("array \"{}\" holds {}, which is no 64-bit signed number", key, value);
      }
    }
    values.push_back(static_cast<Wide>(value));
  }
  return GgufValue(std::move(values));
}

Result<GgufValue> read_string_array(ByteReader& in, uint64_t count, std::string_view key) {
  if (count > in.remaining() / sizeof(uint64_t))
    return invalid_argument("array \"{}\" of {} strings ends past the file", key, count);
  std::vector<std::string_view> values;
  values.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(std::string_view value, read_string(in, key));
    values.push_back(value);
  }
  return GgufValue(std::move(values));
}

Result<GgufValue> read_array_of(ByteReader& in, uint32_t type, uint64_t count, std::string_view key) {
  switch (type) {
    case kU8: return read_array<uint8_t, int64_t>(in, count, key);
    case kI8: return read_array<int8_t, int64_t>(in, count, key);
    case kU16: return read_array<uint16_t, int64_t>(in, count, key);
    case kI16: return read_array<int16_t, int64_t>(in, count, key);
    case kU32: return read_array<uint32_t, int64_t>(in, count, key);
    case kI32: return read_array<int32_t, int64_t>(in, count, key);
    case kF32: return read_array<float, double>(in, count, key);
    case kBool: return read_array<uint8_t, int64_t>(in, count, key);
    case kString: return read_string_array(in, count, key);
    case kU64: return read_array<uint64_t, int64_t>(in, count, key);
    case kI64: return read_array<int64_t, int64_t>(in, count, key);
    case kF64: return read_array<double, double>(in, count, key);
    case kArray: return invalid_argument("key \"{}\" is an array of arrays, which is not supported", key);
    default: return invalid_argument("array \"{}\" has the unknown element type {}", key, type);
  }
}

Result<GgufValue> read_value(ByteReader& in, std::string_view key, uint64_t& array_elements_left) {
  ASSIGN_OR_RETURN(uint32_t type, in.number<uint32_t>(key));
  switch (type) {
    case kU8: return read_scalar<uint8_t>(in, key);
    case kI8: return read_scalar<int8_t>(in, key);
    case kU16: return read_scalar<uint16_t>(in, key);
    case kI16: return read_scalar<int16_t>(in, key);
    case kU32: return read_scalar<uint32_t>(in, key);
    case kI32: return read_scalar<int32_t>(in, key);
    case kF32: return read_scalar<float>(in, key);
    case kU64: return read_scalar<uint64_t>(in, key);
    case kI64: return read_scalar<int64_t>(in, key);
    case kF64: return read_scalar<double>(in, key);
    case kBool: {
      ASSIGN_OR_RETURN(uint8_t value, in.number<uint8_t>(key));
      return GgufValue(value != 0);
    }
    case kString: {
      ASSIGN_OR_RETURN(std::string_view value, read_string(in, key));
      return GgufValue(value);
    }
    case kArray: {
      ASSIGN_OR_RETURN(uint32_t element_type, in.number<uint32_t>(key));
      ASSIGN_OR_RETURN(uint64_t count, in.number<uint64_t>(key));
      if (count > array_elements_left) {
        return invalid_argument("array \"{}\" has {} elements; {} are allowed in a file", key, count,
                                kMaxArrayElements);
      }
      array_elements_left -= count;
      return read_array_of(in, element_type, count, key);
    }
    default: return invalid_argument("key \"{}\" has the unknown value type {}", key, type);
  }
}

struct Placed {
  uint64_t offset;  // from the start of the data section
  uint64_t bytes;
};

Result<Placed> read_tensor(ByteReader& in, GgufTensor& tensor) {
  ASSIGN_OR_RETURN(tensor.name, read_name(in, "a tensor's name"));
  ASSIGN_OR_RETURN(uint32_t num_dimensions, in.number<uint32_t>("a tensor's dimensions"));
  if (num_dimensions > kMaxDimensions) {
    return invalid_argument("tensor \"{}\" has {} dimensions; at most {} are allowed", tensor.name, num_dimensions,
                            kMaxDimensions);
  }
  int64_t elements = 1;
  for (uint32_t i = 0; i < num_dimensions; ++i) {
    ASSIGN_OR_RETURN(int64_t size, in.number<int64_t>("a tensor's dimensions"));
    if (size <= 0 || __builtin_mul_overflow(elements, size, &elements)) {
      return invalid_argument("tensor \"{}\" has an impossible dimension {}", tensor.name, size);
    }
    tensor.shape.push_back(size);
  }
  ASSIGN_OR_RETURN(uint32_t type, in.number<uint32_t>("a tensor's type"));
  auto dtype = dtype_of_ggml(type).with_context("tensor \"{}\"", tensor.name);
  ASSIGN_OR_RETURN(tensor.dtype, std::move(dtype));
  const DTypeInfo& unit = info(tensor.dtype);
  int64_t columns = tensor.shape.empty() ? 1 : tensor.shape.front();
  if (columns % unit.block_size != 0) {
    return invalid_argument("tensor \"{}\" has rows of {} elements, no multiple of the {} that a block of {} holds",
                            tensor.name, columns, unit.block_size, unit.name);
  }
  std::reverse(tensor.shape.begin(), tensor.shape.end());
  Placed placed{};
  ASSIGN_OR_RETURN(placed.offset, in.number<uint64_t>("a tensor's offset"));
  if (__builtin_mul_overflow(static_cast<uint64_t>(elements / unit.block_size), static_cast<uint64_t>(unit.block_bytes),
                             &placed.bytes)) {
    return invalid_argument("tensor \"{}\" is larger than any file", tensor.name);
  }
  return placed;
}

/// Give every tensor its bytes. Refuse offsets that are unaligned, out of range, or shared by two tensors.
Status place_tensors(std::vector<GgufTensor>& tensors, const std::vector<Placed>& placed,
                     std::span<const std::byte> data, uint64_t alignment) {
  std::vector<size_t> by_offset(tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& [offset, bytes] = placed[i];
    if (offset % alignment != 0)
      return invalid_argument("tensor \"{}\" is not aligned to {} bytes", tensors[i].name, alignment);
    if (offset > data.size() || bytes > data.size() - offset) {
      return invalid_argument(
          "tensor \"{}\" needs {} bytes at offset {} of a data section of {}; the file is truncated or damaged",
          tensors[i].name, bytes, offset, data.size());
    }
    tensors[i].data = data.subspan(static_cast<size_t>(offset), static_cast<size_t>(bytes));
    by_offset[i] = i;
  }
  std::sort(by_offset.begin(), by_offset.end(),
            [&](size_t a, size_t b) { return placed[a].offset < placed[b].offset; });
  for (size_t i = 1; i < by_offset.size(); ++i) {
    size_t before = by_offset[i - 1], here = by_offset[i];
    if (placed[before].offset + placed[before].bytes > placed[here].offset) {
      return invalid_argument("tensors \"{}\" and \"{}\" overlap", tensors[before].name, tensors[here].name);
    }
  }
  return Status::ok();
}

Result<uint64_t> data_alignment(const GgufFile& file) {
  if (!file.find("general.alignment")) return uint64_t{32};
  auto value = file.get_int("general.alignment");
  if (!value || *value <= 0 || *value > (1 << 20) || !std::has_single_bit(static_cast<uint64_t>(*value))) {
    return invalid_argument("general.alignment is no power of two");
  }
  return static_cast<uint64_t>(*value);
}

Result<ByteReader> read_magic(std::span<const std::byte> bytes) {
  ByteReader in(bytes);
  auto magic = in.text(4, "the magic number");
  if (!magic || *magic != "GGUF") return invalid_argument("not a GGUF file: it does not start with \"GGUF\"");
  ASSIGN_OR_RETURN(uint32_t version, in.number<uint32_t>("the version"));
  if (version != 0 && (version & 0xffff) == 0)
    return invalid_argument("a big-endian GGUF file, which is not supported");
  if (version != 2 && version != 3)
    return invalid_argument("GGUF version {} is not supported; versions 2 and 3 are", version);
  return in;
}

}  // namespace

Status GgufFile::parse_bytes(std::span<const std::byte> bytes) {
  ASSIGN_OR_RETURN(ByteReader in, read_magic(bytes));
  ASSIGN_OR_RETURN(uint64_t num_tensors, in.number<uint64_t>("the number of tensors"));
  ASSIGN_OR_RETURN(uint64_t num_keys, in.number<uint64_t>("the number of keys"));
  if (num_tensors > kMaxTensors)
    return invalid_argument("{} tensors; at most {} are allowed", num_tensors, kMaxTensors);
  if (num_keys > kMaxKeys) return invalid_argument("{} metadata keys; at most {} are allowed", num_keys, kMaxKeys);

  uint64_t array_elements_left = kMaxArrayElements;
  for (uint64_t i = 0; i < num_keys; ++i) {
    ASSIGN_OR_RETURN(std::string_view key, read_name(in, "a metadata key"));
    ASSIGN_OR_RETURN(GgufValue value, read_value(in, key, array_elements_left));
    if (!metadata_.emplace(key, std::move(value)).second)
      return invalid_argument("metadata key \"{}\" appears twice", key);
  }

  std::vector<Placed> placed;
  for (uint64_t i = 0; i < num_tensors; ++i) {
    GgufTensor tensor;
    ASSIGN_OR_RETURN(Placed place, read_tensor(in, tensor));
    if (!tensor_index_.emplace(tensor.name, tensors_.size()).second)
      return invalid_argument("tensor \"{}\" appears twice", tensor.name);
    tensors_.push_back(std::move(tensor));
    placed.push_back(place);
  }

  ASSIGN_OR_RETURN(uint64_t alignment, data_alignment(*this));
  uint64_t start = (in.position() + alignment - 1) & ~(alignment - 1);
  std::span<const std::byte> data;
  if (start < bytes.size()) data = bytes.subspan(static_cast<size_t>(start));
  return place_tensors(tensors_, placed, data, alignment);
}

Result<GgufFile> GgufFile::parse(std::span<const std::byte> bytes) {
  GgufFile file;
  RETURN_IF_ERROR(file.parse_bytes(bytes));
  return file;
}

Result<GgufFile> GgufFile::open(const std::filesystem::path& path) {
  GgufFile file;
  ASSIGN_OR_RETURN(file.file_, MappedFile::open(path));
  RETURN_IF_ERROR(file.parse_bytes(file.file_.bytes()).with_context("{}", path.string()));
  return file;
}

const GgufValue* GgufFile::find(std::string_view key) const {
  auto found = metadata_.find(key);
  return found == metadata_.end() ? nullptr : &found->second;
}

std::optional<int64_t> GgufFile::get_int(std::string_view key) const {
  const GgufValue* value = find(key);
  const int64_t* number = value ? std::get_if<int64_t>(value) : nullptr;
  return number ? std::optional(*number) : std::nullopt;
}

std::optional<double> GgufFile::get_double(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) return std::nullopt;
  if (const double* number = std::get_if<double>(value)) return *number;
  if (const int64_t* number = std::get_if<int64_t>(value)) return static_cast<double>(*number);
  if (const uint64_t* number = std::get_if<uint64_t>(value)) return static_cast<double>(*number);
  return std::nullopt;
}

std::optional<bool> GgufFile::get_bool(std::string_view key) const {
  const GgufValue* value = find(key);
  const bool* flag = value ? std::get_if<bool>(value) : nullptr;
  return flag ? std::optional(*flag) : std::nullopt;
}

std::optional<std::string_view> GgufFile::get_string(std::string_view key) const {
  const GgufValue* value = find(key);
  const std::string_view* text = value ? std::get_if<std::string_view>(value) : nullptr;
  return text ? std::optional(*text) : std::nullopt;
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

}  // namespace vllm
