#include "text/tokenizer/unicode_forms.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "text/tokenizer/unicode.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

int combining_class(utf8proc_int32_t code) { return utf8proc_get_property(code)->combining_class; }

// Canonical ordering: sort every run of marks by class; marks of one class keep their order.
void order_marks(std::vector<utf8proc_int32_t>& codes) {
  struct Mark {
    int cls;
    size_t place;
    utf8proc_int32_t code;
  };
  std::vector<Mark> run;
  for (size_t i = 0; i < codes.size(); ++i) {
    run.clear();
    for (size_t j = i; j < codes.size() && combining_class(codes[j]) != 0; ++j)
      run.push_back({combining_class(codes[j]), j, codes[j]});
    if (run.empty()) continue;
    std::sort(run.begin(), run.end(),
              [](const Mark& a, const Mark& b) { return std::pair(a.cls, a.place) < std::pair(b.cls, b.place); });
    for (const Mark& mark : run) codes[i++] = mark.code;
  }
}

}  // namespace

std::string normalize_unicode(std::string_view text, bool compose, bool compatibility) {
  std::vector<utf8proc_int32_t> codes;
  codes.reserve(text.size() + 32);
  const auto options =
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatibility ? UTF8PROC_COMPAT : 0));
  for (size_t pos = 0; pos < text.size();) {
    const auto code = static_cast<utf8proc_int32_t>(read_char(text, pos));
    utf8proc_int32_t parts[32];  // the longest decomposition has 18
    const utf8proc_ssize_t length = utf8proc_decompose_char(code, parts, 32, options, nullptr);
    if (length < 1 || length > 32)
      codes.push_back(code);
    else
      codes.insert(codes.end(), parts, parts + length);
  }
  order_marks(codes);
  if (compose && !codes.empty()) {
    const auto compose_options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    const auto length =
        utf8proc_normalize_utf32(codes.data(), static_cast<utf8proc_ssize_t>(codes.size()), compose_options);
    if (length >= 0) codes.resize(static_cast<size_t>(length));
  }
  std::string out;
  out.reserve(text.size());
  for (const auto code : codes) append_char(out, static_cast<char32_t>(code));
  return out;
}

bool is_surely_nfc(std::string_view text) {
  const CharClasses& classes = CharClasses::get();
  for (size_t pos = 0; pos < text.size();) {
    uint64_t word;
    if (text.size() - pos >= sizeof word) {  // eight ASCII bytes at once
      std::memcpy(&word, text.data() + pos, sizeof word);
      if ((word & 0x8080808080808080u) == 0) {
        pos += sizeof word;
        continue;
      }
    }
    if (static_cast<unsigned char>(text[pos]) < 0xCC) {  // below U+0300 nothing composes or reorders
      pos += static_cast<unsigned char>(text[pos]) < 0x80 ? 1 : 2;
    } else if (classes.is(read_char(text, pos), kNfcUnsafe)) {
      return false;
    }
  }
  return true;
}

std::string lowercase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const char32_t code = read_char(text, pos);
    if (code == 0x130)
      out += "i\xCC\x87";  // the one character whose lower case is two
    else
      append_char(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code))));
  }
  return out;
}

}  // namespace vllm::text
