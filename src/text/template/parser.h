#pragma once
// Tokens to AST, with jinja2's grammar and error texts.
#include <string_view>

#include "text/template/ast.h"
#include "text/template/lexer.h"

namespace vllm::text::tmpl {

/// Parse a template. `max_depth` bounds the nesting of blocks and expressions. Throws TemplateFailure with the line.
Template parse(std::string_view source, int max_depth);

class Parser {
 public:
  Parser(std::vector<Token> tokens, int max_depth) : tokens_(std::move(tokens)), max_depth_(max_depth) {}
  Template run();

 private:
  using Names = std::vector<std::string_view>;
  struct TupleOptions {
    bool simplified = false;  // primaries only: assignment targets
    bool with_condexpr = true;
    bool parenthesized = false;   // an empty tuple is allowed
    bool with_namespace = false;  // `ns.name` is a target
  };
  // Counts nesting for as long as it lives.
  class Nested {
   public:
    explicit Nested(Parser& p) : parser_(p) { parser_.enter(); }
    ~Nested() { --parser_.depth_; }
    Parser& parser_;
  };

  // parser.cc
  const Token& current() const { return tokens_[at_]; }
  const Token& look() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  const Token& next();
  bool skip_name(std::string_view name);
  bool skip_op(std::string_view op);
  const Token& expect_op(std::string_view op);
  const Token& expect_name(std::string_view name = {});
  void expect_kind(TokenKind kind);
  void enter();
  [[noreturn]] void unknown_tag(const Token* tag);
  ExprPtr make(ExprKind kind, int line);
  /// Take `kid` as a child of `parent`, watching the depth.
  void adopt(Expr& parent, ExprPtr kid);
  void note_depth(Expr& parent, const Expr& kid);

  // parser_stmt.cc
  Body parse_body(const Names& end_names);
  Body parse_statements(const Names& end_names);  // from the end of the opening tag to the end tag's name (current)
  Body parse_to_end(std::string_view end_name);   // the same, end tag's name consumed
  std::unique_ptr<Stmt> parse_statement();
  std::unique_ptr<Stmt> parse_if(int line);
  std::unique_ptr<Stmt> parse_for(int line);
  std::unique_ptr<Stmt> parse_set(int line);
  std::unique_ptr<Stmt> parse_macro(int line);
  std::unique_ptr<Stmt> parse_call_block(int line);
  std::unique_ptr<Stmt> parse_with(int line);
  std::unique_ptr<Stmt> parse_print(int line);
  std::unique_ptr<Stmt> parse_block(int line);
  Signature parse_signature();
  ExprPtr parse_target(const TupleOptions& options);
  void check_target(const Expr& target);

  // parser_expr.cc
  ExprPtr parse_tuple(const TupleOptions& options);
  ExprPtr parse_expression(bool with_condexpr = true);
  ExprPtr parse_cond();
  ExprPtr parse_chain(int level);
  ExprPtr parse_not();
  ExprPtr parse_compare();
  ExprPtr parse_concat();
  ExprPtr parse_unary(bool with_filter = true);
  ExprPtr parse_primary(bool with_namespace = false);
  ExprPtr parse_list();
  ExprPtr parse_dict();
  ExprPtr parse_postfix(ExprPtr node);
  ExprPtr parse_filters_and_tests(ExprPtr node);
  ExprPtr parse_subscript(ExprPtr node);
  ExprPtr parse_call(ExprPtr node);
  ExprPtr parse_filter(ExprPtr node, bool start_inline = false);
  ExprPtr parse_test(ExprPtr node);
  CallArgs parse_call_args(Expr& parent);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int max_depth_, depth_ = 0;
  Symbols symbols_;
  std::vector<std::string> open_tags_;
  std::vector<Names> end_names_;
};

}  // namespace vllm::text::tmpl
