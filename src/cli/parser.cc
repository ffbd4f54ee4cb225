#include "cli/parser.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <optional>

namespace vllm::cli {
namespace {

// A flag as it was typed: the row it means, and whether its name inverts a boolean (--no-x, --disable-x).
struct Match {
  const Flag* flag = nullptr;
  bool inverted = false;
};

bool looks_like_flag(std::string_view arg) {
  if (arg.size() < 2 || arg[0] != '-') return false;
  if (arg == "--") return true;
  return !std::isdigit(static_cast<unsigned char>(arg[1])) && arg[1] != '.';  // -1 and -.5 are values
}

std::string with_dashes(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '_', '-');
  return out;
}

std::optional<Match> match_exact(const FlagTable& table, std::string_view name) {
  if (const Flag* flag = table.find(name)) return Match{flag, false};
  auto inverse = [&](std::string_view prefix, std::string_view replacement) -> std::optional<Match> {
    if (name.rfind(prefix, 0) != 0) return std::nullopt;
    const Flag* flag = table.find(std::string(replacement) + std::string(name.substr(prefix.size())));
    return flag && flag->type == FlagType::kBool ? std::optional(Match{flag, true}) : std::nullopt;
  };
  for (auto [prefix, replacement] : {std::pair{"no-", ""}, {"enable-", "disable-"}, {"disable-", "enable-"}}) {
    if (auto match = inverse(prefix, replacement)) return match;
  }
  return std::nullopt;
}

// argparse's abbreviations: a prefix that only one flag (or inverse) has.
Result<std::optional<Match>> match_prefix(const FlagTable& table, std::string_view name) {
  std::vector<Match> found;
  std::string_view inverse = name.starts_with("no-") ? name.substr(3) : std::string_view();
  bool any_inverse = std::string_view("no-").starts_with(name);
  for (const FlagGroup& group : table.groups()) {
    for (const Flag& flag : group.flags) {
      if (flag.name.starts_with(name)) found.push_back({&flag, false});
      bool inverts = any_inverse || (!inverse.empty() && flag.name.starts_with(inverse));
      if (inverts && flag.type == FlagType::kBool) found.push_back({&flag, true});
    }
  }
  if (found.empty()) return std::optional<Match>{};
  if (found.size() == 1) return std::optional(found[0]);
  std::string names;
  for (size_t i = 0; i < std::min<size_t>(found.size(), 6); ++i)
    names += fmt::format("{}--{}{}", i ? ", " : "", found[i].inverted ? "no-" : "", found[i].flag->name);
  return invalid_argument("ambiguous option: --{} could match {}{}", name, names, found.size() > 6 ? ", ..." : "");
}

// Levenshtein's distance of one word of at most 64 bytes to many others, a column of its table at a time in the bits of
// a word: Hyyro, "A bit-vector algorithm for computing Levenshtein and Damerau edit distances", 2003.
class EditDistance {
 public:
  explicit EditDistance(std::string_view word) : size_(word.size()) {
    for (size_t i = 0; i < size_; ++i) positions_[static_cast<unsigned char>(word[i])] |= uint64_t{1} << i;
  }

  size_t to(std::string_view other) const {
    if (size_ == 0) return other.size();
    uint64_t up = ~uint64_t{0}, down = 0;  // rows where the column goes up or down by one
    size_t distance = size_;               // of the word to the part of `other` that was read
    for (char c : other) {
      const uint64_t equal = positions_[static_cast<unsigned char>(c)];
      const uint64_t vertical = equal | down;
      const uint64_t horizontal = (((equal & up) + up) ^ up) | equal;
      uint64_t right_up = down | ~(horizontal | up), right_down = up & horizontal;
      distance += (right_up >> (size_ - 1)) & 1;
      distance -= (right_down >> (size_ - 1)) & 1;
      right_up = (right_up << 1) | 1;
      right_down <<= 1;
      up = right_down | ~(vertical | right_up);
      down = right_up & vertical;
    }
    return distance;
  }

 private:
  size_t size_;
  std::array<uint64_t, 256> positions_{};  // bit i: the word's byte i is this one
};

Result<Match> match_long(const FlagTable& table, std::string_view name) {
  if (auto match = match_exact(table, name)) return *match;
  ASSIGN_OR_RETURN(std::optional<Match> match, match_prefix(table, name));
  if (match) return *match;
  std::string hint;
  for (const std::string& near : nearest_flags(name, table))
    hint += (hint.empty() ? "; did you mean --" : " or --") + near;
  return invalid_argument("unrecognized argument --{}{}; --help=all lists every flag", name,
                          hint.empty() ? "" : hint + "?");
}

// -tp, -tp=2, -O3, -cc.mode: a short name with what sticks to it.
struct ShortMatch {
  const Flag* flag;
  std::string_view rest;
};
std::optional<ShortMatch> match_short(const FlagTable& table, std::string_view arg) {
  std::string_view body = arg.substr(1);
  for (size_t length = body.size(); length > 0; --length) {
    const Flag* flag = table.find_short(body.substr(0, length));
    if (!flag) continue;
    std::string_view rest = body.substr(length);
    if (rest.empty() || rest[0] == '=' || rest[0] == '.' || std::isdigit(static_cast<unsigned char>(rest[0])))
      return ShortMatch{flag, rest};
  }
  return std::nullopt;
}

// Merge `value` into `object` at a dotted path; a path that ends in + appends to a list.
void set_dotted(json::object& object, std::string_view path, const json::value& value) {
  size_t dot = path.find('.');
  std::string_view key = path.substr(0, dot);
  if (dot != std::string_view::npos) {
    json::value& child = object[key];
    if (!child.is_object()) child = json::object();
    set_dotted(child.get_object(), path.substr(dot + 1), value);
  } else if (!key.empty() && key.back() == '+') {
    json::value& child = object[key.substr(0, key.size() - 1)];
    if (!child.is_array()) child = json::array();
    child.get_array().push_back(value);
  } else {
    object[key] = value;
  }
}

class Parser {
 public:
  Parser(std::vector<std::string> args, const FlagTable& table) : table_(table), args_(std::move(args)) {
    // "x \\\n  --port" folded by YAML reaches us as " --port".
    for (std::string& arg : args_) {
      size_t start = arg.find_first_not_of(" \t\r\n");
      if (start != std::string::npos && start > 0 && arg.compare(start, 2, "--") == 0) arg.erase(0, start);
    }
  }

  Result<ParsedArgs> parse() {
    while (next_ < args_.size()) {
      const std::string arg = args_[next_++];
      if (arg.starts_with('#')) {
        out_.warnings.push_back(
            "a # where a flag or the model would stand ends the arguments: the rest is taken for a comment");
        break;
      }
      if (arg == "--") {
        out_.positionals.insert(out_.positionals.end(), args_.begin() + static_cast<std::ptrdiff_t>(next_),
                                args_.end());
        break;
      }
      if (!looks_like_flag(arg)) {
        out_.positionals.push_back(arg);
      } else {
        RETURN_IF_ERROR(arg[1] == '-' ? take_long(arg) : take_short(arg));
      }
    }
    for (auto& [flag, object] : dotted_) out_.assignments.push_back({flag, {json::serialize(object)}});
    return std::move(out_);
  }

 private:
  Status take_long(std::string_view arg) {
    std::string_view name = arg.substr(2);
    std::optional<std::string> value;
    size_t equals = name.find('='), blank = name.find_first_of(" \t");
    if (blank != std::string_view::npos && blank < equals) {
      std::string_view rest = name.substr(name.find_first_not_of(" \t", blank) == std::string_view::npos
                                              ? name.size()
                                              : name.find_first_not_of(" \t", blank));
      if (rest.size() >= 2 && (rest.front() == '"' || rest.front() == '\'') && rest.back() == rest.front())
        rest = rest.substr(1, rest.size() - 2);
      value = std::string(rest);
      name = name.substr(0, blank);
    } else if (equals != std::string_view::npos) {
      value = std::string(name.substr(equals + 1));
      name = name.substr(0, equals);
    }
    if (name == "help") {
      out_.help_topic = value ? *value : "short";
      return {};
    }
    size_t dot = name.find('.');
    if (dot != std::string_view::npos) {
      ASSIGN_OR_RETURN(Match match, match_long(table_, with_dashes(name.substr(0, dot))));
      return take_dotted(*match.flag, name.substr(dot + 1), value);
    }
    ASSIGN_OR_RETURN(Match match, match_long(table_, with_dashes(name)));
    return take_values(match, value);
  }

  Status take_short(std::string_view arg) {
    if (arg == "-h") {
      out_.help_topic = "short";
      return {};
    }
    auto match = match_short(table_, arg);
    if (!match) return invalid_argument("unrecognized argument {}; --help=all lists every flag", arg);
    if (!match->rest.empty() && match->rest[0] == '.') {
      size_t equals = match->rest.find('=');
      std::optional<std::string> value;
      if (equals != std::string_view::npos) value = std::string(match->rest.substr(equals + 1));
      return take_dotted(*match->flag, match->rest.substr(1, equals == std::string_view::npos ? equals : equals - 1),
                         value);
    }
    std::optional<std::string> value;
    if (!match->rest.empty()) value = std::string(match->rest[0] == '=' ? match->rest.substr(1) : match->rest);
    return take_values({match->flag, false}, value);
  }

  Status take_dotted(const Flag& flag, std::string_view path, std::optional<std::string> value) {
    if (flag.type != FlagType::kJson)
      return invalid_argument("--{}.{}: --{} takes no keys", flag.name, path, flag.name);
    if (path.empty() || path.size() > 256) return invalid_argument("--{}.: a key must follow the dot", flag.name);
    if (!value) {
      if (next_ >= args_.size()) return invalid_argument("argument --{}.{}: expected one value", flag.name, path);
      value = args_[next_++];
    }
    auto parsed = parse_json(*value);
    auto it = std::find_if(dotted_.begin(), dotted_.end(), [&](const auto& d) { return d.first == &flag; });
    if (it == dotted_.end()) it = dotted_.insert(dotted_.end(), {&flag, json::object()});
    set_dotted(it->second, path, parsed ? *parsed : json::value(*value));
    return {};
  }

  Status take_values(Match match, std::optional<std::string> value) {
    const Flag& flag = *match.flag;
    if (flag.type == FlagType::kBool) {
      if (match.inverted && value) {
        ASSIGN_OR_RETURN(FlagValue given, parse_value(flag, {*value}));
        value = given.boolean ? "false" : "true";
      } else if (match.inverted) {
        value = "false";
      }
      out_.assignments.push_back({&flag, {value.value_or("true")}});
      return {};
    }
    std::vector<std::string> values;
    if (value) {
      values.push_back(*value);
    } else if (flag.type == FlagType::kList) {
      while (next_ < args_.size() && !looks_like_flag(args_[next_]) && args_[next_] != "#")
        values.push_back(args_[next_++]);
    } else if (next_ < args_.size() && !looks_like_flag(args_[next_])) {
      values.push_back(args_[next_++]);
    }
    if (values.empty())
      return invalid_argument("argument --{}: expected {}", flag.name,
                              flag.type == FlagType::kList ? "one or more values" : "one value");
    out_.assignments.push_back({&flag, std::move(values)});
    return {};
  }

  const FlagTable& table_;
  std::vector<std::string> args_;
  size_t next_ = 0;
  ParsedArgs out_;
  std::vector<std::pair<const Flag*, json::object>> dotted_;
};

}  // namespace

std::vector<std::string> nearest_flags(std::string_view name, const FlagTable& table) {
  name = name.substr(0, 64);
  const size_t limit = 2 + name.size() / 4;
  const EditDistance from_name(name);
  std::vector<std::pair<size_t, std::string_view>> scored;
  for (const FlagGroup& group : table.groups()) {
    for (const Flag& flag : group.flags) {
      size_t distance = from_name.to(flag.name);
      if (distance <= limit) scored.emplace_back(distance, flag.name);
    }
  }
  std::sort(scored.begin(), scored.end());
  std::vector<std::string> out;
  for (size_t i = 0; i < std::min<size_t>(scored.size(), 3); ++i) out.emplace_back(scored[i].second);
  return out;
}

Result<ParsedArgs> parse_args(const std::vector<std::string>& args, const FlagTable& table) {
  return Parser(args, table).parse();
}

}  // namespace vllm::cli
