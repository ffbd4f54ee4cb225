#pragma once
// Python values as templates see them. Text, List and Dict are immutable once made (the sandbox allows no changes), so
// they are shared; only a generator's position and a Namespace change.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "text/template/budget.h"

namespace vllm::text::tmpl {

class Interpreter;
class Value;
struct Args;
struct Text;
struct List;
struct Dict;
class Object;

struct None {
  friend bool operator==(None, None) { return true; }
};
/// A missing value; `message` is what using it raises.
struct Undefined {
  std::shared_ptr<const std::string> message;
};
using TextPtr = std::shared_ptr<const Text>;
using ListPtr = std::shared_ptr<const List>;
using DictPtr = std::shared_ptr<const Dict>;
using ObjectPtr = std::shared_ptr<Object>;

class Value {
 public:
  Value() = default;  // None
  Value(bool b) : v_(b) {}
  Value(int64_t i) : v_(i) {}
  Value(double d) : v_(d) {}
  Value(TextPtr p) : v_(std::move(p)) {}
  Value(ListPtr p) : v_(std::move(p)) {}
  Value(DictPtr p) : v_(std::move(p)) {}
  Value(ObjectPtr p) : v_(std::move(p)) {}
  template <typename T>
  Value(T*) = delete;  // a pointer is not a bool
  static Value undefined(std::string message);

  bool is_none() const { return std::holds_alternative<None>(v_); }
  bool is_undefined() const { return std::holds_alternative<Undefined>(v_); }
  bool is_bool() const { return std::holds_alternative<bool>(v_); }
  bool is_int() const { return std::holds_alternative<int64_t>(v_); }  // bool excluded
  bool is_float() const { return std::holds_alternative<double>(v_); }
  bool is_text() const { return std::holds_alternative<TextPtr>(v_); }
  bool is_list() const { return std::holds_alternative<ListPtr>(v_); }  // any ListKind
  bool is_dict() const { return std::holds_alternative<DictPtr>(v_); }
  bool is_object() const { return std::holds_alternative<ObjectPtr>(v_); }
  /// bool or int: what Python's isinstance(x, int) accepts.
  bool is_integral() const { return is_int() || is_bool(); }
  bool is_number() const { return is_integral() || is_float(); }

  int64_t integer() const { return is_bool() ? std::get<bool>(v_) : std::get<int64_t>(v_); }
  bool boolean() const { return std::get<bool>(v_); }
  /// Any number as a double.
  double number() const { return is_float() ? std::get<double>(v_) : static_cast<double>(integer()); }
  std::string_view text() const;
  bool is_markup() const;
  const List& list() const { return *std::get<ListPtr>(v_); }
  const ListPtr& list_ptr() const { return std::get<ListPtr>(v_); }
  const Dict& dict() const { return *std::get<DictPtr>(v_); }
  const DictPtr& dict_ptr() const { return std::get<DictPtr>(v_); }
  const TextPtr& text_ptr() const { return std::get<TextPtr>(v_); }
  const ObjectPtr& object() const { return std::get<ObjectPtr>(v_); }
  template <typename T>
  std::shared_ptr<T> object_as() const {
    return is_object() ? std::dynamic_pointer_cast<T>(object()) : nullptr;
  }
  const std::string& undefined_message() const { return *std::get<Undefined>(v_).message; }

  /// type(x).__name__
  std::string_view type_name() const;
  /// bool(x)
  bool truthy() const;
  /// `x is y`
  bool same_as(const Value& other) const;
  /// How deep containers nest below this one; 0 for scalars.
  int depth() const;

 private:
  explicit Value(Undefined u) : v_(std::move(u)) {}
  std::variant<None, Undefined, bool, int64_t, double, TextPtr, ListPtr, DictPtr, ObjectPtr> v_;
};

struct Text {
  std::string s;
  bool markup = false;  // markupsafe.Markup: `+` and `%` escape what is not
  Charge charge;
};

enum class ListKind : uint8_t { kList, kTuple, kRange, kKeys, kValues, kItems, kGenerator, kGroup };

struct List {
  ListKind kind = ListKind::kList;
  std::vector<Value> items;
  int depth = 1;
  mutable size_t cursor = 0;              // kGenerator: items before it are consumed
  int64_t start = 0, stop = 0, step = 1;  // kRange: for repr
  Charge charge;
  /// list, tuple and range have len() and []; views have len() only; generators neither.
  bool has_length() const { return kind != ListKind::kGenerator; }
  bool has_index() const {
    return kind == ListKind::kList || kind == ListKind::kTuple || kind == ListKind::kRange || kind == ListKind::kGroup;
  }
  bool is_tuple() const { return kind == ListKind::kTuple || kind == ListKind::kGroup; }
};

/// Insertion-ordered mapping. Keys are any hashable value; 1, 1.0 and True are the same key.
struct Dict {
  std::vector<std::pair<Value, Value>> items;
  int depth = 1;
  Charge charge;

  const Value* find(std::string_view key) const;
  /// Fails with "unhashable type" for a list or dict key.
  const Value* find(const Value& key) const;
  /// Add a pair; an equal key keeps its place and gets the new value. Only while the dict is being made.
  void put(Value key, Value value);

 private:
  std::optional<size_t> index_of(const Value& key) const;
  std::map<std::string, size_t, std::less<>> by_text_;
  std::map<double, size_t> by_number_;
  std::vector<size_t> others_;  // None and tuples
};

/// Anything with identity: namespaces, macros, functions, loops.
class Object : public std::enable_shared_from_this<Object> {
 public:
  virtual ~Object() = default;
  virtual std::string type_name() const = 0;
  virtual std::string repr(Interpreter& in) const;
  /// getattr(x, name); nullopt: AttributeError.
  virtual std::optional<Value> get_attr(Interpreter& in, std::string_view name) { return std::nullopt; }
  virtual bool callable() const { return false; }
  virtual Value call(Interpreter& in, Args& args);
  /// How deep containers nest below; what a Namespace or Macro holds does not count, the interpreter takes those apart
  /// itself.
  virtual int depth() const { return 0; }
  Charge charge;
};

}  // namespace vllm::text::tmpl
