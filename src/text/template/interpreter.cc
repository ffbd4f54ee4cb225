#include "text/template/interpreter.h"

#include <algorithm>

#include "text/template/compare.h"
#include "text/template/from_json.h"
#include "text/template/globals.h"
#include "text/template/objects.h"
#include "text/template/repr.h"
#include "text/template/utf8.h"

namespace vllm::text::tmpl {
namespace {
constexpr int kMaxContainerDepth = 500;  // nesting of lists and dicts: bounds every walk and their destruction
constexpr size_t kObjectBytes = 256;     // what a macro, method or namespace counts for

Value checked(Value v) {
  if (v.depth() > kMaxContainerDepth) fail("values nest deeper than {} levels", kMaxContainerDepth);
  return v;
}
}  // namespace

const Value* Scope::find_here(int symbol) const {
  for (const auto& [id, value] : vars_) {
    if (id == symbol) return &value;
  }
  return nullptr;
}

void Scope::set(int symbol, Value value) {
  for (auto& [id, old] : vars_) {
    if (id == symbol) {
      old = std::move(value);
      return;
    }
  }
  vars_.emplace_back(symbol, std::move(value));
}

Interpreter::Interpreter(const Template& tmpl, const json::object& variables, double now_s, const RenderLimits& limits)
    : template_(tmpl),
      loop_symbol_(tmpl.symbols.find("loop")),
      caller_symbol_(tmpl.symbols.find("caller")),
      kwargs_symbol_(tmpl.symbols.find("kwargs")),
      varargs_symbol_(tmpl.symbols.find("varargs")),
      variables_(variables),
      now_s_(now_s),
      limits_(limits),
      budget_(limits.max_steps, limits.max_memory_bytes),
      context_(tmpl.symbols.size()),
      top_(std::make_shared<Scope>(nullptr)),
      scope_(top_) {}

Interpreter::~Interpreter() {
  for (auto& ns : tracked_namespaces_) ns->clear();
  for (auto& scope : tracked_scopes_) scope->clear();
}

std::string Interpreter::render() {
  std::string out;
  out_ = &out;
  exec_body(template_.body);
  return out;
}

Value Interpreter::text(std::string s, bool markup) {
  auto text = std::make_shared<Text>();
  text->charge = Charge(&budget_, s.size() + sizeof(Text));
  budget_.step_bytes(s.size());
  text->s = std::move(s);
  text->markup = markup;
  return Value(TextPtr(std::move(text)));
}

Value Interpreter::list(std::vector<Value> items, ListKind kind) {
  auto list = std::make_shared<List>();
  list->charge = Charge(&budget_, items.size() * sizeof(Value) + sizeof(List));
  budget_.step(static_cast<int64_t>(items.size() / 8));
  list->kind = kind;
  for (const Value& item : items) list->depth = std::max(list->depth, item.depth() + 1);
  list->items = std::move(items);
  return checked(Value(ListPtr(std::move(list))));
}

Value Interpreter::tuple(Value a, Value b) {
  std::vector<Value> items;
  items.push_back(std::move(a));
  items.push_back(std::move(b));
  return list(std::move(items), ListKind::kTuple);
}

Value Interpreter::dict(std::vector<std::pair<Value, Value>> pairs) {
  auto dict = std::make_shared<Dict>();
  dict->charge = Charge(&budget_, pairs.size() * (2 * sizeof(Value) + 96) + sizeof(Dict));
  for (auto& [key, value] : pairs) {
    budget_.step();
    if (key.is_text()) dict->charge.grow(key.text().size());
    dict->put(std::move(key), std::move(value));
  }
  return checked(Value(DictPtr(std::move(dict))));
}

Value Interpreter::object(ObjectPtr object) {
  object->charge = Charge(&budget_, kObjectBytes);
  return checked(Value(std::move(object)));
}

void Interpreter::track(ScopePtr scope) {
  if (tracked_scopes_.empty() || tracked_scopes_.back() != scope) tracked_scopes_.push_back(std::move(scope));
}
void Interpreter::track(std::shared_ptr<Namespace> ns) { tracked_namespaces_.push_back(std::move(ns)); }

std::string Interpreter::str(const Value& v) {
  if (v.is_text()) return std::string(v.text());
  if (v.is_undefined()) return "";
  return repr(v);
}

std::string Interpreter::repr(const Value& v) { return to_repr(*this, v); }
bool Interpreter::equal(const Value& x, const Value& y) { return tmpl::equal(budget_, x, y); }

std::vector<Value> Interpreter::items_of(const Value& iterable) {
  std::vector<Value> items;
  Iteration iteration(*this, iterable);
  if (auto n = iteration.length()) {
    budget_.check(static_cast<size_t>(*n) * sizeof(Value));
    items.reserve(static_cast<size_t>(*n));
  }
  Value item;
  while (iteration.next(item)) {
    budget_.step();
    items.push_back(std::move(item));
  }
  return items;
}

int64_t Interpreter::length_of(const Value& v) {
  if (v.is_text()) {
    budget_.step_bytes(v.text().size());
    return static_cast<int64_t>(char_count(v.text()));
  }
  if (v.is_dict()) return static_cast<int64_t>(v.dict().items.size());
  if (v.is_list() && v.list().has_length()) return static_cast<int64_t>(v.list().items.size());
  if (v.is_undefined()) return 0;
  if (v.is_object()) {
    if (auto loop = v.object_as<LoopObject>()) return loop->get_attr(*this, "length")->integer();
    fail("object of type '{}' has no len()", v.object()->type_name());
  }
  fail("object of type '{}' has no len()", v.type_name());
}

Iteration::Iteration(Interpreter& in, const Value& iterable) {
  if (iterable.is_list()) {
    list_ = iterable.list_ptr();
    return;
  }
  std::vector<Value> items;
  if (iterable.is_dict()) {
    in.budget().check(iterable.dict().items.size() * sizeof(Value));
    for (const auto& [key, value] : iterable.dict().items) items.push_back(key);
  } else if (iterable.is_text()) {
    std::string_view s = iterable.text();
    in.budget().check(s.size() * (sizeof(Value) + sizeof(Text) + 16));
    for (size_t pos = 0; pos < s.size();) {
      size_t start = pos;
      next_char(s, pos);
      items.push_back(in.text(std::string(s.substr(start, pos - start))));
    }
  } else if (!iterable.is_undefined()) {
    fail("'{}' object is not iterable", iterable.is_object() ? iterable.object()->type_name() : iterable.type_name());
  }
  list_ = in.list(std::move(items)).list_ptr();
}

bool Iteration::next(Value& out) {
  size_t& at = list_->has_length() ? at_ : list_->cursor;
  if (at >= list_->items.size()) return false;
  out = list_->items[at++];
  return true;
}

std::optional<int64_t> Iteration::length() const {
  if (!list_->has_length()) return std::nullopt;
  return static_cast<int64_t>(list_->items.size());
}

}  // namespace vllm::text::tmpl
