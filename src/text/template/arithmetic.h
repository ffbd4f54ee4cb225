#pragma once
// Python's operators on values.
#include "text/template/ast.h"
#include "text/template/interpreter.h"

namespace vllm::text::tmpl {
/// x op y for + - * / // % **. Integers are 64 bits: a result beyond them is an error.
Value arithmetic(Interpreter& in, Op op, const Value& x, const Value& y);
Value negate(const Value& x);
/// round(x, digits) of a float, half to even on the decimal value, as Python does.
double round_digits(double x, int64_t digits);
}  // namespace vllm::text::tmpl
