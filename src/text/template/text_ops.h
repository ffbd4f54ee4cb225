#pragma once
// Operations on strings that methods and filters share. Sizes are charged before anything is built.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/template/interpreter.h"

namespace vllm::text::tmpl {

/// s.replace(from, to, count); a negative count means all.
std::string replace_text(Interpreter& in, std::string_view s, std::string_view from, std::string_view to,
                         int64_t count);
/// s.strip(chars); without chars, whitespace.
std::string_view strip_text(Interpreter& in, std::string_view s, std::optional<std::string_view> chars, bool left,
                            bool right);
/// s.splitlines(keep_ends)
std::vector<std::string_view> split_lines(std::string_view s, bool keep_ends);
std::string join_texts(Interpreter& in, std::string_view separator, const std::vector<std::string>& parts);
/// str.center/ljust/rjust; `where` is 'c', 'l' or 'r'.
std::string pad_text(Interpreter& in, std::string_view s, int64_t width, std::string_view fill, char where);

}  // namespace vllm::text::tmpl
