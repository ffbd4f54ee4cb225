// Expressions, lowest precedence first: conditional, or, and, not, comparison, + -, ~, * / // %, **, unary, postfix,
// filters and tests.
#include <array>
#include <optional>

#include "text/template/failure.h"
#include "text/template/parser.h"

namespace vllm::text::tmpl {
namespace {

Value text_value(std::string s) {
  auto text = std::make_shared<Text>();
  text->s = std::move(s);
  return Value(TextPtr(std::move(text)));
}

struct OpName {
  std::string_view sign;
  Op op;
};
constexpr OpName kCompareOps[] = {{"==", Op::kEq}, {"!=", Op::kNe}, {"<", Op::kLt},
                                  {"<=", Op::kLe}, {">", Op::kGt},  {">=", Op::kGe}};
constexpr OpName kAddOps[] = {{"+", Op::kAdd}, {"-", Op::kSub}};
constexpr OpName kMulOps[] = {{"*", Op::kMul}, {"/", Op::kDiv}, {"//", Op::kFloorDiv}, {"%", Op::kMod}};
constexpr OpName kPowOps[] = {{"**", Op::kPow}};

template <size_t N>
std::optional<Op> operator_in(const Token& token, const OpName (&ops)[N]) {
  for (const OpName& row : ops) {
    if (token.is_op(row.sign)) return row.op;
  }
  return std::nullopt;
}

// Levels of parse_chain.
enum Level { kOrLevel, kAndLevel, kAddLevel, kMulLevel, kPowLevel };

std::optional<Op> chain_operator(const Token& token, int level) {
  switch (level) {
    case kOrLevel: return token.is_name("or") ? std::optional(Op::kOr) : std::nullopt;
    case kAndLevel: return token.is_name("and") ? std::optional(Op::kAnd) : std::nullopt;
    case kAddLevel: return operator_in(token, kAddOps);
    case kMulLevel: return operator_in(token, kMulOps);
    default: return operator_in(token, kPowOps);
  }
}

}  // namespace

ExprPtr Parser::parse_tuple(const TupleOptions& options) {
  int line = current().line;
  auto tuple = make(ExprKind::kTuple, line);
  bool is_tuple = false;
  auto at_end = [&] {
    const Token& t = current();
    return t.kind == TokenKind::kVariableEnd || t.kind == TokenKind::kBlockEnd || t.is_op(")");
  };
  while (true) {
    if (!tuple->kids.empty()) expect_op(",");
    if (at_end()) break;
    adopt(*tuple, options.simplified ? parse_primary(options.with_namespace) : parse_expression(options.with_condexpr));
    if (!current().is_op(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!tuple->kids.empty()) return std::move(tuple->kids[0]);
    if (!options.parenthesized) fail_at(current().line, "Expected an expression, got '{}'", describe(current()));
  }
  return tuple;
}

ExprPtr Parser::parse_expression(bool with_condexpr) {
  Nested nested(*this);
  return with_condexpr ? parse_cond() : parse_chain(kOrLevel);
}

ExprPtr Parser::parse_cond() {
  int line = current().line;
  auto then = parse_chain(kOrLevel);
  while (skip_name("if")) {
    auto node = make(ExprKind::kCond, line);
    adopt(*node, parse_chain(kOrLevel));
    adopt(*node, std::move(then));
    adopt(*node, skip_name("else") ? parse_expression() : nullptr);
    then = std::move(node);
    line = current().line;
  }
  return then;
}

// Operators of one level, left to right; the tree stays flat however long the chain is.
ExprPtr Parser::parse_chain(int level) {
  auto operand = [&]() -> ExprPtr {
    switch (level) {
      case kOrLevel: return parse_chain(kAndLevel);
      case kAndLevel: return parse_not();
      case kAddLevel: return parse_concat();
      case kMulLevel: return parse_chain(kPowLevel);
      default: return parse_unary();
    }
  };
  int line = current().line;
  auto first = operand();
  auto op = chain_operator(current(), level);
  if (!op) return first;
  auto node = make(ExprKind::kChain, line);
  adopt(*node, std::move(first));
  while ((op = chain_operator(current(), level))) {
    next();
    node->ops.push_back(*op);
    adopt(*node, operand());
  }
  return node;
}

ExprPtr Parser::parse_not() {
  if (!current().is_name("not")) return parse_compare();
  Nested nested(*this);
  auto node = make(ExprKind::kUnary, next().line);
  node->ops.push_back(Op::kNot);
  adopt(*node, parse_not());
  return node;
}

ExprPtr Parser::parse_compare() {
  int line = current().line;
  auto first = parse_chain(kAddLevel);
  ExprPtr node;
  while (true) {
    auto op = operator_in(current(), kCompareOps);
    if (!op && current().is_name("in")) op = Op::kIn;
    if (!op && current().is_name("not") && look().is_name("in")) {
      next();
      op = Op::kNotIn;
    }
    if (!op) return node ? std::move(node) : std::move(first);
    next();
    if (!node) {
      node = make(ExprKind::kCompare, line);
      adopt(*node, std::move(first));
    }
    node->ops.push_back(*op);
    adopt(*node, parse_chain(kAddLevel));
  }
}

ExprPtr Parser::parse_concat() {
  int line = current().line;
  auto first = parse_chain(kMulLevel);
  if (!current().is_op("~")) return first;
  auto node = make(ExprKind::kConcat, line);
  adopt(*node, std::move(first));
  while (skip_op("~")) adopt(*node, parse_chain(kMulLevel));
  return node;
}

ExprPtr Parser::parse_unary(bool with_filter) {
  ExprPtr node;
  if (current().is_op("-") || current().is_op("+")) {
    Nested nested(*this);
    node = make(ExprKind::kUnary, current().line);
    node->ops.push_back(next().is_op("-") ? Op::kNeg : Op::kPos);
    adopt(*node, parse_unary(false));
  } else {
    node = parse_primary();
  }
  node = parse_postfix(std::move(node));
  return with_filter ? parse_filters_and_tests(std::move(node)) : std::move(node);
}

ExprPtr Parser::parse_primary(bool with_namespace) {
  const Token& token = current();
  auto node = make(ExprKind::kConst, token.line);
  if (token.kind == TokenKind::kName) {
    next();
    if (token.text == "true" || token.text == "True") {
      node->value = Value(true);
    } else if (token.text == "false" || token.text == "False") {
      node->value = Value(false);
    } else if (token.text != "none" && token.text != "None") {
      node->kind = ExprKind::kName;
      node->symbol = symbols_.intern(token.text);
      node->text = token.text;
      if (with_namespace && skip_op(".")) {
        node->kind = ExprKind::kNsRef;
        node->text = expect_name().text;
      }
    }
    return node;
  }
  if (token.kind == TokenKind::kString) {
    std::string text;
    while (current().kind == TokenKind::kString) text += next().text;
    node->value = text_value(std::move(text));
    return node;
  }
  if (token.kind == TokenKind::kInteger || token.kind == TokenKind::kFloat) {
    next();
    node->value = token.kind == TokenKind::kInteger ? Value(token.integer) : Value(token.number);
    return node;
  }
  Nested nested(*this);
  if (skip_op("(")) {
    node = parse_tuple({.parenthesized = true});
    expect_op(")");
    return node;
  }
  if (token.is_op("[")) return parse_list();
  if (token.is_op("{")) return parse_dict();
  fail_at(token.line, "unexpected '{}'", describe(token));
}

ExprPtr Parser::parse_list() {
  auto node = make(ExprKind::kList, expect_op("[").line);
  while (!current().is_op("]")) {
    if (!node->kids.empty()) expect_op(",");
    if (current().is_op("]")) break;
    adopt(*node, parse_expression());
  }
  expect_op("]");
  return node;
}

ExprPtr Parser::parse_dict() {
  auto node = make(ExprKind::kDict, expect_op("{").line);
  while (!current().is_op("}")) {
    if (!node->kids.empty()) expect_op(",");
    if (current().is_op("}")) break;
    adopt(*node, parse_expression());
    expect_op(":");
    adopt(*node, parse_expression());
  }
  expect_op("}");
  return node;
}

ExprPtr Parser::parse_postfix(ExprPtr node) {
  while (true) {
    if (current().is_op(".") || current().is_op("["))
      node = parse_subscript(std::move(node));
    else if (current().is_op("("))
      node = parse_call(std::move(node));
    else
      return node;
  }
}

ExprPtr Parser::parse_filters_and_tests(ExprPtr node) {
  while (true) {
    if (current().is_op("|"))
      node = parse_filter(std::move(node));
    else if (current().is_name("is"))
      node = parse_test(std::move(node));
    else if (current().is_op("("))
      node = parse_call(std::move(node));
    else
      return node;
  }
}

ExprPtr Parser::parse_subscript(ExprPtr object) {
  const Token& token = next();
  auto node = make(ExprKind::kGetItem, token.line);
  adopt(*node, std::move(object));
  if (token.is_op(".")) {
    const Token& name = next();
    if (name.kind == TokenKind::kName) {
      node->kind = ExprKind::kGetAttr;
      node->text = name.text;
    } else if (name.kind == TokenKind::kInteger) {
      auto index = make(ExprKind::kConst, name.line);
      index->value = Value(name.integer);
      adopt(*node, std::move(index));
    } else {
      fail_at(name.line, "expected name or number");
    }
    return node;
  }
  auto bound_ends = [&] { return current().is_op(":") || current().is_op("]") || current().is_op(","); };
  auto keys = make(ExprKind::kTuple, token.line);
  bool sliced = false;
  while (!current().is_op("]")) {
    if (!keys->kids.empty()) expect_op(",");
    if (sliced) fail_at(token.line, "a slice cannot be part of a tuple");
    ExprPtr start = current().is_op(":") ? nullptr : parse_expression();
    if (!current().is_op(":")) {
      adopt(*keys, std::move(start));
      continue;
    }
    next();
    if (!keys->kids.empty()) fail_at(token.line, "a slice cannot be part of a tuple");
    sliced = true;
    node->kind = ExprKind::kSlice;
    adopt(*node, std::move(start));
    adopt(*node, bound_ends() ? nullptr : parse_expression());
    adopt(*node, skip_op(":") && !bound_ends() ? parse_expression() : nullptr);
    adopt(*keys, nullptr);
  }
  expect_op("]");
  if (sliced) return node;
  if (keys->kids.size() == 1)
    adopt(*node, std::move(keys->kids[0]));
  else
    adopt(*node, std::move(keys));
  return node;
}

CallArgs Parser::parse_call_args(Expr& parent) {
  CallArgs args;
  int line = expect_op("(").line;
  auto ensure = [&](bool ok) {
    if (!ok) fail_at(line, "invalid syntax for function call expression");
  };
  bool comma = false;
  while (!current().is_op(")")) {
    if (comma) {
      expect_op(",");
      if (current().is_op(")")) break;
    }
    ExprPtr value;
    if (skip_op("*")) {
      ensure(!args.star && !args.star_star);
      value = parse_expression();
      note_depth(parent, *value);
      args.star = std::move(value);
    } else if (skip_op("**")) {
      ensure(!args.star_star);
      value = parse_expression();
      note_depth(parent, *value);
      args.star_star = std::move(value);
    } else if (current().kind == TokenKind::kName && look().is_op("=")) {
      ensure(!args.star_star);
      std::string key = next().text;
      next();
      value = parse_expression();
      note_depth(parent, *value);
      args.keywords.emplace_back(std::move(key), std::move(value));
    } else {
      ensure(!args.star && !args.star_star && args.keywords.empty());
      value = parse_expression();
      note_depth(parent, *value);
      args.positional.push_back(std::move(value));
    }
    comma = true;
  }
  expect_op(")");
  return args;
}

ExprPtr Parser::parse_call(ExprPtr callee) {
  auto node = make(ExprKind::kCall, current().line);
  adopt(*node, std::move(callee));
  node->call = parse_call_args(*node);
  return node;
}

ExprPtr Parser::parse_filter(ExprPtr input, bool start_inline) {
  while (start_inline || skip_op("|")) {
    start_inline = false;
    const Token& name = expect_name();
    auto node = make(ExprKind::kFilter, name.line);
    node->text = name.text;
    while (skip_op(".")) node->text += "." + expect_name().text;
    adopt(*node, std::move(input));
    if (current().is_op("(")) node->call = parse_call_args(*node);
    input = std::move(node);
  }
  return input;
}

ExprPtr Parser::parse_test(ExprPtr input) {
  int line = next().line;
  bool negated = skip_name("not");
  auto node = make(ExprKind::kTest, line);
  node->text = expect_name().text;
  while (skip_op(".")) node->text += "." + expect_name().text;
  adopt(*node, std::move(input));
  const Token& t = current();
  if (t.is_op("(")) {
    node->call = parse_call_args(*node);
  } else if (((t.kind == TokenKind::kName && !t.is_name("else") && !t.is_name("or") && !t.is_name("and")) ||
              t.kind == TokenKind::kString || t.kind == TokenKind::kInteger || t.kind == TokenKind::kFloat ||
              t.is_op("[") || t.is_op("{"))) {
    if (t.is_name("is")) fail_at(t.line, "You cannot chain multiple tests with is");
    auto arg = parse_postfix(parse_primary());
    note_depth(*node, *arg);
    node->call.positional.push_back(std::move(arg));
  }
  if (!negated) return node;
  auto negation = make(ExprKind::kUnary, line);
  negation->ops.push_back(Op::kNot);
  adopt(*negation, std::move(node));
  return negation;
}

}  // namespace vllm::text::tmpl
