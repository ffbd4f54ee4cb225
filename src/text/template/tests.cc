#include "text/template/tests.h"

#include "text/template/arithmetic.h"
#include "text/template/compare.h"
#include "text/template/filters.h"
#include "text/template/interpreter.h"
#include "text/template/methods.h"

namespace vllm::text::tmpl {
namespace {

const Value& only_arg(Args& args, std::string_view name) {
  if (args.positional.size() != 1 || !args.keywords.empty()) fail("the test '{}' takes one argument", name);
  return args.positional[0];
}

template <bool (*Check)(const Value&)>
bool unary(Interpreter&, const Value& v, Args& args) {
  if (!args.positional.empty() || !args.keywords.empty()) fail("a test was given arguments that it does not take");
  return Check(v);
}

bool defined(const Value& v) { return !v.is_undefined(); }
bool undefined(const Value& v) { return v.is_undefined(); }
bool none(const Value& v) { return v.is_none(); }
bool boolean(const Value& v) { return v.is_bool(); }
bool is_true(const Value& v) { return v.is_bool() && v.boolean(); }
bool is_false(const Value& v) { return v.is_bool() && !v.boolean(); }
bool integer(const Value& v) { return v.is_int(); }
bool floating(const Value& v) { return v.is_float(); }
bool number(const Value& v) { return v.is_number(); }
bool string(const Value& v) { return v.is_text(); }
bool mapping(const Value& v) { return v.is_dict(); }
bool sequence(const Value& v) { return v.is_text() || v.is_dict() || (v.is_list() && v.list().has_index()); }
bool iterable(const Value& v) {
  return v.is_text() || v.is_dict() || v.is_list() || v.is_undefined() ||
         (v.is_object() && v.object()->type_name() == "LoopContext");
}
bool callable(const Value& v) { return v.is_undefined() || (v.is_object() && v.object()->callable()); }
bool escaped(const Value& v) { return v.is_markup(); }

bool lower(Interpreter& in, const Value& v, Args&) { return has_case(in.str(v), false); }
bool upper(Interpreter& in, const Value& v, Args&) { return has_case(in.str(v), true); }

bool remainder_is(Interpreter& in, const Value& v, const Value& divisor, int64_t expected) {
  return in.equal(arithmetic(in, Op::kMod, v, divisor), Value(expected));
}
bool odd(Interpreter& in, const Value& v, Args&) { return remainder_is(in, v, Value(int64_t{2}), 1); }
bool even(Interpreter& in, const Value& v, Args&) { return remainder_is(in, v, Value(int64_t{2}), 0); }
bool divisibleby(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<1>("divisibleby", args, {"num"}, 1);
  return remainder_is(in, v, *bound[0], 0);
}

bool equals(Interpreter& in, const Value& v, Args& args) { return in.equal(v, only_arg(args, "eq")); }
bool differs(Interpreter& in, const Value& v, Args& args) { return !in.equal(v, only_arg(args, "ne")); }
template <Order O>
bool compares(Interpreter& in, const Value& v, Args& args) {
  return ordered(in.budget(), O, v, only_arg(args, "compare"));
}
bool same_as(Interpreter&, const Value& v, Args& args) {
  auto bound = bind<1>("sameas", args, {"other"}, 1);
  return v.same_as(*bound[0]);
}
bool is_in(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<1>("in", args, {"seq"}, 1);
  return contains(in.budget(), *bound[0], v);
}
bool is_filter(Interpreter&, const Value& v, Args&) { return v.is_text() && find_filter(v.text()); }
bool is_test(Interpreter&, const Value& v, Args&) { return v.is_text() && find_test(v.text()); }

struct TestRow {
  std::string_view name;
  TestFn fn;
};
constexpr TestRow kTests[] = {
    {"defined", unary<defined>},
    {"undefined", unary<undefined>},
    {"none", unary<none>},
    {"boolean", unary<boolean>},
    {"true", unary<is_true>},
    {"false", unary<is_false>},
    {"integer", unary<integer>},
    {"float", unary<floating>},
    {"number", unary<number>},
    {"string", unary<string>},
    {"mapping", unary<mapping>},
    {"sequence", unary<sequence>},
    {"iterable", unary<iterable>},
    {"callable", unary<callable>},
    {"escaped", unary<escaped>},
    {"lower", lower},
    {"upper", upper},
    {"odd", odd},
    {"even", even},
    {"divisibleby", divisibleby},
    {"==", equals},
    {"eq", equals},
    {"equalto", equals},
    {"!=", differs},
    {"ne", differs},
    {">", compares<Order::kGreater>},
    {"gt", compares<Order::kGreater>},
    {"greaterthan", compares<Order::kGreater>},
    {">=", compares<Order::kGreaterEqual>},
    {"ge", compares<Order::kGreaterEqual>},
    {"<", compares<Order::kLess>},
    {"lt", compares<Order::kLess>},
    {"lessthan", compares<Order::kLess>},
    {"<=", compares<Order::kLessEqual>},
    {"le", compares<Order::kLessEqual>},
    {"sameas", same_as},
    {"in", is_in},
    {"filter", is_filter},
    {"test", is_test},
};

}  // namespace

TestFn find_test(std::string_view name) {
  for (const TestRow& row : kTests) {
    if (row.name == name) return row.fn;
  }
  return nullptr;
}

}  // namespace vllm::text::tmpl
