// Expressions.
#include "text/template/arithmetic.h"
#include "text/template/compare.h"
#include "text/template/from_json.h"
#include "text/template/globals.h"
#include "text/template/interpreter.h"
#include "text/template/methods.h"

namespace vllm::text::tmpl {

Value Interpreter::eval(const Expr& e) {
  budget_.step();
  Deeper deeper(*this);
  switch (e.kind) {
    case ExprKind::kConst:
    case ExprKind::kData: return e.value;
    case ExprKind::kName: return lookup(e.symbol);
    case ExprKind::kTuple:
    case ExprKind::kList: {
      std::vector<Value> items;
      items.reserve(e.kids.size());
      for (const auto& kid : e.kids) items.push_back(eval(*kid));
      return list(std::move(items), e.kind == ExprKind::kTuple ? ListKind::kTuple : ListKind::kList);
    }
    case ExprKind::kDict: return eval_dict(e);
    case ExprKind::kGetAttr: return get_attr(eval(*e.kids[0]), e.text);
    case ExprKind::kGetItem: {
      Value object = eval(*e.kids[0]);
      return get_item(object, eval(*e.kids[1]));
    }
    case ExprKind::kSlice: {
      Value object = eval(*e.kids[0]);
      Value bounds[3];
      for (int i = 0; i < 3; ++i) {
        if (e.kids[i + 1]) bounds[i] = eval(*e.kids[i + 1]);
      }
      return slice(object, bounds[0], bounds[1], bounds[2]);
    }
    case ExprKind::kCall: return eval_call(e);
    case ExprKind::kFilter: return eval_filter(e, eval(*e.kids[0]));
    case ExprKind::kTest: {
      Value value = eval(*e.kids[0]);
      Args args;
      eval_args(e.call, args);
      if (!e.test) fail("No test named '{}'.", e.text);
      return Value(e.test(*this, value, args));
    }
    case ExprKind::kChain: return eval_chain(e);
    case ExprKind::kCompare: return eval_compare(e);
    case ExprKind::kUnary: return eval_unary(e);
    case ExprKind::kConcat: {
      std::string out;
      for (const auto& kid : e.kids) {
        Value v = eval(*kid);
        std::string piece = v.is_text() ? std::string() : str(v);
        std::string_view s = v.is_text() ? v.text() : piece;
        budget_.check(out.size() + s.size());
        out += s;
      }
      return text(std::move(out));
    }
    case ExprKind::kCond:
      if (eval(*e.kids[0]).truthy()) return eval(*e.kids[1]);
      if (e.kids[2]) return eval(*e.kids[2]);
      return Value::undefined(fmt::format(
          "the inline if-expression on line {} evaluated to false and no else section was defined.", e.line));
    case ExprKind::kNsRef: break;  // a target, never a value
  }
  fail("not an expression");
}

Value Interpreter::lookup(int symbol) {
  for (const Scope* scope = scope_.get(); scope; scope = scope->parent().get()) {
    if (const Value* found = scope->find_here(symbol)) return *found;
  }
  auto& known = context_[static_cast<size_t>(symbol)];
  if (!known) {
    const std::string& name = template_.symbols.name(symbol);
    if (const json::value* variable = variables_.if_contains(name)) {
      known = from_json(*variable);
    } else if (auto fn = find_global(name)) {
      known = object(std::make_shared<Function>("global", fn));
    } else {
      known = Value::undefined("'" + name + "' is undefined");
    }
  }
  return *known;
}

Value Interpreter::eval_dict(const Expr& e) {
  std::vector<std::pair<Value, Value>> pairs;
  for (size_t i = 0; i + 1 < e.kids.size(); i += 2) {
    Value key = eval(*e.kids[i]);
    pairs.emplace_back(std::move(key), eval(*e.kids[i + 1]));
  }
  return dict(std::move(pairs));
}

Value Interpreter::eval_chain(const Expr& e) {
  Value left = eval(*e.kids[0]);
  for (size_t i = 0; i < e.ops.size(); ++i) {
    const Expr& right = *e.kids[i + 1];
    if (e.ops[i] == Op::kAnd) {
      if (!left.truthy()) return left;
      left = eval(right);
    } else if (e.ops[i] == Op::kOr) {
      if (left.truthy()) return left;
      left = eval(right);
    } else {
      left = arithmetic(*this, e.ops[i], left, eval(right));
    }
  }
  return left;
}

Value Interpreter::eval_compare(const Expr& e) {
  Value left = eval(*e.kids[0]);
  for (size_t i = 0; i < e.ops.size(); ++i) {
    Value right = eval(*e.kids[i + 1]);
    bool holds = false;
    switch (e.ops[i]) {
      case Op::kEq: holds = equal(left, right); break;
      case Op::kNe: holds = !equal(left, right); break;
      case Op::kLt: holds = ordered(budget_, Order::kLess, left, right); break;
      case Op::kLe: holds = ordered(budget_, Order::kLessEqual, left, right); break;
      case Op::kGt: holds = ordered(budget_, Order::kGreater, left, right); break;
      case Op::kGe: holds = ordered(budget_, Order::kGreaterEqual, left, right); break;
      case Op::kIn: holds = contains(budget_, right, left); break;
      default: holds = !contains(budget_, right, left); break;
    }
    if (!holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Value Interpreter::eval_unary(const Expr& e) {
  Value value = eval(*e.kids[0]);
  if (e.ops[0] == Op::kNot) return Value(!value.truthy());
  if (e.ops[0] == Op::kNeg) return negate(value);
  if (value.is_undefined()) fail("{}", value.undefined_message());
  if (!value.is_number()) fail("bad operand type for unary +: '{}'", value.type_name());
  return value.is_bool() ? Value(value.integer()) : value;
}

void Interpreter::eval_args(const CallArgs& call, Args& args) {
  args.positional.reserve(call.positional.size());
  for (const auto& arg : call.positional) args.positional.push_back(eval(*arg));
  if (call.star) {
    for (Value& v : items_of(eval(*call.star))) args.positional.push_back(std::move(v));
  }
  for (const auto& [key, arg] : call.keywords) args.keywords.emplace_back(key, eval(*arg));
  if (call.star_star) {
    Value mapping = eval(*call.star_star);
    if (!mapping.is_dict()) fail("argument after ** must be a mapping, not {}", mapping.type_name());
    for (const auto& [key, value] : mapping.dict().items) {
      if (!key.is_text()) fail("keywords must be strings");
      args.keywords.emplace_back(key.text(), value);
    }
  }
}

Value Interpreter::eval_call(const Expr& e) {
  const Expr& callee = *e.kids[0];
  Args args;
  if (callee.kind == ExprKind::kGetAttr) {  // x.method(...): no bound method as a value in between
    Value object = eval(*callee.kids[0]);
    if (MethodFn fn = object.is_object() ? nullptr : find_method(object, callee.text)) {
      eval_args(e.call, args);
      return fn(*this, object, args);
    }
    Value method = get_attr(object, callee.text);
    eval_args(e.call, args);
    return call(method, args);
  }
  Value function = eval(callee);
  eval_args(e.call, args);
  return call(function, args);
}

Value Interpreter::eval_filter(const Expr& e, const Value& input) {
  Args args;
  eval_args(e.call, args);
  if (!e.filter) fail("No filter named '{}'.", e.text);
  return e.filter(*this, input, args);
}

}  // namespace vllm::text::tmpl
