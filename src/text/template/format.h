#pragma once
// The two string formatters: `"%s" % x` and `"{}".format(x)`.
#include <string>
#include <string_view>

#include "text/template/interpreter.h"

namespace vllm::text::tmpl {
/// text % arguments (a tuple, a dict for named ones, or one value).
Value printf_format(Interpreter& in, const Value& format, const Value& arguments);
/// text.format(*args, **kwargs)
std::string format_text(Interpreter& in, std::string_view format, const Args& args);
/// format(value, spec): [[fill]align][sign][#][0][width][,][.precision][type]
std::string format_spec(Interpreter& in, const Value& value, std::string_view spec);
}  // namespace vllm::text::tmpl
