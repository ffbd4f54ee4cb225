#pragma once
// The parsed template. Names are interned: a scope compares integers.
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/template/value.h"

namespace vllm::text::tmpl {

struct Expr;
struct Stmt;
using ExprPtr = std::unique_ptr<Expr>;
using Body = std::vector<std::unique_ptr<Stmt>>;
using FilterFn = Value (*)(Interpreter&, const Value&, Args&);
using TestFn = bool (*)(Interpreter&, const Value&, Args&);

enum class Op : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kFloorDiv,
  kMod,
  kPow,
  kAnd,
  kOr,
  kNot,
  kNeg,
  kPos,
  kEq,
  kNe,
  kLt,
  kLe,
  kGt,
  kGe,
  kIn,
  kNotIn,
};

enum class ExprKind : uint8_t {
  kConst,  // value
  kData,   // value: template text
  kName,   // symbol
  kNsRef,  // symbol.text, as an assignment target
  kTuple,
  kList,
  kDict,     // kids: key, value, key, value, ...
  kGetAttr,  // kids[0].text
  kGetItem,  // kids[0][kids[1]]
  kSlice,    // kids[0][kids[1]:kids[2]:kids[3]], null for an absent bound
  kCall,     // kids[0](call)
  kFilter,   // kids[0] | text(call); kids[0] is null for the body of a filter or set block
  kTest,     // kids[0] is text(call)
  kChain,    // kids[0] ops[0] kids[1] ops[1] ...: operators of one precedence, left to right; also and, or
  kCompare,  // like kChain, as Python chains comparisons
  kUnary,    // ops[0] kids[0]
  kConcat,   // kids joined by ~
  kCond,     // kids: test, then, else (null: undefined)
};

struct CallArgs {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> keywords;
  ExprPtr star, star_star;
};

struct Expr {
  ExprKind kind;
  int line = 1;
  int depth = 1;  // of the tree below, bounded by the parser
  int symbol = -1;
  std::string text;  // attribute, filter or test name; name of a kName
  Value value;
  std::vector<ExprPtr> kids;
  std::vector<Op> ops;
  CallArgs call;
  FilterFn filter = nullptr;  // set by resolve(); null: an unknown name that fails when it is reached
  TestFn test = nullptr;
};

/// A parameter list: of a macro or a call block.
struct Signature {
  std::vector<int> symbols;
  std::vector<std::string> names;
  std::vector<ExprPtr> defaults;  // of the last defaults.size() parameters
};

/// What a macro runs; shared by `macro`, `call` and `generation`.
struct MacroDef {
  std::string name;  // empty for a caller
  int symbol = -1;
  Signature signature;
  Body body;
  bool takes_varargs = false, takes_kwargs = false, takes_caller = false;  // the body names them: set by resolve()
};

enum class StmtKind : uint8_t {
  kOutput,      // exprs
  kIf,          // exprs[i] → bodies[i]; one body more than exprs: else
  kFor,         // target in exprs[0], filter exprs[1] (may be null); bodies: loop, else (may be empty)
  kSet,         // target = exprs[0]
  kSetBlock,    // target = bodies[0], through filter exprs[0] (may be null)
  kMacro,       // macro
  kCall,        // exprs[0] is a kCall; macro is its caller
  kGeneration,  // macro: a body with a scope of its own, printed as it is
  kFilter,      // exprs[0] applied to bodies[0]
  kWith,        // targets[i] = exprs[i]; bodies[0]
  kBlock,       // bodies[0] with the top scope
  kBreak,
  kContinue,
};

struct Stmt {
  StmtKind kind;
  int line = 1;
  bool recursive = false;
  ExprPtr target;
  std::vector<ExprPtr> targets, exprs;
  std::vector<Body> bodies;
  std::unique_ptr<MacroDef> macro;
};

/// Names to small integers.
class Symbols {
 public:
  int intern(std::string_view name) {
    auto it = ids_.find(std::string(name));
    if (it != ids_.end()) return it->second;
    names_.emplace_back(name);
    return ids_.emplace(names_.back(), static_cast<int>(names_.size()) - 1).first->second;
  }
  int find(std::string_view name) const {
    auto it = ids_.find(std::string(name));
    return it == ids_.end() ? -1 : it->second;
  }
  const std::string& name(int id) const { return names_[static_cast<size_t>(id)]; }
  size_t size() const { return names_.size(); }

 private:
  std::unordered_map<std::string, int> ids_;
  std::vector<std::string> names_;
};

struct Template {
  Symbols symbols;
  Body body;
};

}  // namespace vllm::text::tmpl
