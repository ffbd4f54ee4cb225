#include "text/template/parser.h"

#include <algorithm>

#include "text/template/failure.h"

namespace vllm::text::tmpl {

Template parse(std::string_view source, int max_depth) { return Parser(tokenize(source), max_depth).run(); }

Template Parser::run() {
  Template result;
  result.body = parse_body({});
  result.symbols = std::move(symbols_);
  return result;
}

const Token& Parser::next() {
  const Token& token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool Parser::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  next();
  return true;
}

bool Parser::skip_op(std::string_view op) {
  if (!current().is_op(op)) return false;
  next();
  return true;
}

namespace {

[[noreturn]] void unexpected(const Token& token, std::string_view expected) {
  if (token.kind == TokenKind::kEnd) fail_at(token.line, "unexpected end of template, expected '{}'.", expected);
  fail_at(token.line, "expected token '{}', got '{}'", expected, describe(token));
}
}  // namespace

const Token& Parser::expect_op(std::string_view op) {
  if (!current().is_op(op)) unexpected(current(), op);
  return next();
}

const Token& Parser::expect_name(std::string_view name) {
  if (current().kind != TokenKind::kName || (!name.empty() && current().text != name)) {
    unexpected(current(), name.empty() ? "name" : name);
  }
  return next();
}

void Parser::expect_kind(TokenKind kind) {
  if (current().kind != kind) unexpected(current(), describe(Token{kind, 0, "", 0, 0}));
  next();
}

void Parser::enter() {
  if (++depth_ > max_depth_) {
    --depth_;
    fail_at(current().line, "the template nests deeper than {} levels", max_depth_);
  }
}

// A tag that no statement starts with, or the end of the template inside a block (null).
void Parser::unknown_tag(const Token* tag) {
  std::string message = tag ? fmt::format("Encountered unknown tag '{}'.", tag->text) : "Unexpected end of template.";
  if (!end_names_.empty()) {
    std::string looking;
    for (auto name : end_names_.back()) looking += (looking.empty() ? "'" : " or '") + std::string(name) + "'";
    bool expected = tag && std::any_of(end_names_.begin(), end_names_.end(), [&](const Names& names) {
                      return std::find(names.begin(), names.end(), tag->text) != names.end();
                    });
    message += expected
                   ? " You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for " +
                         looking + "."
                   : " Jinja was looking for the following tags: " + looking + ".";
  }
  if (!open_tags_.empty()) {
    message += " The innermost block that needs to be closed is '" + open_tags_.back() + "'.";
  }
  fail_at(tag ? tag->line : current().line, "{}", message);
}

ExprPtr Parser::make(ExprKind kind, int line) {
  auto node = std::make_unique<Expr>();
  node->kind = kind;
  node->line = line;
  return node;
}

void Parser::note_depth(Expr& parent, const Expr& kid) {
  parent.depth = std::max(parent.depth, kid.depth + 1);
  if (parent.depth > max_depth_) fail_at(parent.line, "an expression nests deeper than {} levels", max_depth_);
}

void Parser::adopt(Expr& parent, ExprPtr kid) {
  if (kid) note_depth(parent, *kid);
  parent.kids.push_back(std::move(kid));
}

}  // namespace vllm::text::tmpl
