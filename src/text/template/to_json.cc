#include "text/template/to_json.h"

#include <cmath>

#include "text/template/compare.h"
#include "text/template/repr.h"
#include "text/template/utf8.h"

namespace vllm::text::tmpl {
namespace {

class Writer {
 public:
  Writer(Interpreter& in, const JsonStyle& style) : in_(in), style_(style) {}
  std::string take() { return std::move(out_); }

  void write(const Value& v, int level) {
    in_.budget().step();
    if (out_.size() > checked_) {
      in_.budget().check(out_.size() * 2);
      checked_ = out_.size() * 2;
    }
    if (v.is_text())
      string(v.text());
    else if (v.is_dict())
      object(v.dict(), level);
    else if (v.is_list() && (v.list().kind == ListKind::kList || v.list().is_tuple()))
      array(v.list(), level);
    else if (v.is_none() || v.is_bool() || v.is_number())
      out_ += scalar(v);
    else
      fail("Object of type {} is not JSON serializable", v.is_object() ? v.object()->type_name() : v.type_name());
  }

 private:
  static std::string scalar(const Value& v) {
    if (v.is_none()) return "null";
    if (v.is_bool()) return v.boolean() ? "true" : "false";
    if (v.is_int()) return std::to_string(v.integer());
    double d = v.number();
    if (std::isnan(d)) return "NaN";
    if (std::isinf(d)) return d > 0 ? "Infinity" : "-Infinity";
    return float_repr(d);
  }

  void string(std::string_view s) {
    in_.budget().step_bytes(s.size());
    in_.budget().check(out_.size() + s.size() * 6);
    out_ += '"';
    for (size_t pos = 0; pos < s.size();) {
      size_t start = pos;
      char32_t c = next_char(s, pos);
      switch (c) {
        case '"': out_ += "\\\""; break;
        case '\\': out_ += "\\\\"; break;
        case '\n': out_ += "\\n"; break;
        case '\r': out_ += "\\r"; break;
        case '\t': out_ += "\\t"; break;
        case '\b': out_ += "\\b"; break;
        case '\f': out_ += "\\f"; break;
        default:
          if (c < 0x20 || (style_.ensure_ascii && c > 0x7E && c < 0x10000)) {
            out_ += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
          } else if (style_.ensure_ascii && c >= 0x10000) {
            uint32_t rest = static_cast<uint32_t>(c) - 0x10000;
            out_ += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
          } else {
            out_ += s.substr(start, pos - start);
          }
      }
    }
    out_ += '"';
  }

  void new_line(int level) {
    if (!style_.indent) return;
    in_.budget().check(out_.size() + style_.indent->size() * static_cast<size_t>(level));
    out_ += '\n';
    for (int i = 0; i < level; ++i) out_ += *style_.indent;
  }

  void array(const List& list, int level) {
    out_ += '[';
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i) out_ += style_.item_separator;
      new_line(level + 1);
      write(list.items[i], level + 1);
    }
    if (!list.items.empty()) new_line(level);
    out_ += ']';
  }

  void object(const Dict& dict, int level) {
    std::vector<const std::pair<Value, Value>*> pairs;
    for (const auto& pair : dict.items) pairs.push_back(&pair);
    if (style_.sort_keys) {
      auto order = stable_order(pairs.size(), [&](size_t a, size_t b) {
        return ordered(in_.budget(), Order::kLess, dict.items[a].first, dict.items[b].first);
      });
      for (size_t i = 0; i < pairs.size(); ++i) pairs[i] = &dict.items[order[i]];
    }
    out_ += '{';
    for (size_t i = 0; i < pairs.size(); ++i) {
      if (i) out_ += style_.item_separator;
      new_line(level + 1);
      const Value& key = pairs[i]->first;
      if (!key.is_text() && !key.is_none() && !key.is_number()) {
        fail("keys must be str, int, float, bool or None, not {}", key.type_name());
      }
      string(key.is_text() ? key.text() : scalar(key));
      out_ += style_.key_separator;
      write(pairs[i]->second, level + 1);
    }
    if (!pairs.empty()) new_line(level);
    out_ += '}';
  }

  Interpreter& in_;
  const JsonStyle& style_;
  std::string out_;
  size_t checked_ = 4096;
};

}  // namespace

std::string to_json(Interpreter& in, const Value& v, const JsonStyle& style) {
  Writer writer(in, style);
  writer.write(v, 0);
  return writer.take();
}

}  // namespace vllm::text::tmpl
