#pragma once
// Template source to tokens: jinja2's lexer with trim_blocks and lstrip_blocks on.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vllm::text::tmpl {

enum class TokenKind : uint8_t {
  kEnd,
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  int line = 1;
  std::string text;  // data, name, unescaped string or operator
  int64_t integer = 0;
  double number = 0;

  bool is_name(std::string_view name) const { return kind == TokenKind::kName && text == name; }
  bool is_op(std::string_view op) const { return kind == TokenKind::kOperator && text == op; }
};

/// Throws TemplateFailure with the line for what jinja2 calls a TemplateSyntaxError. The last token is kEnd.
std::vector<Token> tokenize(std::string_view source);
/// How error messages name a token.
std::string describe(const Token& token);

}  // namespace vllm::text::tmpl
