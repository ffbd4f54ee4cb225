#include "text/template/text_ops.h"

#include <algorithm>

#include "text/template/utf8.h"

namespace vllm::text::tmpl {

std::string replace_text(Interpreter& in, std::string_view s, std::string_view from, std::string_view to,
                         int64_t count) {
  in.budget().step_bytes(s.size());
  std::string out;
  size_t at = 0;
  auto put = [&](std::string_view piece) {
    in.budget().check(out.size() + piece.size());
    in.budget().step(static_cast<int64_t>(1 + piece.size() / 64));
    out += piece;
  };
  if (from.empty()) {  // between all characters
    for (size_t pos = 0; pos <= s.size();) {
      if (count == 0) break;
      --count;
      put(to);
      at = pos;
      if (pos == s.size()) break;
      next_char(s, pos);
      put(s.substr(at, pos - at));
      at = pos;
    }
    put(s.substr(at));
    return out;
  }
  for (size_t hit; count != 0 && (hit = find_text(s, from, at)) != std::string_view::npos; --count) {
    put(s.substr(at, hit - at));
    put(to);
    at = hit + from.size();
  }
  put(s.substr(at));
  return out;
}

std::string_view strip_text(Interpreter& in, std::string_view s, std::optional<std::string_view> chars, bool left,
                            bool right) {
  in.budget().step_bytes(s.size());
  if (!chars) {
    if (left) s = strip_left(s);
    if (right) s = strip_right(s);
    return s;
  }
  std::vector<char32_t> set;
  for (size_t pos = 0; pos < chars->size();) set.push_back(next_char(*chars, pos));
  std::sort(set.begin(), set.end());
  auto listed = [&](char32_t c) { return std::binary_search(set.begin(), set.end(), c); };
  while (left && !s.empty()) {
    size_t pos = 0;
    if (!listed(next_char(s, pos))) break;
    s.remove_prefix(pos);
  }
  while (right && !s.empty()) {
    size_t pos = s.size() - 1;
    while (pos > 0 && s.size() - pos < 4 && (static_cast<unsigned char>(s[pos]) & 0xC0) == 0x80) --pos;
    size_t next = pos;
    if (!listed(next_char(s, next))) break;
    s = s.substr(0, pos);
  }
  return s;
}

std::vector<std::string_view> split_lines(std::string_view s, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t start = 0;
  for (size_t pos = 0; pos < s.size();) {
    size_t at = pos;
    char32_t c = next_char(s, pos);
    if (!is_line_break(c)) continue;
    if (c == '\r' && pos < s.size() && s[pos] == '\n') ++pos;
    lines.push_back(s.substr(start, (keep_ends ? pos : at) - start));
    start = pos;
  }
  if (start < s.size()) lines.push_back(s.substr(start));
  return lines;
}

std::string join_texts(Interpreter& in, std::string_view separator, const std::vector<std::string>& parts) {
  size_t total = 0;
  for (const auto& part : parts) total += part.size() + separator.size();
  in.budget().check(total);
  in.budget().step(static_cast<int64_t>(parts.size() + total / 64));
  std::string out;
  out.reserve(total);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i) out += separator;
    out += parts[i];
  }
  return out;
}

std::string pad_text(Interpreter& in, std::string_view s, int64_t width, std::string_view fill, char where) {
  if (char_count(fill) != 1) fail("The fill character must be exactly one character long");
  auto length = static_cast<int64_t>(char_count(s));
  int64_t pad = std::max<int64_t>(width - length, 0);
  in.budget().check(s.size() + (pad > (int64_t{1} << 40) ? SIZE_MAX / 2 : static_cast<size_t>(pad) * fill.size()));
  int64_t left = where == 'r' ? pad : where == 'l' ? 0 : pad / 2 + (pad & width & 1);
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += fill;
  out += s;
  for (int64_t i = left; i < pad; ++i) out += fill;
  return out;
}

}  // namespace vllm::text::tmpl
