#pragma once
// Runs a resolved template over one set of variables. One object per rendering; not shared between threads.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/template/args.h"
#include "text/template/ast.h"
#include "text/template/budget.h"
#include "text/template/value.h"

namespace vllm::text::tmpl {

/// Variables of a block. Loops, macros, with and captured blocks open one; if does not.
class Scope {
 public:
  explicit Scope(std::shared_ptr<Scope> parent) : parent_(std::move(parent)) {}
  const Value* find_here(int symbol) const;
  void set(int symbol, Value value);
  const std::shared_ptr<Scope>& parent() const { return parent_; }
  void clear() { vars_.clear(); }

 private:
  std::shared_ptr<Scope> parent_;
  std::vector<std::pair<int, Value>> vars_;
};
using ScopePtr = std::shared_ptr<Scope>;

struct RenderLimits {
  int64_t max_steps;
  size_t max_output_bytes, max_memory_bytes;
  int max_depth;  // nested nodes at run time
};

/// One pass over an iterable. A list is walked in place; a generator is consumed as it goes.
class Iteration {
 public:
  Iteration(Interpreter& in, const Value& iterable);
  bool next(Value& out);
  /// len() of the iterable if it has one.
  std::optional<int64_t> length() const;

 private:
  ListPtr list_;
  size_t at_ = 0;
};

class Interpreter {
 public:
  Interpreter(const Template& tmpl, const json::object& variables, double now_s, const RenderLimits& limits);
  ~Interpreter();
  std::string render();

  Budget& budget() { return budget_; }
  double now_s() const { return now_s_; }

  // Making values (interpreter.cc). All are charged to the budget.
  Value text(std::string s, bool markup = false);
  Value list(std::vector<Value> items, ListKind kind = ListKind::kList);
  Value generator(std::vector<Value> items) { return list(std::move(items), ListKind::kGenerator); }
  Value tuple(Value a, Value b);
  /// Later pairs win over earlier ones with an equal key.
  Value dict(std::vector<std::pair<Value, Value>> pairs);
  Value object(ObjectPtr object);
  /// Remember an object or scope that may be part of a cycle, to break it when the rendering ends.
  void track(std::shared_ptr<Scope> scope);
  void track(std::shared_ptr<class Namespace> ns);

  // Python's built-in functions on values.
  std::string str(const Value& v);   // str(v)
  std::string repr(const Value& v);  // repr(v)
  bool equal(const Value& x, const Value& y);
  std::vector<Value> items_of(const Value& iterable);  // list(x)
  int64_t length_of(const Value& v);                   // len(x)

  // Access and calls (access.cc).
  Value get_attr(const Value& object, std::string_view name);
  Value get_item(const Value& object, const Value& key);
  Value slice(const Value& object, const Value& start, const Value& stop, const Value& step);
  Value call(const Value& callee, Args& args);
  Value call_filter(std::string_view name, const Value& value, Args& args);
  bool call_test(std::string_view name, const Value& value, Args& args);

  // Expressions (eval.cc).
  Value eval(const Expr& e);

  // Statements (exec.cc).
  enum class Flow { kNormal, kBreak, kContinue };
  /// Run a macro's body in a scope below `definition`, with its parameters bound; returns what it printed.
  Value run_macro(const MacroDef& def, const ScopePtr& definition, Args& args);
  std::string run_loop(const Stmt& loop, const Value& iterable, const ScopePtr& scope, int depth0);

  /// Guards recursion for as long as it lives, by nodes and by bytes of stack (frames differ between builds: those of a
  /// sanitizer are ten times as large).
  class Deeper {
   public:
    explicit Deeper(Interpreter& in) : in_(in) {
      const uintptr_t here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
      const uintptr_t used = in_.stack_base_ > here ? in_.stack_base_ - here : here - in_.stack_base_;
      if (++in_.depth_ > in_.limits_.max_depth || used > kMaxStackBytes) {
        --in_.depth_;
        fail("maximum recursion depth exceeded");
      }
    }
    ~Deeper() { --in_.depth_; }

   private:
    static constexpr uintptr_t kMaxStackBytes = uintptr_t{5} << 20;  // of the 8 MiB that a thread has
    Interpreter& in_;
  };

 private:
  friend class LoopObject;
  Value lookup(int symbol);
  Value eval_chain(const Expr& e);
  Value eval_compare(const Expr& e);
  Value eval_call(const Expr& e);
  Value eval_filter(const Expr& e, const Value& input);
  Value eval_unary(const Expr& e);
  Value eval_dict(const Expr& e);
  void eval_args(const CallArgs& call, Args& args);

  Flow exec_body(const Body& body);
  Flow exec(const Stmt& s);
  void exec_for(const Stmt& s, const Value& iterable, int depth0);
  Flow exec_with(const Stmt& s);
  void exec_call(const Stmt& s);
  void exec_set_block(const Stmt& s);
  Value apply_filters(const Expr& filter, const Value& body);
  void assign(const Expr& target, const Value& value);
  void emit(const Value& v);
  void emit(std::string_view s);
  /// Run `body` in a new scope, printing into a text of its own.
  std::string capture(const Body& body);

  const uintptr_t stack_base_ = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  const Template& template_;
  const int loop_symbol_, caller_symbol_, kwargs_symbol_, varargs_symbol_;  // -1 if the template never names them
  const json::object& variables_;
  double now_s_;
  RenderLimits limits_;
  Budget budget_;
  std::vector<std::optional<Value>> context_;  // by symbol: converted variables and globals
  std::vector<ScopePtr> tracked_scopes_;
  std::vector<std::shared_ptr<class Namespace>> tracked_namespaces_;
  ScopePtr top_, scope_;
  std::string* out_ = nullptr;
  int depth_ = 0;
};

}  // namespace vllm::text::tmpl
