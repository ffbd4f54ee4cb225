// SentencePiece's model file: a protobuf message, of which a few fields matter.
#include <bit>
#include <cstring>
#include <limits>
#include <optional>

#include "text/tokenizer/raw_vocabularies.h"

namespace vllm::text {
namespace {

constexpr size_t kMaxPieces = 4'000'000;

// Walks the fields of one message.
class ProtoReader {
 public:
  explicit ProtoReader(std::string_view bytes) : rest_(bytes) {}

  uint32_t field = 0;      // number of the current field
  uint64_t number = 0;     // its value, if it is a varint or fixed-width
  std::string_view bytes;  // its value, if it is length-delimited

  bool done() const { return rest_.empty(); }
  bool next() {  // false: malformed
    uint64_t key;
    if (!varint(key) || key >> 3 == 0 || key >> 3 > std::numeric_limits<uint32_t>::max()) return false;
    field = static_cast<uint32_t>(key >> 3);
    number = 0;
    bytes = {};
    switch (key & 7) {
      case 0: return varint(number);
      case 1: return fixed(8);
      case 2: {
        uint64_t size;
        if (!varint(size) || size > rest_.size()) return false;
        bytes = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return true;
      }
      case 5: return fixed(4);
      default: return false;  // groups are not used
    }
  }

 private:
  bool varint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_[0]);
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 127) << shift;
      if (byte < 128) return true;
    }
    return false;
  }
  bool fixed(size_t size) {
    if (rest_.size() < size) return false;
    for (size_t i = 0; i < size; ++i) number |= static_cast<uint64_t>(static_cast<unsigned char>(rest_[i])) << 8 * i;
    rest_.remove_prefix(size);
    return true;
  }

  std::string_view rest_;
};

bool read_piece(std::string_view bytes, SpmModel::Piece& piece) {
  ProtoReader reader(bytes);
  while (!reader.done()) {
    if (!reader.next()) return false;
    if (reader.field == 1) piece.text = reader.bytes;
    if (reader.field == 2) piece.score = std::bit_cast<float>(static_cast<uint32_t>(reader.number));
    if (reader.field == 3) piece.type = static_cast<int>(reader.number);
  }
  return true;
}

int64_t as_id(uint64_t number) { return static_cast<int64_t>(static_cast<int32_t>(static_cast<uint32_t>(number))); }

bool read_trainer(std::string_view bytes, SpmModel& model) {
  ProtoReader reader(bytes);
  while (!reader.done()) {
    if (!reader.next()) return false;
    if (reader.field == 3) model.kind = static_cast<SpmModel::Kind>(std::min<uint64_t>(reader.number, 100));
    if (reader.field == 35) model.byte_fallback = reader.number != 0;
    if (reader.field == 40) model.unk_id = as_id(reader.number);
    if (reader.field == 41) model.bos_id = as_id(reader.number);
    if (reader.field == 42) model.eos_id = as_id(reader.number);
  }
  return true;
}

bool read_normalizer(std::string_view bytes, SpmModel& model) {
  ProtoReader reader(bytes);
  while (!reader.done()) {
    if (!reader.next()) return false;
    if (reader.field == 2) model.charsmap = reader.bytes;
    if (reader.field == 3) model.add_dummy_prefix = reader.number != 0;
    if (reader.field == 4) model.remove_extra_whitespaces = reader.number != 0;
  }
  return true;
}

}  // namespace

Result<SpmModel> parse_spm_proto(std::string_view bytes) {
  SpmModel model;
  ProtoReader reader(bytes);
  bool good = true;
  while (good && !reader.done()) {
    good = reader.next();
    if (good && reader.field == 1) {
      if (model.pieces.size() == kMaxPieces) return invalid_argument("more than {} pieces", kMaxPieces);
      good = read_piece(reader.bytes, model.pieces.emplace_back());
    } else if (good && reader.field == 2) {
      good = read_trainer(reader.bytes, model);
    } else if (good && reader.field == 3) {
      good = read_normalizer(reader.bytes, model);
    }
  }
  if (!good || model.pieces.empty()) return invalid_argument("this is no SentencePiece model");
  if (model.kind != SpmModel::Kind::kUnigram && model.kind != SpmModel::Kind::kBpe) {
    return error(ErrorCode::kUnimplemented, "SentencePiece model type {} is not supported (known: 1 unigram, 2 BPE)",
                 static_cast<int>(model.kind));
  }
  return model;
}

}  // namespace vllm::text
