#include "text/template/content_format.h"

#include <set>
#include <string>

namespace vllm::text::tmpl {
namespace {

template <typename Visit>
void each_statement(const Body& body, const Visit& visit) {
  for (const auto& stmt : body) {
    visit(*stmt);
    for (const auto& inner : stmt->bodies) each_statement(inner, visit);
    if (stmt->macro) each_statement(stmt->macro->body, visit);
  }
}

// The variable, or its attribute or item `key`, under filters, tests and slices.
bool reaches(const Expr* e, const std::string& name, const char* key) {
  while (e && (e->kind == ExprKind::kFilter || e->kind == ExprKind::kTest || e->kind == ExprKind::kSlice))
    e = e->kids[0].get();
  if (!e) return false;
  if (!key) return e->kind == ExprKind::kName && e->text == name;
  bool attribute = e->kind == ExprKind::kGetAttr && e->text == key;
  bool item = e->kind == ExprKind::kGetItem && e->kids[1]->kind == ExprKind::kConst && e->kids[1]->value.is_text() &&
              e->kids[1]->value.text() == key;
  return (attribute || item) && e->kids[0]->kind == ExprKind::kName && e->kids[0]->text == name;
}

bool reaches_any(const Expr* e, const std::set<std::string>& names, const char* key) {
  for (const auto& name : names) {
    if (reaches(e, name, key)) return true;
  }
  return false;
}

}  // namespace

bool loops_over_content(const Template& tmpl) {
  std::set<std::string> lists = {"messages"};
  for (size_t before = 0; before != lists.size();) {  // until no assignment adds a name
    before = lists.size();
    each_statement(tmpl.body, [&](const Stmt& s) {
      if (s.kind == StmtKind::kSet && s.target->kind == ExprKind::kName &&
          reaches_any(s.exprs[0].get(), lists, nullptr)) {
        lists.insert(s.target->text);
      }
    });
    if (lists.size() > 64) break;  // no real template has that many; keeps a hostile one linear
  }
  std::set<std::string> messages;
  each_statement(tmpl.body, [&](const Stmt& s) {
    if (s.kind == StmtKind::kFor && s.target->kind == ExprKind::kName && messages.size() < 64 &&
        reaches_any(s.exprs[0].get(), lists, nullptr)) {
      messages.insert(s.target->text);
    }
  });
  bool found = false;
  each_statement(tmpl.body, [&](const Stmt& s) {
    found = found || (s.kind == StmtKind::kFor && reaches_any(s.exprs[0].get(), messages, "content"));
  });
  return found;
}

}  // namespace vllm::text::tmpl
