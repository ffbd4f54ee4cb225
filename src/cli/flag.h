#pragma once
// A command-line flag is one row of a table: name, type, default, help and what it sets.
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace vllm::cli {

enum class FlagType {
  kBool,      // --x / --no-x
  kInt,       // 42
  kHumanInt,  // 1k = 1000, 1K = 1024; m/M, g/G, t/T alike
  kFloat,
  kString,
  kList,  // one or more values, or one JSON list
  kJson,  // an object: '{...}', or dotted: --flag.key v, --flag.list+ v
};

/// What a known flag does in this version. Nothing is ever ignored without a word, except where there is nothing to
/// say.
enum class Effect {
  kBuilt,   // does what the help says
  kWarn,    // accepted, has no effect yet: says so once
  kRefuse,  // not built: refused unless it has its default value
};

struct FlagValue {
  bool boolean = false;
  int64_t integer = 0;
  double number = 0;
  std::string text;
  std::vector<std::string> list;
  json::object object;
};

struct ServeArgs;

struct Flag {
  std::string_view name;  // "max-model-len", without dashes
  FlagType type;
  std::string_view default_text;  // as --help shows it; kRefuse compares with it
  std::string_view help;
  Effect effect = Effect::kBuilt;
  Status (*set)(ServeArgs&, const FlagValue&) = nullptr;  // kBuilt only
  std::string_view choices = {};                          // "auto|cpu"
  std::string_view short_name = {};                       // "tp" for -tp
};

struct FlagGroup {
  std::string_view title;  // "Frontend": what --help=Frontend prints
  std::string_view help;
  std::span<const Flag> flags;
};

/// The flags of one command. Groups and rows must outlive it (they are constants).
class FlagTable {
 public:
  explicit FlagTable(std::vector<FlagGroup> groups);
  std::span<const FlagGroup> groups() const { return groups_; }
  /// By exact name ("max-model-len"), or nullptr.
  const Flag* find(std::string_view name) const;
  const Flag* find_short(std::string_view short_name) const;

 private:
  std::vector<FlagGroup> groups_;
  std::map<std::string_view, const Flag*> by_name_, by_short_name_;
};

/// Every flag of `vllm serve`.
const FlagTable& serve_flags();
/// The same by group.
std::span<const FlagGroup> serve_flag_groups();

/// Read values as the flag's type. kInvalidArgument names the flag, the value and what is expected.
Result<FlagValue> parse_value(const Flag& flag, const std::vector<std::string>& values);

}  // namespace vllm::cli
