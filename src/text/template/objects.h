#pragma once
// Values with identity: namespaces, macros, loops, functions, bound methods, cycler and joiner.
#include <string>
#include <vector>

#include "text/template/interpreter.h"

namespace vllm::text::tmpl {

/// namespace(...): the one mutable value; `{% set ns.x = ... %}` writes it.
class Namespace : public Object {
 public:
  std::string type_name() const override { return "TemplateNamespace"; }
  std::string repr(Interpreter& in) const override;
  std::optional<Value> get_attr(Interpreter& in, std::string_view name) override;
  /// Fails for a name that begins with an underscore.
  void set(Interpreter& in, std::string_view name, Value value);
  void clear() { attrs_.clear(); }

 private:
  std::vector<std::pair<std::string, Value>> attrs_;
};

/// A macro, or the `caller` of a call block.
class Macro : public Object {
 public:
  Macro(const MacroDef& def, ScopePtr scope) : def_(def), scope_(std::move(scope)) {}
  std::string type_name() const override { return "Macro"; }
  std::string repr(Interpreter& in) const override;
  std::optional<Value> get_attr(Interpreter& in, std::string_view name) override;
  bool callable() const override { return true; }
  Value call(Interpreter& in, Args& args) override { return in.run_macro(def_, scope_, args); }

 private:
  const MacroDef& def_;
  ScopePtr scope_;  // where it was defined
};

/// A global function of the engine.
class Function : public Object {
 public:
  using Fn = Value (*)(Interpreter&, Args&);
  Function(const char* name, Fn fn) : name_(name), fn_(fn) {}
  std::string type_name() const override { return "function"; }
  std::string repr(Interpreter&) const override { return std::string("<function ") + name_ + ">"; }
  bool callable() const override { return true; }
  Value call(Interpreter& in, Args& args) override { return fn_(in, args); }

 private:
  const char* name_;
  Fn fn_;
};

using MethodFn = Value (*)(Interpreter&, const Value& self, Args&);

/// `x.strip` without the call.
class BoundMethod : public Object {
 public:
  BoundMethod(Value self, MethodFn fn) : self_(std::move(self)), fn_(fn) {}
  std::string type_name() const override { return "builtin_function_or_method"; }
  bool callable() const override { return true; }
  Value call(Interpreter& in, Args& args) override { return fn_(in, self_, args); }
  int depth() const override { return self_.depth() + 1; }

 private:
  Value self_;
  MethodFn fn_;
};

/// `loop` inside a for. Looks ahead one item at most unless the length of a filtered loop is asked for.
class LoopObject : public Object {
 public:
  LoopObject(Interpreter& in, const Stmt& stmt, const Value& iterable, ScopePtr scope, int depth0);
  std::string type_name() const override { return "LoopContext"; }
  std::string repr(Interpreter& in) const override;
  std::optional<Value> get_attr(Interpreter& in, std::string_view name) override;
  bool callable() const override { return true; }
  Value call(Interpreter& in, Args& args) override;
  /// Move to the next item that passes the filter.
  bool advance(Interpreter& in, Value& item);
  int depth() const override { return container_depth_; }
  /// The loop is over: forget the values of single iterations, which could hold the loop itself.
  void finish();
  Value cycle(Args& args) const;
  Value changed(Interpreter& in, Args& args);

 private:
  bool fetch(Interpreter& in, Value& item);
  bool peek(Interpreter& in);
  int64_t length(Interpreter& in);

  const Stmt& stmt_;
  Iteration items_;
  ScopePtr scope_;  // around the loop
  int depth0_, container_depth_;
  bool finished_ = false;
  int64_t index0_ = -1;
  std::vector<Value> ahead_;  // fetched and not yet used, oldest first
  size_t ahead_at_ = 0;
  std::optional<int64_t> length_;
  Value current_, previous_;
  std::optional<std::vector<Value>> last_changed_;
};

class Cycler : public Object {
 public:
  explicit Cycler(std::vector<Value> items);
  std::string type_name() const override { return "Cycler"; }
  std::optional<Value> get_attr(Interpreter& in, std::string_view name) override;
  int depth() const override { return depth_; }
  Value next();
  void reset() { at_ = 0; }

 private:
  std::vector<Value> items_;
  int depth_ = 1;
  size_t at_ = 0;
};

class Joiner : public Object {
 public:
  explicit Joiner(Value separator) : separator_(std::move(separator)) {}
  std::string type_name() const override { return "Joiner"; }
  bool callable() const override { return true; }
  Value call(Interpreter& in, Args& args) override;
  int depth() const override { return separator_.depth() + 1; }

 private:
  Value separator_;
  bool used_ = false;
};

}  // namespace vllm::text::tmpl
