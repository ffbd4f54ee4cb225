// Statements.
#include "text/template/failure.h"
#include "text/template/parser.h"

namespace vllm::text::tmpl {
namespace {
std::unique_ptr<Stmt> make_stmt(StmtKind kind, int line) {
  auto stmt = std::make_unique<Stmt>();
  stmt->kind = kind;
  stmt->line = line;
  return stmt;
}
}  // namespace

// Text, prints and statements up to a tag in `end_names` (whose name is then current) or to the end of the template.
Body Parser::parse_body(const Names& end_names) {
  Nested nested(*this);
  Body body;
  std::unique_ptr<Stmt> output;
  auto append = [&](ExprPtr expr) {
    if (!output) output = make_stmt(StmtKind::kOutput, expr->line);
    output->exprs.push_back(std::move(expr));
  };
  auto flush = [&] {
    if (output) body.push_back(std::move(output));
  };
  if (!end_names.empty()) end_names_.push_back(end_names);
  while (current().kind != TokenKind::kEnd) {
    const Token& token = current();
    if (token.kind == TokenKind::kData) {
      auto data = make(ExprKind::kData, token.line);
      auto text = std::make_shared<Text>();
      text->s = token.text;
      data->value = Value(TextPtr(std::move(text)));
      append(std::move(data));
      next();
    } else if (token.kind == TokenKind::kVariableBegin) {
      next();
      append(parse_tuple({}));
      expect_kind(TokenKind::kVariableEnd);
    } else {
      flush();
      expect_kind(TokenKind::kBlockBegin);
      bool at_end = false;
      for (auto name : end_names) at_end = at_end || current().is_name(name);
      if (at_end) {
        end_names_.pop_back();
        return body;
      }
      body.push_back(parse_statement());
      expect_kind(TokenKind::kBlockEnd);
    }
  }
  flush();
  if (!end_names.empty()) unknown_tag(nullptr);
  return body;
}

Body Parser::parse_statements(const Names& end_names) {
  skip_op(":");
  expect_kind(TokenKind::kBlockEnd);
  return parse_body(end_names);
}

Body Parser::parse_to_end(std::string_view end_name) {
  Body body = parse_statements({end_name});
  next();
  return body;
}

std::unique_ptr<Stmt> Parser::parse_statement() {
  const Token& tag = current();
  if (tag.kind != TokenKind::kName) fail_at(tag.line, "tag name expected");
  open_tags_.push_back(tag.text);
  next();
  std::unique_ptr<Stmt> stmt;
  if (tag.text == "if") {
    stmt = parse_if(tag.line);
  } else if (tag.text == "for") {
    stmt = parse_for(tag.line);
  } else if (tag.text == "set") {
    stmt = parse_set(tag.line);
  } else if (tag.text == "macro") {
    stmt = parse_macro(tag.line);
  } else if (tag.text == "call") {
    stmt = parse_call_block(tag.line);
  } else if (tag.text == "with") {
    stmt = parse_with(tag.line);
  } else if (tag.text == "print") {
    stmt = parse_print(tag.line);
  } else if (tag.text == "block") {
    stmt = parse_block(tag.line);
  } else if (tag.text == "filter") {
    stmt = make_stmt(StmtKind::kFilter, tag.line);
    stmt->exprs.push_back(parse_filter(nullptr, true));
    stmt->bodies.push_back(parse_to_end("endfilter"));
  } else if (tag.text == "generation") {
    stmt = make_stmt(StmtKind::kGeneration, tag.line);
    stmt->macro = std::make_unique<MacroDef>();
    stmt->macro->body = parse_to_end("endgeneration");
  } else if (tag.text == "break" || tag.text == "continue") {
    stmt = make_stmt(tag.text == "break" ? StmtKind::kBreak : StmtKind::kContinue, tag.line);
  } else if (tag.text == "extends" || tag.text == "include" || tag.text == "import" || tag.text == "from" ||
             tag.text == "autoescape") {
    fail_at(tag.line, "'{}' has no place in a chat template: there are no other templates and no HTML", tag.text);
  } else {
    open_tags_.pop_back();
    unknown_tag(&tag);
  }
  open_tags_.pop_back();
  return stmt;
}

std::unique_ptr<Stmt> Parser::parse_if(int line) {
  auto stmt = make_stmt(StmtKind::kIf, line);
  while (true) {
    stmt->exprs.push_back(parse_tuple({.with_condexpr = false}));
    stmt->bodies.push_back(parse_statements({"elif", "else", "endif"}));
    const Token& end = next();
    if (end.is_name("elif")) continue;
    if (end.is_name("else")) stmt->bodies.push_back(parse_to_end("endif"));
    return stmt;
  }
}

std::unique_ptr<Stmt> Parser::parse_for(int line) {
  auto stmt = make_stmt(StmtKind::kFor, line);
  stmt->target = parse_target({.simplified = true});
  expect_name("in");
  stmt->exprs.push_back(parse_tuple({.with_condexpr = false}));
  stmt->exprs.push_back(skip_name("if") ? parse_expression() : nullptr);
  stmt->recursive = skip_name("recursive");
  stmt->bodies.push_back(parse_statements({"endfor", "else"}));
  if (next().is_name("endfor"))
    stmt->bodies.emplace_back();
  else
    stmt->bodies.push_back(parse_to_end("endfor"));
  return stmt;
}

std::unique_ptr<Stmt> Parser::parse_set(int line) {
  auto target = parse_target({.simplified = true, .with_namespace = true});
  if (skip_op("=")) {
    auto stmt = make_stmt(StmtKind::kSet, line);
    stmt->target = std::move(target);
    stmt->exprs.push_back(parse_tuple({}));
    return stmt;
  }
  auto stmt = make_stmt(StmtKind::kSetBlock, line);
  stmt->target = std::move(target);
  stmt->exprs.push_back(parse_filter(nullptr));
  stmt->bodies.push_back(parse_to_end("endset"));
  return stmt;
}

std::unique_ptr<Stmt> Parser::parse_macro(int line) {
  auto stmt = make_stmt(StmtKind::kMacro, line);
  stmt->macro = std::make_unique<MacroDef>();
  stmt->macro->name = expect_name().text;
  stmt->macro->symbol = symbols_.intern(stmt->macro->name);
  stmt->macro->signature = parse_signature();
  stmt->macro->body = parse_to_end("endmacro");
  return stmt;
}

std::unique_ptr<Stmt> Parser::parse_call_block(int line) {
  auto stmt = make_stmt(StmtKind::kCall, line);
  stmt->macro = std::make_unique<MacroDef>();
  if (current().is_op("(")) stmt->macro->signature = parse_signature();
  stmt->exprs.push_back(parse_expression());
  if (stmt->exprs[0]->kind != ExprKind::kCall) fail_at(line, "expected call");
  stmt->macro->body = parse_to_end("endcall");
  return stmt;
}

std::unique_ptr<Stmt> Parser::parse_with(int line) {
  auto stmt = make_stmt(StmtKind::kWith, line);
  while (current().kind != TokenKind::kBlockEnd) {
    if (!stmt->targets.empty()) expect_op(",");
    stmt->targets.push_back(parse_target({.simplified = true}));
    expect_op("=");
    stmt->exprs.push_back(parse_expression());
  }
  stmt->bodies.push_back(parse_to_end("endwith"));
  return stmt;
}

std::unique_ptr<Stmt> Parser::parse_print(int line) {
  auto stmt = make_stmt(StmtKind::kOutput, line);
  while (current().kind != TokenKind::kBlockEnd) {
    if (!stmt->exprs.empty()) expect_op(",");
    stmt->exprs.push_back(parse_expression());
  }
  return stmt;
}

std::unique_ptr<Stmt> Parser::parse_block(int line) {
  auto stmt = make_stmt(StmtKind::kBlock, line);
  std::string name = expect_name().text;
  skip_name("scoped");
  skip_name("required");
  stmt->bodies.push_back(parse_to_end("endblock"));
  skip_name(name);
  return stmt;
}

Signature Parser::parse_signature() {
  Signature result;
  expect_op("(");
  while (!current().is_op(")")) {
    if (!result.names.empty()) expect_op(",");
    const Token& name = expect_name();
    if (skip_op("=")) {
      result.defaults.push_back(parse_expression());
    } else if (!result.defaults.empty()) {
      fail_at(current().line, "non-default argument follows default argument");
    }
    result.names.push_back(name.text);
    result.symbols.push_back(symbols_.intern(name.text));
  }
  next();
  return result;
}

ExprPtr Parser::parse_target(const TupleOptions& options) {
  auto target = parse_tuple(options);
  check_target(*target);
  return target;
}

void Parser::check_target(const Expr& target) {
  switch (target.kind) {
    case ExprKind::kName:
    case ExprKind::kNsRef: return;
    case ExprKind::kTuple:
      for (const auto& kid : target.kids) check_target(*kid);
      return;
    default: fail_at(target.line, "can't assign to '{}'", target.kind == ExprKind::kConst ? "const" : "expression");
  }
}

}  // namespace vllm::text::tmpl
