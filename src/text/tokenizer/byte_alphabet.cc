// GPT-2's byte alphabet: printable Latin-1 bytes stand for themselves, the others for U+0100 and on.
#include <array>
#include <string>

#include "text/tokenizer/bpe.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

struct Alphabet {
  std::array<char16_t, 256> of_byte;
  std::array<int16_t, 512> to_byte;
};

const Alphabet& alphabet() {
  static const Alphabet table = [] {
    Alphabet out;
    out.to_byte.fill(-1);
    char16_t next = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const bool itself = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      const char16_t code = itself ? static_cast<char16_t>(byte) : next++;
      out.of_byte[static_cast<size_t>(byte)] = code;
      out.to_byte[code] = static_cast<int16_t>(byte);
    }
    return out;
  }();
  return table;
}

}  // namespace

char32_t to_byte_alphabet(unsigned char byte) { return alphabet().of_byte[byte]; }

bool append_byte_alphabet(std::string_view token, std::vector<char>& bytes) {
  const size_t before = bytes.size();
  const Alphabet& table = alphabet();
  for (size_t pos = 0; pos < token.size();) {
    const char32_t code = read_char(token, pos);
    const int byte = code < 512 ? table.to_byte[code] : -1;
    if (byte < 0) {
      bytes.resize(before);
      return false;
    }
    bytes.push_back(static_cast<char>(byte));
  }
  return true;
}

bool from_byte_alphabet(std::string_view token, std::string& bytes) {
  bytes.clear();
  for (size_t pos = 0; pos < token.size();) {
    const char32_t code = read_char(token, pos);
    const int byte = code < 512 ? alphabet().to_byte[code] : -1;
    if (byte < 0) return false;
    bytes += static_cast<char>(byte);
  }
  return true;
}

}  // namespace vllm::text
