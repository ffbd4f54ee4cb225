#include "text/template/value.h"

#include <algorithm>
#include <cmath>

#include "text/template/compare.h"

namespace vllm::text::tmpl {

Value Value::undefined(std::string message) {
  return Value(Undefined{std::make_shared<const std::string>(std::move(message))});
}

std::string_view Value::text() const { return std::get<TextPtr>(v_)->s; }
bool Value::is_markup() const { return is_text() && std::get<TextPtr>(v_)->markup; }

std::string_view Value::type_name() const {
  if (is_none()) return "NoneType";
  if (is_undefined()) return "Undefined";
  if (is_bool()) return "bool";
  if (is_int()) return "int";
  if (is_float()) return "float";
  if (is_text()) return is_markup() ? "Markup" : "str";
  if (is_dict()) return "dict";
  if (is_list()) {
    switch (list().kind) {
      case ListKind::kList: return "list";
      case ListKind::kTuple: return "tuple";
      case ListKind::kRange: return "range";
      case ListKind::kKeys: return "dict_keys";
      case ListKind::kValues: return "dict_values";
      case ListKind::kItems: return "dict_items";
      case ListKind::kGenerator: return "generator";
      case ListKind::kGroup: return "_GroupTuple";
    }
  }
  return "object";
}

bool Value::truthy() const {
  if (is_none() || is_undefined()) return false;
  if (is_bool()) return boolean();
  if (is_int()) return integer() != 0;
  if (is_float()) return number() != 0;
  if (is_text()) return !text().empty();
  if (is_dict()) return !dict().items.empty();
  if (is_list()) return !list().has_length() || !list().items.empty();
  return true;
}

bool Value::same_as(const Value& other) const {
  if (v_.index() != other.v_.index()) return false;
  if (is_none()) return true;
  if (is_bool()) return boolean() == other.boolean();
  if (is_int()) return integer() == other.integer();  // CPython shares small integers; large ones are equal here too
  if (is_float()) return number() == other.number();
  if (is_text()) return text_ptr() == other.text_ptr();
  if (is_list()) return list_ptr() == other.list_ptr();
  if (is_dict()) return dict_ptr() == other.dict_ptr();
  if (is_object()) return object() == other.object();
  return std::get<Undefined>(v_).message == std::get<Undefined>(other.v_).message;
}

int Value::depth() const {
  return is_list() ? list().depth : is_dict() ? dict().depth : is_object() ? object()->depth() : 0;
}

std::optional<size_t> Dict::index_of(const Value& key) const {
  if (key.is_text()) {
    auto it = by_text_.find(key.text());
    return it == by_text_.end() ? std::nullopt : std::optional(it->second);
  }
  if (key.is_number() && !std::isnan(key.number())) {
    auto it = by_number_.find(key.number());
    return it == by_number_.end() ? std::nullopt : std::optional(it->second);
  }
  if ((key.is_list() && !key.list().is_tuple() && key.list().kind != ListKind::kRange) || key.is_dict()) {
    fail("unhashable type: '{}'", key.type_name());
  }
  for (size_t i : others_) {
    if (equal_bounded(items[i].first, key)) return i;
  }
  return std::nullopt;
}

const Value* Dict::find(std::string_view key) const {
  auto it = by_text_.find(key);
  return it == by_text_.end() ? nullptr : &items[it->second].second;
}

const Value* Dict::find(const Value& key) const {
  auto i = index_of(key);
  return i ? &items[*i].second : nullptr;
}

void Dict::put(Value key, Value value) {
  depth = std::max({depth, key.depth() + 1, value.depth() + 1});
  if (auto i = index_of(key)) {
    items[*i].second = std::move(value);
    return;
  }
  if (key.is_text()) {
    by_text_.emplace(key.text(), items.size());
  } else if (key.is_number() && !std::isnan(key.number())) {
    by_number_.emplace(key.number(), items.size());
  } else {
    if (others_.size() >= 1000) fail("a dict with more than 1000 keys that are neither text nor numbers");
    others_.push_back(items.size());
  }
  items.emplace_back(std::move(key), std::move(value));
}

std::string Object::repr(Interpreter&) const { return "<" + type_name() + ">"; }
Value Object::call(Interpreter&, Args&) { fail("'{}' object is not callable", type_name()); }

}  // namespace vllm::text::tmpl
