#include "text/template/arithmetic.h"

#include <cmath>
#include <cstdlib>

#include "text/template/escape.h"
#include "text/template/format.h"

namespace vllm::text::tmpl {
namespace {

std::string_view sign_of(Op op) {
  switch (op) {
    case Op::kAdd: return "+";
    case Op::kSub: return "-";
    case Op::kMul: return "*";
    case Op::kDiv: return "/";
    case Op::kFloorDiv: return "//";
    case Op::kMod: return "%";
    default: return "** or pow()";
  }
}

std::string type_of(const Value& v) { return v.is_object() ? v.object()->type_name() : std::string(v.type_name()); }

[[noreturn]] void unsupported(Op op, const Value& x, const Value& y) {
  fail("unsupported operand type(s) for {}: '{}' and '{}'", sign_of(op), type_of(x), type_of(y));
}
[[noreturn]] void overflow() { fail("an integer result of more than 64 bits"); }

int64_t power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  while (true) {
    if ((exponent & 1) && __builtin_mul_overflow(result, base, &result)) overflow();
    exponent >>= 1;
    if (!exponent) return result;
    if (__builtin_mul_overflow(base, base, &base)) overflow();
  }
}

Value integers(Op op, int64_t x, int64_t y) {
  int64_t result = 0;
  switch (op) {
    case Op::kAdd:
      if (__builtin_add_overflow(x, y, &result)) overflow();
      return Value(result);
    case Op::kSub:
      if (__builtin_sub_overflow(x, y, &result)) overflow();
      return Value(result);
    case Op::kMul:
      if (__builtin_mul_overflow(x, y, &result)) overflow();
      return Value(result);
    case Op::kDiv:
      if (y == 0) fail("division by zero");
      return Value(static_cast<double>(x) / static_cast<double>(y));
    case Op::kFloorDiv:
      if (y == 0) fail("integer division or modulo by zero");
      if (y == -1) return negate(Value(x));
      return Value(x / y - (x % y != 0 && (x < 0) != (y < 0)));
    case Op::kMod: {
      if (y == 0) fail("integer modulo by zero");
      if (y == -1) return Value(int64_t{0});
      int64_t rest = x % y;
      return Value(rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest);
    }
    default:
      if (y >= 0) return Value(power(x, y));
      if (x == 0) fail("0.0 cannot be raised to a negative power");
      return Value(std::pow(static_cast<double>(x), static_cast<double>(y)));
  }
}

Value floats(Op op, double x, double y) {
  switch (op) {
    case Op::kAdd: return Value(x + y);
    case Op::kSub: return Value(x - y);
    case Op::kMul: return Value(x * y);
    case Op::kDiv:
      if (y == 0) fail("float division by zero");
      return Value(x / y);
    case Op::kFloorDiv:
    case Op::kMod: {
      if (y == 0) fail("{}", op == Op::kMod ? "float modulo" : "float floor division by zero");
      double rest = std::fmod(x, y);
      double whole = (x - rest) / y;
      if (rest != 0 && (y < 0) != (rest < 0)) rest += y, whole -= 1;
      if (rest == 0) rest = std::copysign(0.0, y);
      if (op == Op::kMod) return Value(rest);
      if (whole == 0) return Value(std::copysign(0.0, x / y));
      double down = std::floor(whole);
      return Value(whole - down > 0.5 ? down + 1 : down);
    }
    default: {
      if (x == 0 && y < 0) fail("0.0 cannot be raised to a negative power");
      double result = std::pow(x, y);
      if (std::isnan(result) && !std::isnan(x) && !std::isnan(y)) fail("complex numbers are not supported");
      if (std::isinf(result) && std::isfinite(x) && std::isfinite(y)) fail("(34, 'Numerical result out of range')");
      return Value(result);
    }
  }
}

Value add_texts(Interpreter& in, const Value& x, const Value& y) {
  bool markup = x.is_markup() || y.is_markup();
  std::string left = markup && !x.is_markup() ? escape_html(in, x.text()) : std::string(x.text());
  in.budget().check(left.size() + y.text().size());
  if (markup && !y.is_markup())
    left += escape_html(in, y.text());
  else
    left += y.text();
  return in.text(std::move(left), markup);
}

Value add(Interpreter& in, const Value& x, const Value& y) {
  if (x.is_text() && y.is_text()) return add_texts(in, x, y);
  bool lists = x.is_list() && y.is_list();
  if (lists && ((x.list().kind == ListKind::kList && y.list().kind == ListKind::kList) ||
                (x.list().is_tuple() && y.list().is_tuple()))) {
    std::vector<Value> items;
    in.budget().check((x.list().items.size() + y.list().items.size()) * sizeof(Value));
    items.reserve(x.list().items.size() + y.list().items.size());
    items = x.list().items;
    items.insert(items.end(), y.list().items.begin(), y.list().items.end());
    return in.list(std::move(items), x.list().kind == ListKind::kList ? ListKind::kList : ListKind::kTuple);
  }
  if (x.is_text()) fail("can only concatenate str (not \"{}\") to str", type_of(y));
  if (x.is_list() && x.list().kind == ListKind::kList)
    fail("can only concatenate list (not \"{}\") to list", type_of(y));
  if (x.is_list() && x.list().is_tuple()) fail("can only concatenate tuple (not \"{}\") to tuple", type_of(y));
  unsupported(Op::kAdd, x, y);
}

Value repeat(Interpreter& in, const Value& x, int64_t times) {
  auto n = static_cast<size_t>(std::max<int64_t>(times, 0));
  size_t unit = x.is_text() ? x.text().size() : x.list().items.size() * sizeof(Value);
  if (unit == 0) n = 0;
  if (n > 0 && unit > SIZE_MAX / 2 / n) fail("a repetition beyond all memory");
  in.budget().check(unit * n);
  in.budget().step(static_cast<int64_t>(unit * n / 64));
  if (x.is_text()) {
    std::string out;
    out.reserve(unit * n);
    for (size_t i = 0; i < n; ++i) out += x.text();
    return in.text(std::move(out), x.is_markup());
  }
  std::vector<Value> items;
  items.reserve(x.list().items.size() * n);
  for (size_t i = 0; i < n; ++i) items.insert(items.end(), x.list().items.begin(), x.list().items.end());
  return in.list(std::move(items), x.list().is_tuple() ? ListKind::kTuple : ListKind::kList);
}

bool repeatable(const Value& v) {
  return v.is_text() || (v.is_list() && v.list().has_index() && v.list().kind != ListKind::kRange);
}

}  // namespace

Value arithmetic(Interpreter& in, Op op, const Value& x, const Value& y) {
  if (op == Op::kMod && x.is_text()) return printf_format(in, x, y);
  if (x.is_undefined()) fail("{}", x.undefined_message());
  if (y.is_undefined()) fail("{}", y.undefined_message());
  if (x.is_integral() && y.is_integral()) return integers(op, x.integer(), y.integer());
  if (x.is_number() && y.is_number()) return floats(op, x.number(), y.number());
  if (op == Op::kAdd) return add(in, x, y);
  if (op == Op::kMul) {
    if (repeatable(x) && y.is_integral()) return repeat(in, x, y.integer());
    if (repeatable(y) && x.is_integral()) return repeat(in, y, x.integer());
    if (repeatable(x) || repeatable(y))
      fail("can't multiply sequence by non-int of type '{}'", type_of(repeatable(x) ? y : x));
  }
  unsupported(op, x, y);
}

Value negate(const Value& x) {
  if (x.is_undefined()) fail("{}", x.undefined_message());
  if (x.is_float()) return Value(-x.number());
  if (!x.is_integral()) fail("bad operand type for unary -: '{}'", type_of(x));
  if (x.integer() == INT64_MIN) overflow();
  return Value(-x.integer());
}

double round_digits(double x, int64_t digits) {
  if (!std::isfinite(x) || digits > 323) return x;
  if (digits < -308) return std::copysign(0.0, x);
  if (digits >= 0) {  // printf rounds the exact binary value, half to even, as Python's dtoa does
    std::string text = fmt::format("{:.{}f}", x, digits);
    return std::strtod(text.c_str(), nullptr);
  }
  double scale = std::pow(10.0, static_cast<double>(-digits));
  return std::nearbyint(x / scale) * scale;
}

}  // namespace vllm::text::tmpl
