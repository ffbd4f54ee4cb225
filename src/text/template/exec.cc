// Statements.
#include <algorithm>

#include "text/template/interpreter.h"
#include "text/template/objects.h"

namespace vllm::text::tmpl {
namespace {

// Puts a value back when a block ends, however it ends.
template <typename T>
class Restore {
 public:
  Restore(T& slot, T value) : slot_(slot), old_(std::exchange(slot, std::move(value))) {}
  ~Restore() { slot_ = std::move(old_); }

 private:
  T& slot_;
  T old_;
};

}  // namespace

void Interpreter::emit(std::string_view s) {
  if (s.size() > limits_.max_output_bytes - std::min(out_->size(), limits_.max_output_bytes)) {
    fail("the chat template writes more than {} bytes", limits_.max_output_bytes);
  }
  budget_.step_bytes(s.size());
  out_->append(s);
}

void Interpreter::emit(const Value& v) {
  if (v.is_text())
    emit(v.text());
  else
    emit(std::string_view(str(v)));
}

std::string Interpreter::capture(const Body& body) {
  std::string text;
  Restore<std::string*> out(out_, &text);
  Restore<ScopePtr> scope(scope_, std::make_shared<Scope>(scope_));
  exec_body(body);
  return text;
}

Interpreter::Flow Interpreter::exec_body(const Body& body) {
  for (const auto& stmt : body) {
    try {
      Flow flow = exec(*stmt);
      if (flow != Flow::kNormal) return flow;
    } catch (TemplateFailure& failure) {
      if (!failure.line) failure.line = stmt->line;
      throw;
    }
  }
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::exec(const Stmt& s) {
  budget_.step();
  Deeper deeper(*this);
  switch (s.kind) {
    case StmtKind::kOutput:
      for (const auto& e : s.exprs) {
        try {
          emit(e->kind == ExprKind::kData ? e->value : eval(*e));
        } catch (TemplateFailure& failure) {
          if (!failure.line) failure.line = e->line;  // the statement began with the text before it
          throw;
        }
      }
      return Flow::kNormal;
    case StmtKind::kIf:
      for (size_t i = 0; i < s.exprs.size(); ++i) {
        if (eval(*s.exprs[i]).truthy()) return exec_body(s.bodies[i]);
      }
      return s.bodies.size() > s.exprs.size() ? exec_body(s.bodies.back()) : Flow::kNormal;
    case StmtKind::kFor: exec_for(s, eval(*s.exprs[0]), 0); return Flow::kNormal;
    case StmtKind::kSet: assign(*s.target, eval(*s.exprs[0])); return Flow::kNormal;
    case StmtKind::kSetBlock: exec_set_block(s); return Flow::kNormal;
    case StmtKind::kMacro: {
      track(scope_);
      scope_->set(s.macro->symbol, object(std::make_shared<Macro>(*s.macro, scope_)));
      return Flow::kNormal;
    }
    case StmtKind::kCall: exec_call(s); return Flow::kNormal;
    case StmtKind::kGeneration: emit(std::string_view(capture(s.macro->body))); return Flow::kNormal;
    case StmtKind::kFilter: {
      const Expr& filter = *s.exprs[0];
      // A chain of filters hangs on the innermost one, whose input is the body.
      Value body = text(capture(s.bodies[0]));
      emit(apply_filters(filter, body));
      return Flow::kNormal;
    }
    case StmtKind::kWith: return exec_with(s);
    case StmtKind::kBlock: {
      Restore<ScopePtr> scope(scope_, std::make_shared<Scope>(top_));
      return exec_body(s.bodies[0]);
    }
    case StmtKind::kBreak: return Flow::kBreak;
    case StmtKind::kContinue: return Flow::kContinue;
  }
  return Flow::kNormal;
}

// The filters of a filter or set block, innermost first, on its text.
Value Interpreter::apply_filters(const Expr& filter, const Value& body) {
  Deeper deeper(*this);
  const Expr* input = filter.kids[0].get();
  return eval_filter(filter, input ? apply_filters(*input, body) : body);
}

void Interpreter::exec_set_block(const Stmt& s) {
  Value body = text(capture(s.bodies[0]));
  assign(*s.target, s.exprs[0] ? apply_filters(*s.exprs[0], body) : body);
}

Interpreter::Flow Interpreter::exec_with(const Stmt& s) {
  std::vector<Value> values;  // all evaluated outside of the new scope
  for (const auto& e : s.exprs) values.push_back(eval(*e));
  Restore<ScopePtr> scope(scope_, std::make_shared<Scope>(scope_));
  for (size_t i = 0; i < values.size(); ++i) assign(*s.targets[i], values[i]);
  return exec_body(s.bodies[0]);
}

void Interpreter::exec_for(const Stmt& s, const Value& iterable, int depth0) {
  ScopePtr outer = scope_;
  auto loop = std::make_shared<LoopObject>(*this, s, iterable, outer, depth0);
  Value loop_value = object(loop);
  bool ran = false;
  Value item;
  while (loop->advance(*this, item)) {
    ran = true;
    budget_.step();
    Restore<ScopePtr> scope(scope_, std::make_shared<Scope>(outer));
    scope_->set(loop_symbol_, loop_value);
    assign(*s.target, item);
    if (exec_body(s.bodies[0]) == Flow::kBreak) break;
  }
  loop->finish();
  if (!ran && !s.bodies[1].empty()) {
    Restore<ScopePtr> scope(scope_, std::make_shared<Scope>(outer));
    exec_body(s.bodies[1]);
  }
}

std::string Interpreter::run_loop(const Stmt& loop, const Value& iterable, const ScopePtr& scope, int depth0) {
  Deeper deeper(*this);
  std::string text;
  Restore<std::string*> out(out_, &text);
  Restore<ScopePtr> here(scope_, scope);
  exec_for(loop, iterable, depth0);
  return text;
}

void Interpreter::exec_call(const Stmt& s) {
  track(scope_);
  const Expr& e = *s.exprs[0];
  Value callee = eval(*e.kids[0]);
  Args args;
  eval_args(e.call, args);
  args.keywords.emplace_back("caller", object(std::make_shared<Macro>(*s.macro, scope_)));
  emit(call(callee, args));
}

Value Interpreter::run_macro(const MacroDef& def, const ScopePtr& definition, Args& args) {
  const Signature& sig = def.signature;
  size_t count = sig.names.size();
  auto scope = std::make_shared<Scope>(definition);
  std::vector<std::optional<Value>> bound(count);
  for (size_t i = 0; i < count && i < args.positional.size(); ++i) bound[i] = args.positional[i];
  std::vector<std::pair<Value, Value>> rest;
  std::optional<Value> caller;
  for (auto& [key, value] : args.keywords) {
    size_t i = static_cast<size_t>(std::find(sig.names.begin(), sig.names.end(), key) - sig.names.begin());
    if (i < count && i >= args.positional.size()) {
      bound[i] = value;
    } else if (key == "caller" && def.takes_caller) {
      caller = value;
    } else if (def.takes_kwargs) {
      rest.emplace_back(text(key), value);
    } else if (key == "caller") {
      fail("macro '{}' was invoked with two values for the special caller argument. This is most likely a bug.",
           def.name);
    } else {
      fail("macro '{}' takes no keyword argument '{}'", def.name, key);
    }
  }
  if (args.positional.size() > count && !def.takes_varargs) {
    fail("macro '{}' takes not more than {} argument(s)", def.name, count);
  }
  std::string printed;
  Restore<std::string*> out(out_, &printed);
  Restore<ScopePtr> here(scope_, scope);
  if (def.takes_caller) scope->set(caller_symbol_, caller ? *caller : Value::undefined("No caller defined"));
  if (def.takes_kwargs) scope->set(kwargs_symbol_, dict(std::move(rest)));
  if (def.takes_varargs) {
    std::vector<Value> more;
    if (args.positional.size() > count)
      more.assign(args.positional.begin() + static_cast<ptrdiff_t>(count), args.positional.end());
    scope->set(varargs_symbol_, list(std::move(more), ListKind::kTuple));
  }
  size_t first_default = count - sig.defaults.size();
  for (size_t i = 0; i < count; ++i) {  // a default sees the parameters before it
    if (!bound[i] && i >= first_default) bound[i] = eval(*sig.defaults[i - first_default]);
    if (!bound[i]) bound[i] = Value::undefined(fmt::format("parameter '{}' was not provided", sig.names[i]));
    scope->set(sig.symbols[i], std::move(*bound[i]));
  }
  exec_body(def.body);
  return text(std::move(printed));
}

void Interpreter::assign(const Expr& target, const Value& value) {
  if (target.kind == ExprKind::kName) {
    scope_->set(target.symbol, value);
  } else if (target.kind == ExprKind::kNsRef) {
    auto ns = lookup(target.symbol).object_as<Namespace>();
    if (!ns) fail("cannot assign attribute on non-namespace object");
    ns->set(*this, target.text, value);
  } else {
    std::vector<Value> items = items_of(value);
    if (items.size() > target.kids.size()) fail("too many values to unpack (expected {})", target.kids.size());
    if (items.size() < target.kids.size()) {
      fail("not enough values to unpack (expected {}, got {})", target.kids.size(), items.size());
    }
    for (size_t i = 0; i < items.size(); ++i) assign(*target.kids[i], items[i]);
  }
}

}  // namespace vllm::text::tmpl
