#include "text/template/resolve.h"

#include <algorithm>

#include "text/template/content_format.h"
#include "text/template/failure.h"
#include "text/template/filters.h"
#include "text/template/tests.h"

namespace vllm::text::tmpl {
namespace {

// What surrounds a node. `soft`: inside an if, where jinja2 leaves an unknown filter to run time.
struct Where {
  bool soft = false;
  bool in_loop = false;
  MacroDef* macro = nullptr;  // innermost
};

class Resolver {
 public:
  explicit Resolver(TemplateFacts& facts) : facts_(facts) {}

  void body(Body& body, Where where) {
    for (auto& stmt : body) statement(*stmt, where);
  }

 private:
  void statement(Stmt& s, Where where) {
    Where inner{.soft = false, .in_loop = where.in_loop, .macro = where.macro};
    switch (s.kind) {
      case StmtKind::kIf:
        inner = where;
        inner.soft = true;
        for (auto& e : s.exprs) expr(e.get(), inner);
        break;
      case StmtKind::kFor:
        expr(s.exprs[0].get(), where);
        expr(s.exprs[1].get(), inner);
        body(s.bodies[0], {.soft = false, .in_loop = true, .macro = where.macro});
        body(s.bodies[1], inner);
        return;
      case StmtKind::kMacro:
      case StmtKind::kCall:
      case StmtKind::kGeneration:
        for (auto& e : s.exprs) expr(e.get(), where);
        macro(*s.macro, where);
        return;
      case StmtKind::kSetBlock:
      case StmtKind::kFilter:
        for (auto& e : s.exprs) expr(e.get(), where);
        inner.in_loop = false;
        break;
      case StmtKind::kBreak:
      case StmtKind::kContinue:
        if (!where.in_loop) fail_at(s.line, "'{}' outside loop", s.kind == StmtKind::kBreak ? "break" : "continue");
        return;
      default:
        for (auto& e : s.exprs) expr(e.get(), where);
        break;
    }
    for (auto& b : s.bodies) body(b, inner);
  }

  // A name that a macro's body reads belongs to every macro around it as well: `caller` may be used in a nested block.
  void macro(MacroDef& def, Where where) {
    Where inner{.soft = false, .in_loop = false, .macro = &def};
    for (auto& e : def.signature.defaults) expr(e.get(), inner);
    body(def.body, inner);
    auto declared = [&](std::string_view name) {
      return std::find(def.signature.names.begin(), def.signature.names.end(), name) != def.signature.names.end();
    };
    if (where.macro) {
      where.macro->takes_varargs |= def.takes_varargs;
      where.macro->takes_kwargs |= def.takes_kwargs;
      where.macro->takes_caller |= def.takes_caller;
    }
    if (declared("varargs")) def.takes_varargs = false;
    if (declared("kwargs")) def.takes_kwargs = false;
    if (declared("caller")) def.takes_caller = false;
  }

  void expr(Expr* e, Where where) {
    if (!e) return;
    if (e->kind == ExprKind::kCond) where.soft = true;
    if (e->kind == ExprKind::kName) name(*e, where);
    if (e->kind == ExprKind::kFilter) {
      e->filter = find_filter(e->text);
      if (!e->filter && !where.soft) fail_at(e->line, "No filter named '{}'.", e->text);
    }
    if (e->kind == ExprKind::kTest) {
      e->test = find_test(e->text);
      if (!e->test && !where.soft) fail_at(e->line, "No test named '{}'.", e->text);
    }
    for (auto& kid : e->kids) expr(kid.get(), where);
    for (auto& arg : e->call.positional) expr(arg.get(), where);
    for (auto& [key, arg] : e->call.keywords) expr(arg.get(), where);
    expr(e->call.star.get(), where);
    expr(e->call.star_star.get(), where);
  }

  void name(const Expr& e, Where where) {
    facts_.names.insert(e.text);
    if (!where.macro) return;
    if (e.text == "varargs") where.macro->takes_varargs = true;
    if (e.text == "kwargs") where.macro->takes_kwargs = true;
    if (e.text == "caller") where.macro->takes_caller = true;
  }

  TemplateFacts& facts_;
};

}  // namespace

TemplateFacts resolve(Template& tmpl) {
  TemplateFacts facts;
  Resolver(facts).body(tmpl.body, {});
  facts.loops_over_content = loops_over_content(tmpl);
  return facts;
}

}  // namespace vllm::text::tmpl
