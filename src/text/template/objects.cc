#include "text/template/objects.h"

#include <algorithm>

namespace vllm::text::tmpl {

std::string Namespace::repr(Interpreter& in) const {
  std::vector<std::pair<Value, Value>> pairs;
  Interpreter::Deeper deeper(in);
  for (const auto& [name, value] : attrs_) pairs.emplace_back(in.text(name), value);
  return "<Namespace " + in.repr(in.dict(std::move(pairs))) + ">";
}

std::optional<Value> Namespace::get_attr(Interpreter&, std::string_view name) {
  for (const auto& [key, value] : attrs_) {
    if (key == name) return value;
  }
  return std::nullopt;
}

void Namespace::set(Interpreter& in, std::string_view name, Value value) {
  if (name.starts_with('_')) {
    fail(
        "Chat templates cannot store underscore-prefixed attributes on a namespace, but got '{}'. Please rename the "
        "attribute.",
        name);
  }
  in.budget().step(static_cast<int64_t>(attrs_.size() / 16));
  for (auto& [key, old] : attrs_) {
    if (key == name) {
      old = std::move(value);
      return;
    }
  }
  charge.grow(name.size() + sizeof(attrs_[0]));
  attrs_.emplace_back(name, std::move(value));
}

std::string Macro::repr(Interpreter& in) const {
  return "<Macro " + (def_.name.empty() ? "anonymous" : "'" + def_.name + "'") + ">";
}

std::optional<Value> Macro::get_attr(Interpreter& in, std::string_view name) {
  if (name == "name") return def_.name.empty() ? Value() : in.text(def_.name);
  if (name == "arguments") {
    std::vector<Value> names;
    for (const auto& n : def_.signature.names) names.push_back(in.text(n));
    return in.list(std::move(names), ListKind::kTuple);
  }
  if (name == "catch_kwargs") return Value(def_.takes_kwargs);
  if (name == "catch_varargs") return Value(def_.takes_varargs);
  if (name == "caller") return Value(def_.takes_caller);
  return std::nullopt;
}

LoopObject::LoopObject(Interpreter& in, const Stmt& stmt, const Value& iterable, ScopePtr scope, int depth0)
    : stmt_(stmt),
      items_(in, iterable),
      scope_(std::move(scope)),
      depth0_(depth0),
      container_depth_(iterable.depth() + 1) {
  if (!stmt.exprs[1]) length_ = items_.length();
}

std::string LoopObject::repr(Interpreter& in) const { return "<LoopContext " + std::to_string(index0_ + 1) + ">"; }

// The next item of the iterable that passes the loop's filter; the filter sees the target in a scope of its own.
bool LoopObject::fetch(Interpreter& in, Value& item) {
  while (items_.next(item)) {
    in.budget().step();
    if (!stmt_.exprs[1]) return true;
    ScopePtr outer = std::exchange(in.scope_, std::make_shared<Scope>(scope_));
    bool pass = false;
    try {
      in.assign(*stmt_.target, item);
      pass = in.eval(*stmt_.exprs[1]).truthy();
    } catch (...) {
      in.scope_ = outer;
      throw;
    }
    in.scope_ = outer;
    if (pass) return true;
  }
  return false;
}

bool LoopObject::peek(Interpreter& in) {
  if (ahead_at_ < ahead_.size()) return true;
  ahead_.clear();
  ahead_at_ = 0;
  Value item;
  if (!fetch(in, item)) return false;
  ahead_.push_back(std::move(item));
  return true;
}

bool LoopObject::advance(Interpreter& in, Value& item) {
  if (!peek(in)) return false;
  item = ahead_[ahead_at_++];
  ++index0_;
  previous_ = std::move(current_);
  current_ = item;
  return true;
}

int64_t LoopObject::length(Interpreter& in) {
  if (!length_) {
    Value item;
    while (fetch(in, item)) ahead_.push_back(std::move(item));
    length_ = index0_ + 1 + static_cast<int64_t>(ahead_.size() - ahead_at_);
  }
  return *length_;
}

void LoopObject::finish() {
  finished_ = true;
  ahead_.clear();
  ahead_at_ = 0;
  current_ = previous_ = Value();
  last_changed_.reset();
}

namespace {
// A method of `loop` as a value of its own.
class LoopMethod : public Object {
 public:
  using Fn = Value (*)(Interpreter&, LoopObject&, Args&);
  LoopMethod(std::shared_ptr<LoopObject> loop, Fn fn) : loop_(std::move(loop)), fn_(fn) {}
  std::string type_name() const override { return "method"; }
  bool callable() const override { return true; }
  Value call(Interpreter& in, Args& args) override { return fn_(in, *loop_, args); }
  int depth() const override { return loop_->depth() + 1; }

 private:
  std::shared_ptr<LoopObject> loop_;
  Fn fn_;
};
}  // namespace

std::optional<Value> LoopObject::get_attr(Interpreter& in, std::string_view name) {
  if (name == "index") return Value(index0_ + 1);
  if (name == "index0") return Value(index0_);
  if (name == "first") return Value(index0_ == 0);
  if (name == "last") return Value(!peek(in));
  if (name == "length") return Value(length(in));
  if (name == "revindex") return Value(length(in) - index0_);
  if (name == "revindex0") return Value(length(in) - index0_ - 1);
  if (name == "depth") return Value(int64_t{depth0_} + 1);
  if (name == "depth0") return Value(int64_t{depth0_});
  if (name == "previtem") return index0_ == 0 ? Value::undefined("there is no previous item") : previous_;
  if (name == "nextitem") return peek(in) ? ahead_[ahead_at_] : Value::undefined("there is no next item");
  if (name == "cycle" || name == "changed") {
    auto self = std::dynamic_pointer_cast<LoopObject>(shared_from_this());
    auto fn = name == "cycle" ? +[](Interpreter&, LoopObject& loop, Args& args) { return loop.cycle(args); }
                              : +[](Interpreter& i, LoopObject& loop, Args& args) { return loop.changed(i, args); };
    return in.object(std::make_shared<LoopMethod>(std::move(self), fn));
  }
  return std::nullopt;
}

Value LoopObject::call(Interpreter& in, Args& args) {
  if (!stmt_.recursive) fail("The loop must have the 'recursive' marker to be called recursively.");
  auto bound = bind<1>("loop", args, {"iterable"}, 1);
  return in.text(in.run_loop(stmt_, *bound[0], scope_, depth0_ + 1));
}

Value LoopObject::cycle(Args& args) const {
  if (args.positional.empty()) fail("no items for cycling given");
  return args.positional[static_cast<size_t>(index0_) % args.positional.size()];
}

Value LoopObject::changed(Interpreter& in, Args& args) {
  if (last_changed_ && last_changed_->size() == args.positional.size()) {
    bool same = true;
    for (size_t i = 0; same && i < last_changed_->size(); ++i) same = in.equal((*last_changed_)[i], args.positional[i]);
    if (same) return Value(false);
  }
  if (!finished_) last_changed_ = args.positional;
  return Value(true);
}

Cycler::Cycler(std::vector<Value> items) : items_(std::move(items)) {
  for (const Value& v : items_) depth_ = std::max(depth_, v.depth() + 1);
}

Value Cycler::next() {
  Value item = items_[at_];
  at_ = (at_ + 1) % items_.size();
  return item;
}

namespace {
Value cycler_method(Interpreter& in, std::shared_ptr<Cycler> self, bool reset) {
  class Method : public Object {
   public:
    Method(std::shared_ptr<Cycler> cycler, bool is_reset) : cycler_(std::move(cycler)), reset_(is_reset) {}
    std::string type_name() const override { return "method"; }
    bool callable() const override { return true; }
    int depth() const override { return cycler_->depth() + 1; }
    Value call(Interpreter&, Args&) override {
      if (!reset_) return cycler_->next();
      cycler_->reset();
      return Value();
    }

   private:
    std::shared_ptr<Cycler> cycler_;
    bool reset_;
  };
  return in.object(std::make_shared<Method>(std::move(self), reset));
}
}  // namespace

std::optional<Value> Cycler::get_attr(Interpreter& in, std::string_view name) {
  if (name == "current") return items_[at_];
  if (name == "pos") return Value(static_cast<int64_t>(at_));
  if (name == "items") return in.list(items_, ListKind::kTuple);
  if (name != "next" && name != "reset") return std::nullopt;
  return cycler_method(in, std::dynamic_pointer_cast<Cycler>(shared_from_this()), name == "reset");
}

Value Joiner::call(Interpreter& in, Args&) {
  if (used_) return separator_;
  used_ = true;
  return in.text("");
}

}  // namespace vllm::text::tmpl
