// Filters on single values: default, numbers, attributes, tojson.
#include <cmath>

#include "text/template/arithmetic.h"
#include "text/template/filter_tables.h"
#include "text/template/methods.h"
#include "text/template/numbers.h"
#include "text/template/repr.h"
#include "text/template/to_json.h"

namespace vllm::text::tmpl {
namespace {

Value default_value(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<2>("default", args, {"default_value", "boolean"});
  if (!v.is_undefined() && (!bound.flag(1) || v.truthy())) return v;
  return bound[0] ? *bound[0] : in.text("");
}

Value to_int(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<2>("int", args, {"default", "base"});
  if (v.is_undefined()) fail("{}", v.undefined_message());
  if (v.is_integral()) return Value(v.integer());
  std::optional<double> d;
  if (v.is_text()) {
    if (auto i = parse_int(v.text(), bound.integer(1, 10))) return Value(*i);
    d = parse_float(v.text());
    if (d && !std::isfinite(*d)) d.reset();
  } else if (v.is_float()) {
    d = v.number();
    if (std::isinf(*d)) fail("cannot convert float infinity to integer");
    if (std::isnan(*d)) d.reset();
  }
  if (!d) return bound[0] ? *bound[0] : Value(int64_t{0});
  if (!(std::abs(*d) < 9.2e18)) fail("an integer of more than 64 bits");
  return Value(static_cast<int64_t>(*d));
}

Value to_float(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<1>("float", args, {"default"});
  if (v.is_undefined()) fail("{}", v.undefined_message());
  if (v.is_number()) return Value(v.number());
  if (v.is_text()) {
    if (auto d = parse_float(v.text())) return Value(*d);
  }
  return bound[0] ? *bound[0] : Value(0.0);
}

Value absolute(Interpreter& in, const Value& v, Args& args) {
  if (v.is_undefined()) fail("bad operand type for abs(): 'Undefined'");
  if (!v.is_number()) fail("bad operand type for abs(): '{}'", v.type_name());
  if (v.is_float()) return Value(std::abs(v.number()));
  return v.integer() < 0 ? negate(v) : Value(v.integer());
}

Value round(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<2>("round", args, {"precision", "method"});
  int64_t digits = bound.integer(0, 0);
  std::string method = bound[1] ? in.str(*bound[1]) : "common";
  if (method != "common" && method != "ceil" && method != "floor") fail("method must be common, ceil or floor");
  if (v.is_undefined()) fail("{}", v.undefined_message());
  if (!v.is_number()) fail("type {} doesn't define __round__ method", v.type_name());
  if (method == "common") {
    if (v.is_float()) return Value(round_digits(v.number(), digits));
    if (digits >= 0) return Value(v.integer());
    if (digits < -18) return Value(int64_t{0});
    auto scale = static_cast<int64_t>(std::pow(10.0, static_cast<double>(-digits)));
    int64_t whole = v.integer() / scale * scale, rest = v.integer() - whole;
    bool up = std::abs(rest) * 2 > scale || (std::abs(rest) * 2 == scale && (whole / scale) % 2 != 0);
    return arithmetic(in, Op::kAdd, Value(whole), Value(up ? (rest < 0 ? -scale : scale) : int64_t{0}));
  }
  double scale = std::pow(10.0, static_cast<double>(digits));
  double scaled = v.number() * scale;
  return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Value attr(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<1>("attr", args, {"name"}, 1);
  if (!bound[0]->is_text()) fail("attribute name must be string");
  std::string_view name = bound[0]->text();
  if (v.is_undefined()) fail("{}", v.undefined_message());
  // Unlike `v.name`, never an item.
  if (v.is_dict() && !find_method(v, name) && !is_mutating(v, name)) {
    return Value::undefined(fmt::format("'dict object' has no attribute '{}'", name));
  }
  return in.get_attr(v, name);
}

Value json_filter(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<4>("tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = bound.flag(0);
  style.sort_keys = bound.flag(3);
  if (bound.given(1)) {
    style.item_separator = ",";
    if (bound[1]->is_text()) {
      style.indent = std::string(bound[1]->text());
    } else {
      int64_t width = bound.integer(1, 0);
      if (width > 1000) fail("an indent of more than 1000 characters");
      style.indent = std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
    }
  }
  if (bound.given(2)) {
    auto pair = in.items_of(*bound[2]);
    if (pair.size() != 2) fail("separators must be a pair");
    style.item_separator = in.str(pair[0]);
    style.key_separator = in.str(pair[1]);
  }
  return in.text(to_json(in, v, style));
}

// pprint.pformat for what fits on a line, with dict keys sorted; longer values are laid out one item a line.
void pretty(Interpreter& in, const Value& v, size_t column, std::string& out) {
  in.budget().step();
  std::string flat = in.repr(v);
  bool sequence = v.is_list() && (v.list().kind == ListKind::kList || v.list().kind == ListKind::kTuple);
  if (column + flat.size() <= 80 || (!sequence && !v.is_dict())) {
    out += flat;
    return;
  }
  bool first = true;
  auto separate = [&] {
    if (!first) out += ",\n" + std::string(column + 1, ' ');
    first = false;
  };
  out += v.is_dict() ? "{" : v.list().is_tuple() ? "(" : "[";
  if (v.is_dict()) {
    for (const auto& [key, value] : v.dict().items) {
      separate();
      std::string name = in.repr(key);
      out += name + ": ";
      pretty(in, value, column + 3 + name.size(), out);
    }
  } else {
    for (const Value& item : v.list().items) {
      separate();
      pretty(in, item, column + 1, out);
    }
  }
  out += v.is_dict() ? "}" : v.list().is_tuple() ? (v.list().items.size() == 1 ? ",)" : ")") : "]";
}

// Dicts with their keys in order, all the way down.
Value with_sorted_keys(Interpreter& in, const Value& v) {
  if (v.is_dict()) {
    std::vector<std::pair<Value, Value>> pairs;
    Args sensitive;
    sensitive.positional.push_back(Value(true));
    Value sorted = in.call_filter("dictsort", v, sensitive);
    for (const Value& pair : sorted.list().items)
      pairs.emplace_back(pair.list().items[0], with_sorted_keys(in, pair.list().items[1]));
    return in.dict(std::move(pairs));
  }
  if (v.is_list() && (v.list().kind == ListKind::kList || v.list().kind == ListKind::kTuple)) {
    std::vector<Value> items;
    for (const Value& item : v.list().items) items.push_back(with_sorted_keys(in, item));
    return in.list(std::move(items), v.list().kind);
  }
  return v;
}

Value pprint(Interpreter& in, const Value& v, Args& args) {
  bind<0>("pprint", args, {});
  std::string out;
  pretty(in, with_sorted_keys(in, v), 0, out);
  return in.text(std::move(out));
}

constexpr FilterRow kRows[] = {
    {"default", default_value}, {"d", default_value}, {"int", to_int},         {"float", to_float}, {"abs", absolute},
    {"round", round},           {"attr", attr},       {"tojson", json_filter}, {"pprint", pprint},
};

}  // namespace

std::span<const FilterRow> value_filters() { return kRows; }

}  // namespace vllm::text::tmpl
