// Case mapping of whole strings, as Python's str methods do it.
#include <utf8proc.h>

#include <algorithm>

#include "text/template/utf8.h"

namespace vllm::text::tmpl {
namespace {

struct SpecialCase {
  char32_t c;
  const char* upper;
  const char* title;
};
constexpr SpecialCase kSpecial[] = {
#include "text/template/special_casing.inc"
};

const SpecialCase* special(char32_t c) {
  if (c < 0xDF) return nullptr;
  auto it = std::lower_bound(std::begin(kSpecial), std::end(kSpecial), c,
                             [](const SpecialCase& row, char32_t value) { return row.c < value; });
  return it != std::end(kSpecial) && it->c == c ? &*it : nullptr;
}

void append_upper(std::string& out, char32_t c) {
  if (auto* row = special(c))
    out += row->upper;
  else
    append_char(out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
}

void append_title(std::string& out, char32_t c) {
  if (auto* row = special(c))
    out += row->title;
  else
    append_char(out, static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))));
}

bool is_cased(char32_t c) { return is_upper(c) || is_lower(c) || is_title(c); }

// A sigma is final if a cased letter stands before it and none after it (case-ignorable marks between do not count).
bool is_final_sigma(std::string_view s, size_t start, size_t end) {
  auto ignorable = [](char32_t c) {
    auto k = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    return c == '\'' || c == '.' || c == ':' || c == 0xB7 || c == 0x2019 || k == UTF8PROC_CATEGORY_MN ||
           k == UTF8PROC_CATEGORY_ME || k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_LM ||
           k == UTF8PROC_CATEGORY_SK;
  };
  bool before = false;
  for (size_t pos = start; pos > 0;) {
    do --pos;
    while (pos > 0 && (static_cast<unsigned char>(s[pos]) & 0xC0) == 0x80);
    size_t next = pos;
    char32_t c = next_char(s, next);
    if (ignorable(c) && start - pos < 64) continue;  // bounded: no text has 64 marks on a letter
    before = is_cased(c);
    break;
  }
  if (!before) return false;
  for (size_t pos = end; pos < s.size() && pos - end < 64;) {
    char32_t c = next_char(s, pos);
    if (ignorable(c)) continue;
    return !is_cased(c);
  }
  return true;
}

void append_lower(std::string& out, std::string_view s, size_t start, size_t end, char32_t c) {
  if (c == 0x130) {
    out += "i\u0307";
  } else if (c == 0x3A3) {
    append_char(out, is_final_sigma(s, start, end) ? 0x3C2 : 0x3C3);
  } else {
    append_char(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
  }
}

}  // namespace

std::string to_upper(std::string_view s) {
  std::string out;
  out.reserve(s.size());
  for (size_t pos = 0; pos < s.size();) append_upper(out, next_char(s, pos));
  return out;
}

std::string to_lower(std::string_view s) {
  std::string out;
  out.reserve(s.size());
  for (size_t pos = 0; pos < s.size();) {
    size_t start = pos;
    char32_t c = next_char(s, pos);
    append_lower(out, s, start, pos, c);
  }
  return out;
}

std::string to_capitalized(std::string_view s) {
  std::string out;
  for (size_t pos = 0; pos < s.size();) {
    size_t start = pos;
    char32_t c = next_char(s, pos);
    if (start == 0)
      append_title(out, c);
    else
      append_lower(out, s, start, pos, c);
  }
  return out;
}

std::string to_title(std::string_view s) {
  std::string out;
  bool in_word = false;
  for (size_t pos = 0; pos < s.size();) {
    size_t start = pos;
    char32_t c = next_char(s, pos);
    if (in_word)
      append_lower(out, s, start, pos, c);
    else
      append_title(out, c);
    in_word = is_cased(c);
  }
  return out;
}

std::string swap_case(std::string_view s) {
  std::string out;
  for (size_t pos = 0; pos < s.size();) {
    size_t start = pos;
    char32_t c = next_char(s, pos);
    if (is_upper(c))
      append_lower(out, s, start, pos, c);
    else if (is_lower(c))
      append_upper(out, c);
    else
      append_char(out, c);
  }
  return out;
}

}  // namespace vllm::text::tmpl
