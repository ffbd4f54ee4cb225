#include "text/tokenizer/unicode_forms.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "text/tokenizer/unicode.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

int combining_class(utf8proc_int32_t code) { return utf8proc_get_property(code)->combining_class; }

// Canonical ordering: sort every run of marks by class, stably.
void order_marks(std::vector<utf8proc_int32_t>& codes) {
  for (size_t i = 0; i < codes.size();) {
    if (combining_class(codes[i]) == 0) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < codes.size() && combining_class(codes[end]) != 0) ++end;
    const auto first = codes.begin() + static_cast<std::ptrdiff_t>(i), last = codes.begin() + static_cast<std::ptrdiff_t>(end);
    std::stable_sort(first, last, [](auto a, auto b) { return combining_class(a) < combining_class(b); });
    i = end;
  }
}

}  // namespace

std::string normalize_unicode(std::string_view text, bool compose, bool compatibility) {
  std::vector<utf8proc_int32_t> codes;
  codes.reserve(text.size() + 32);
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
                                                      (compatibility ? UTF8PROC_COMPAT : 0));
  for (size_t pos = 0; pos < text.size();) {
    const auto code = static_cast<utf8proc_int32_t>(read_char(text, pos));
    utf8proc_int32_t parts[32];  // the longest decomposition has 18
    const utf8proc_ssize_t length = utf8proc_decompose_char(code, parts, 32, options, nullptr);
    if (length < 1 || length > 32) codes.push_back(code);
    else codes.insert(codes.end(), parts, parts + length);
  }
  order_marks(codes);
  if (compose && !codes.empty()) {
    const auto compose_options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    const auto length = utf8proc_normalize_utf32(codes.data(), static_cast<utf8proc_ssize_t>(codes.size()), compose_options);
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
    if (code == 0x130) out += "i\xCC\x87";  // the one character whose lower case is two
    else append_char(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code))));
  }
  return out;
}

}  // namespace vllm::text
