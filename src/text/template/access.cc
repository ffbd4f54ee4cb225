// Attributes, items, slices and calls: what the sandboxed environment's getattr, getitem and call do.
#include <algorithm>

#include "text/template/filters.h"
#include "text/template/interpreter.h"
#include "text/template/methods.h"
#include "text/template/tests.h"
#include "text/template/utf8.h"

namespace vllm::text::tmpl {
namespace {

// object_type_repr of jinja2
std::string described(const Value& v) {
  if (v.is_none()) return "None";
  if (v.is_object()) return v.object()->type_name() + " object";
  return std::string(v.type_name()) + " object";
}

Value missing_attr(const Value& object, std::string_view name) {
  return Value::undefined(fmt::format("'{}' has no attribute '{}'", described(object), name));
}

// getattr(object, name) under the sandbox; nullopt: AttributeError.
std::optional<Value> attribute(Interpreter& in, const Value& object, std::string_view name) {
  if (object.is_object()) {
    if (name.starts_with('_')) return std::nullopt;
    return object.object()->get_attr(in, name);
  }
  if (MethodFn fn = find_method(object, name)) return in.object(std::make_shared<BoundMethod>(object, fn));
  if (object.is_list() && object.list().kind == ListKind::kGroup && (name == "grouper" || name == "list")) {
    return object.list().items[name == "list"];
  }
  if (is_mutating(object, name) || (name.size() > 4 && name.starts_with("__") && name.ends_with("__"))) {
    return Value::undefined(
        fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, object.type_name()));
  }
  return std::nullopt;
}

// object[key]; nullopt: LookupError or TypeError.
std::optional<Value> item(Interpreter& in, const Value& object, const Value& key) {
  if (object.is_dict()) {
    if ((key.is_list() && !key.list().is_tuple()) || key.is_dict()) return std::nullopt;
    const Value* found = object.dict().find(key);
    return found ? std::optional(*found) : std::nullopt;
  }
  if (!key.is_integral()) return std::nullopt;
  int64_t i = key.integer();
  if (object.is_list() && object.list().has_index()) {
    auto n = static_cast<int64_t>(object.list().items.size());
    if (i < 0) i += n;
    return i < 0 || i >= n ? std::nullopt : std::optional(object.list().items[static_cast<size_t>(i)]);
  }
  if (object.is_text()) {
    std::string_view s = object.text();
    if (is_ascii(s)) {
      auto n = static_cast<int64_t>(s.size());
      if (i < 0) i += n;
      return i < 0 || i >= n ? std::nullopt
                             : std::optional(in.text(std::string(1, s[static_cast<size_t>(i)]), object.is_markup()));
    }
    in.budget().step_bytes(s.size());
    auto n = static_cast<int64_t>(char_count(s));
    if (i < 0) i += n;
    if (i < 0 || i >= n) return std::nullopt;
    size_t pos = 0;
    while (i-- > 0) next_char(s, pos);
    size_t start = pos;
    next_char(s, pos);
    return in.text(std::string(s.substr(start, pos - start)), object.is_markup());
  }
  return std::nullopt;
}

int64_t bound_of(const Value& v) {
  if (!v.is_integral()) fail("slice indices must be integers or None or have an __index__ method");
  return v.integer();
}

// Positions that [start:stop:step] picks out of n items.
std::vector<size_t> slice_positions(int64_t n, const Value& start, const Value& stop, const Value& step) {
  int64_t by = step.is_none() ? 1 : bound_of(step);
  if (by == 0) fail("slice step cannot be zero");
  auto clamp = [&](const Value& v, int64_t otherwise) {
    if (v.is_none()) return otherwise;
    int64_t i = bound_of(v);
    if (i < 0) i = i < -n ? -1 : i + n;
    if (i < 0) return by > 0 ? int64_t{0} : int64_t{-1};
    return std::min(i, by > 0 ? n : n - 1);
  };
  int64_t from = clamp(start, by > 0 ? 0 : n - 1);
  int64_t to = clamp(stop, by > 0 ? n : -1);
  std::vector<size_t> picked;
  if (by > 0) {
    for (int64_t i = from; i<to; i = by> to - i ? to : i + by) picked.push_back(static_cast<size_t>(i));
  } else {
    for (int64_t i = from; i > to; i = by < to - i ? to : i + by) picked.push_back(static_cast<size_t>(i));
  }
  return picked;
}

}  // namespace

Value Interpreter::get_attr(const Value& object, std::string_view name) {
  if (object.is_undefined()) fail("{}", object.undefined_message());
  if (auto found = attribute(*this, object, name)) return *found;
  if (object.is_dict()) {
    if (const Value* found = object.dict().find(name)) return *found;
  }
  return missing_attr(object, name);
}

Value Interpreter::get_item(const Value& object, const Value& key) {
  if (object.is_undefined()) fail("{}", object.undefined_message());
  if (auto found = item(*this, object, key)) return *found;
  if (key.is_text()) {
    if (auto found = attribute(*this, object, key.text())) return *found;
    return missing_attr(object, key.text());
  }
  return Value::undefined(fmt::format("{} has no element {}", described(object), repr(key)));
}

Value Interpreter::slice(const Value& object, const Value& start, const Value& stop, const Value& step) {
  if (object.is_undefined()) fail("{}", object.undefined_message());
  if (object.is_dict()) fail("unhashable type: 'slice'");
  if (object.is_text()) {
    std::string_view s = object.text();
    budget_.step_bytes(s.size());
    bool ascii = is_ascii(s);
    budget_.check(s.size() * (ascii ? 9 : 17));
    std::vector<size_t> offsets = ascii ? std::vector<size_t>() : char_offsets(s);
    auto n = static_cast<int64_t>(ascii ? s.size() : offsets.size() - 1);
    std::string out;
    for (size_t i : slice_positions(n, start, stop, step)) {
      if (ascii)
        out += s[i];
      else
        out += s.substr(offsets[i], offsets[i + 1] - offsets[i]);
    }
    return text(std::move(out), object.is_markup());
  }
  if (!object.is_list() || !object.list().has_index()) {
    fail("'{}' object is not subscriptable", object.is_object() ? object.object()->type_name() : object.type_name());
  }
  const List& source = object.list();
  std::vector<Value> picked;
  for (size_t i : slice_positions(static_cast<int64_t>(source.items.size()), start, stop, step)) {
    picked.push_back(source.items[i]);
  }
  return list(std::move(picked), source.is_tuple() ? ListKind::kTuple : ListKind::kList);
}

Value Interpreter::call(const Value& callee, Args& args) {
  if (callee.is_undefined()) fail("{}", callee.undefined_message());
  if (!callee.is_object()) fail("'{}' object is not callable", callee.type_name());
  Deeper deeper(*this);
  ObjectPtr keep = callee.object();
  return keep->call(*this, args);
}

Value Interpreter::call_filter(std::string_view name, const Value& value, Args& args) {
  FilterFn fn = find_filter(name);
  if (!fn) fail("No filter named '{}'.", name);
  Deeper deeper(*this);
  return fn(*this, value, args);
}

bool Interpreter::call_test(std::string_view name, const Value& value, Args& args) {
  TestFn fn = find_test(name);
  if (!fn) fail("No test named '{}'.", name);
  return fn(*this, value, args);
}

}  // namespace vllm::text::tmpl
