// judge_as_python: the grammar of Python's json.loads, walked without recursion, to say where and why it would stop.
#include <charconv>

#include "api/json_body.h"
#include "base/utf8.h"

namespace vllm::api {
namespace {

class Judge {
 public:
  Judge(std::string_view text, int max_depth) : text_(text), max_depth_(max_depth) {}

  PythonJsonVerdict run() {
    document();
    if (ok_) {
      verdict_.ok = !verdict_.too_deep;
      verdict_.rewritten = std::move(out_) + std::string(text_.substr(copied_));
    } else {
      verdict_.position = count_chars(text_.substr(0, fail_at_));
    }
    return std::move(verdict_);
  }

 private:
  bool fail(size_t at, std::string_view message) {
    ok_ = false, fail_at_ = at, verdict_.message = message;
    return false;
  }
  void blanks() {
    while (pos_ < text_.size() &&
           (text_[pos_] == ' ' || text_[pos_] == '\t' || text_[pos_] == '\n' || text_[pos_] == '\r'))
      ++pos_;
  }
  bool at(char c) const { return pos_ < text_.size() && text_[pos_] == c; }
  bool digit() const { return pos_ < text_.size() && text_[pos_] >= '0' && text_[pos_] <= '9'; }

  // Values with an explicit stack of open containers ('[' or '{'); a JSON text is one value.
  void document() {
    blanks();
    bool want_value = true;
    while (true) {
      if (want_value) {
        if (at('[') || at('{')) {
          if (static_cast<int>(open_.size()) >= max_depth_) {
            verdict_.too_deep = true;
            return;
          }
          const char kind = text_[pos_++];
          open_.push_back(kind);
          blanks();
          if (at(kind == '[' ? ']' : '}')) {
            ++pos_;
            open_.pop_back();
          } else if (kind == '{') {
            if (!key()) return;
            continue;
          } else {
            continue;
          }
        } else if (!scalar()) {
          return;
        }
      }
      want_value = false;
      blanks();
      if (open_.empty()) {
        if (pos_ < text_.size()) fail(pos_, "Extra data");
        return;
      }
      const bool array = open_.back() == '[';
      if (at(array ? ']' : '}')) {
        ++pos_;
        open_.pop_back();
        continue;
      }
      if (!at(',')) {
        fail(pos_, "Expecting ',' delimiter");
        return;
      }
      ++pos_;
      blanks();
      if (!array && !key()) return;
      want_value = true;
    }
  }

  bool key() {
    if (!at('"')) return fail(pos_, "Expecting property name enclosed in double quotes");
    if (!string()) return false;
    blanks();
    if (!at(':')) return fail(pos_, "Expecting ':' delimiter");
    ++pos_;
    blanks();
    return true;
  }

  bool scalar() {
    if (at('"')) return string();
    const size_t begin = pos_;
    for (std::string_view word : {"null", "true", "false"}) {
      if (text_.substr(pos_).starts_with(word)) {
        pos_ += word.size();
        return true;
      }
    }
    for (std::string_view word : {"NaN", "Infinity", "-Infinity"}) {
      if (text_.substr(pos_).starts_with(word)) {
        pos_ += word.size();
        replace(begin, word);
        return true;
      }
    }
    return number();
  }

  bool number() {
    const size_t begin = pos_;
    if (at('-')) ++pos_;
    if (!digit()) {
      pos_ = begin;
      return fail(begin, "Expecting value");
    }
    if (at('0')) {
      ++pos_;
    } else {
      while (digit()) ++pos_;
    }
    bool real = false;
    if (size_t mark = pos_; at('.')) {  // a point without digits is not part of the number
      ++pos_;
      if (digit()) {
        while (digit()) ++pos_;
        real = true;
      } else {
        pos_ = mark;
      }
    }
    if (size_t mark = pos_; at('e') || at('E')) {
      ++pos_;
      if (at('+') || at('-')) ++pos_;
      if (digit()) {
        while (digit()) ++pos_;
        real = true;
      } else {
        pos_ = mark;
      }
    }
    double value = 0;
    const char* first = text_.data() + begin;
    if (real && std::from_chars(first, text_.data() + pos_, value).ec == std::errc::result_out_of_range &&
        !tiny(begin)) {
      replace(begin, *first == '-' ? "-Infinity" : "Infinity");
    }
    return true;
  }
  // True if the number's exponent is negative: out of range then means too small, which reads as zero.
  bool tiny(size_t begin) const {
    size_t e = text_.substr(begin, pos_ - begin).find_first_of("eE");
    return e != std::string_view::npos && text_[begin + e + 1] == '-';
  }

  bool string() {
    const size_t begin = pos_++;
    char32_t high = 0;  // a high surrogate that waits for its low half
    while (true) {
      if (pos_ >= text_.size()) return fail(begin, "Unterminated string starting at");
      const char c = text_[pos_];
      if (c != '\\' && high) verdict_.lone_surrogate = true, high = 0;
      if (c == '"') break;
      if (static_cast<uint8_t>(c) < 0x20) return fail(pos_, "Invalid control character at");
      if (c != '\\') {
        ++pos_;
        continue;
      }
      if (pos_ + 1 >= text_.size()) return fail(begin, "Unterminated string starting at");
      const char escape = text_[pos_ + 1];
      if (escape != 'u') {
        if (high) verdict_.lone_surrogate = true, high = 0;
        if (std::string_view("\"\\/bfnrt").find(escape) == std::string_view::npos)
          return fail(pos_, "Invalid \\escape");
        pos_ += 2;
        continue;
      }
      unsigned code = 0;
      const char* hex = text_.data() + pos_ + 2;
      const char* end = text_.data() + std::min(text_.size(), pos_ + 6);
      if (end - hex != 4 || std::from_chars(hex, end, code, 16).ptr != end)
        return fail(pos_ + 1, "Invalid \\uXXXX escape");
      const bool is_high = code >= 0xD800 && code < 0xDC00, is_low = code >= 0xDC00 && code < 0xE000;
      if (is_low != (high != 0)) verdict_.lone_surrogate = true;
      high = is_high ? code : 0;
      pos_ += 6;
    }
    ++pos_;
    return true;
  }

  // The marker string that parse_body documents, in place of text_[begin, pos_).
  void replace(size_t begin, std::string_view name) {
    out_ += text_.substr(copied_, begin - copied_);
    out_ += "\"\\u0000";
    out_ += name;
    out_ += '"';
    copied_ = pos_;
  }

  std::string_view text_;
  int max_depth_;
  size_t pos_ = 0, copied_ = 0, fail_at_ = 0;
  bool ok_ = true;
  std::string open_, out_;
  PythonJsonVerdict verdict_;
};

}  // namespace

PythonJsonVerdict judge_as_python(std::string_view text, int max_depth) { return Judge(text, max_depth).run(); }

}  // namespace vllm::api
