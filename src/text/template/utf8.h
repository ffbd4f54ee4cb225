#pragma once
// Strings as Python sees them, stored as UTF-8: code points, whitespace, case. Ill-formed bytes count as one character
// each.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vllm::text::tmpl {

/// Decode the character at `pos` (< s.size()) and move `pos` behind it.
char32_t next_char(std::string_view s, size_t& pos);
void append_char(std::string& out, char32_t c);
/// Number of characters.
size_t char_count(std::string_view s);
bool is_ascii(std::string_view s);
/// Byte offset of each character, with s.size() at the end.
std::vector<size_t> char_offsets(std::string_view s);

/// str.isspace() of one character; also what regular expressions call \s.
bool is_space(char32_t c);
/// A character that str.splitlines() breaks at (\r\n is one break).
bool is_line_break(char32_t c);
/// Printable in repr().
bool is_printable(char32_t c);
bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_upper(char32_t c);  // category Lu, or upper by property
bool is_lower(char32_t c);
bool is_title(char32_t c);
/// \w of regular expressions: letters, numbers, underscore.
bool is_word(char32_t c);

/// Offset of `needle` at or behind `from`, npos if there is none; linear time.
size_t find_text(std::string_view s, std::string_view needle, size_t from = 0);

std::string_view strip_left(std::string_view s);
std::string_view strip_right(std::string_view s);

/// Full case mapping as str.upper() and friends do it (ß becomes SS, final sigma is kept).
std::string to_upper(std::string_view s);
std::string to_lower(std::string_view s);
std::string to_capitalized(std::string_view s);
std::string to_title(std::string_view s);
std::string swap_case(std::string_view s);

}  // namespace vllm::text::tmpl
