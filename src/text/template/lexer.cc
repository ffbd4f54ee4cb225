#include "text/template/lexer.h"

#include <algorithm>
#include <charconv>

#include "text/template/failure.h"
#include "text/template/literals.h"
#include "text/template/utf8.h"

namespace vllm::text::tmpl {
namespace {

constexpr std::string_view kOperators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                           "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};

// \r\n and \r become \n; one newline at the end of the template is dropped.
std::string normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
    } else {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)), rest_(source_) {}

  std::vector<Token> run() {
    while (pos_ < source_.size()) data();
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  bool at(std::string_view s) const { return rest_.substr(pos_).starts_with(s); }
  void add(TokenKind kind, std::string text) { tokens_.push_back({kind, line_, std::move(text), 0, 0}); }
  void advance_to(size_t pos) {
    line_ += static_cast<int>(std::count(source_.begin() + pos_, source_.begin() + pos, '\n'));
    line_starting_ = pos > 0 && pos > pos_ ? source_[pos - 1] == '\n' : line_starting_;
    pos_ = pos;
  }
  void skip_space() { advance_to(source_.size() - strip_left(rest_.substr(pos_)).size()); }

  // Text up to the next tag, then the tag.
  void data() {
    size_t tag = pos_;
    while ((tag = source_.find('{', tag)) != std::string::npos) {
      char next = tag + 1 < source_.size() ? source_[tag + 1] : '\0';
      if (next == '%' || next == '{' || next == '#') break;
      ++tag;
    }
    if (tag == std::string::npos) {
      add(TokenKind::kData, std::string(rest_.substr(pos_)));
      advance_to(source_.size());
      return;
    }
    char type = source_[tag + 1];
    size_t after = tag + 2;
    char sign = after < source_.size() && (source_[after] == '-' || source_[after] == '+') ? source_[after] : '\0';
    emit_text(rest_.substr(pos_, tag - pos_), sign, type == '{');
    if (sign) ++after;
    if (type == '%') {
      if (size_t body = raw_body(after)) {
        advance_to(body);
        raw();
        return;
      }
    }
    advance_to(after);
    line_starting_ = false;
    if (type == '#') {
      comment();
    } else {
      add(type == '{' ? TokenKind::kVariableBegin : TokenKind::kBlockBegin, "");
      tag_body(type == '{');
    }
  }

  // The text before a tag: `-` strips all blanks before it, a statement or comment alone on its line loses its indent.
  void emit_text(std::string_view text, char sign, bool is_variable) {
    if (sign == '-') {
      text = strip_right(text);
    } else if (sign != '+' && !is_variable) {
      size_t newline = text.rfind('\n');
      size_t line_start = newline == std::string_view::npos ? 0 : newline + 1;
      if ((line_start > 0 || line_starting_) && strip_left(text.substr(line_start)).empty())
        text = text.substr(0, line_start);
    }
    if (!text.empty()) add(TokenKind::kData, std::string(text));
  }

  // Offset behind `raw %}` if that is what stands at `pos`, else 0.
  size_t raw_body(size_t pos) const {
    std::string_view s = strip_left(rest_.substr(pos));
    if (!s.starts_with("raw")) return 0;
    s = strip_left(s.substr(3));
    bool strip = s.starts_with("-%}");
    if (!strip && !s.starts_with("%}")) return 0;
    s.remove_prefix(strip ? 3 : 2);
    if (strip) s = strip_left(s);
    return source_.size() - s.size();
  }

  void raw() {
    for (size_t tag = pos_; (tag = source_.find("{%", tag)) != std::string::npos; ++tag) {
      size_t after = tag + 2;
      char sign = after < source_.size() && (source_[after] == '-' || source_[after] == '+') ? source_[after] : '\0';
      std::string_view s = strip_left(rest_.substr(after + (sign ? 1 : 0)));
      if (!s.starts_with("endraw")) continue;
      size_t end = block_end(source_.size() - strip_left(s.substr(6)).size(), true);
      if (!end) continue;
      emit_text(rest_.substr(pos_, tag - pos_), sign, false);
      advance_to(end);
      return;
    }
    fail_at(line_, "Missing end of raw directive");
  }

  void comment() {
    for (size_t end = pos_; (end = source_.find("#}", end)) != std::string::npos; ++end) {
      char sign = end > pos_ ? source_[end - 1] : '\0';
      size_t next = end + 2;
      if (sign == '-') {
        next = source_.size() - strip_left(rest_.substr(next)).size();
      } else if (sign != '+' && next < source_.size() && source_[next] == '\n') {
        ++next;
      }
      advance_to(next);
      return;
    }
    fail_at(line_, "Missing end of comment tag");
  }

  // Offset behind the end tag (and the blanks it takes with it) if one starts at `pos`, else 0.
  size_t block_end(size_t pos, bool plus_allowed) const {
    std::string_view s = rest_.substr(std::min(pos, source_.size()));
    if (s.starts_with("-%}")) return source_.size() - strip_left(s.substr(3)).size();
    if (plus_allowed && s.starts_with("+%}")) return pos + 3;
    if (!s.starts_with("%}")) return 0;
    return pos + (s.size() > 2 && s[2] == '\n' ? 3 : 2);
  }
  size_t variable_end(size_t pos) const {
    std::string_view s = rest_.substr(pos);
    if (s.starts_with("-}}")) return source_.size() - strip_left(s.substr(3)).size();
    return s.starts_with("}}") ? pos + 2 : 0;
  }

  void tag_body(bool is_variable) {
    std::string open;  // closing brackets still expected: an end tag inside brackets is an operator
    while (true) {
      if (open.empty()) {
        if (size_t end = is_variable ? variable_end(pos_) : block_end(pos_, true)) {
          add(is_variable ? TokenKind::kVariableEnd : TokenKind::kBlockEnd, "");
          advance_to(end);
          return;
        }
      }
      if (pos_ >= source_.size()) return;  // the parser reports the end
      size_t before = pos_;
      skip_space();
      if (pos_ != before) continue;
      if (number() || name() || string() || operator_token(open)) continue;
      size_t next = pos_;
      next_char(source_, next);
      fail_at(line_, "unexpected char '{}' at {}", rest_.substr(pos_, next - pos_), char_count(rest_.substr(0, pos_)));
    }
  }

  bool number() {
    NumberLiteral literal;
    bool after_dot = pos_ > 0 && source_[pos_ - 1] == '.';
    size_t length = scan_number(rest_.substr(pos_), after_dot, literal);
    if (!length) return false;
    if (literal.overflow) fail_at(line_, "an integer of more than 64 bits");
    add(literal.is_float ? TokenKind::kFloat : TokenKind::kInteger, std::string(rest_.substr(pos_, length)));
    tokens_.back().integer = literal.integer;
    tokens_.back().number = literal.number;
    advance_to(pos_ + length);
    return true;
  }

  bool name() {
    size_t end = pos_;
    while (end < source_.size() && is_name_byte(source_[end])) ++end;
    if (end == pos_) return false;
    add(TokenKind::kName, std::string(rest_.substr(pos_, end - pos_)));
    if (!is_identifier(tokens_.back().text)) fail_at(line_, "Invalid character in identifier");
    advance_to(end);
    return true;
  }

  bool string() {
    char quote = source_[pos_];
    if (quote != '\'' && quote != '"') return false;
    size_t end = pos_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) return false;
    std::string text, problem;
    if (!unescape(rest_.substr(pos_ + 1, end - pos_ - 1), text, problem)) fail_at(line_, "{}", problem);
    add(TokenKind::kString, std::move(text));
    advance_to(end + 1);
    return true;
  }

  bool operator_token(std::string& open) {
    for (std::string_view op : kOperators) {
      if (!at(op)) continue;
      char c = op[0];
      if (c == '(' || c == '[' || c == '{') open += c == '(' ? ')' : c == '[' ? ']' : '}';
      if (c == ')' || c == ']' || c == '}') {
        if (open.empty()) fail_at(line_, "unexpected '{}'", c);
        if (open.back() != c) fail_at(line_, "unexpected '{}', expected '{}'", c, open.back());
        open.pop_back();
      }
      add(TokenKind::kOperator, std::string(op));
      advance_to(pos_ + op.size());
      return true;
    }
    return false;
  }

  std::string source_;
  std::string_view rest_;  // the whole of source_, for substr without copies
  size_t pos_ = 0;
  int line_ = 1;
  bool line_starting_ = true;  // the previous token ended a line
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(normalized(source)).run(); }

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kEnd: return "end of template";
    case TokenKind::kData: return "template data / text";
    case TokenKind::kVariableBegin: return "begin of print statement";
    case TokenKind::kVariableEnd: return "end of print statement";
    case TokenKind::kBlockBegin: return "begin of statement block";
    case TokenKind::kBlockEnd: return "end of statement block";
    case TokenKind::kString: return "string";
    case TokenKind::kInteger: return "integer";
    case TokenKind::kFloat: return "float";
    default: return token.text;
  }
}

}  // namespace vllm::text::tmpl
