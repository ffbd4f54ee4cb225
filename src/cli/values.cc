// Text to the value of a flag's type.
#include <charconv>
#include <cmath>
#include <limits>

#include "cli/flag.h"

namespace vllm::cli {
namespace {

Error expected(const Flag& flag, std::string_view value, std::string_view what) {
  Error e = invalid_argument("argument --{}: invalid value '{}': expected {}", flag.name, value, what);
  e.param = std::string(flag.name);
  return e;
}

// "1k", "25.6k", "2M": lower case counts in thousands, upper case in 1024s, as vLLM's human_readable_int.
Result<int64_t> parse_human_int(const Flag& flag, std::string_view text) {
  double scale = 1;
  std::string_view digits = text;
  if (!text.empty() && !std::isdigit(static_cast<unsigned char>(text.back()))) {
    static constexpr std::string_view kUnits = "kmgt";
    char unit = text.back();
    size_t power = kUnits.find(static_cast<char>(std::tolower(static_cast<unsigned char>(unit))));
    if (power == std::string_view::npos)
      return expected(flag, text, "a whole number, such as 4096, 4k (4000) or 4K (4096)");
    scale = std::pow(std::islower(static_cast<unsigned char>(unit)) ? 1000.0 : 1024.0, static_cast<double>(power + 1));
    digits.remove_suffix(1);
  }
  double number = 0;
  auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), number, std::chars_format::fixed);
  double value = number * scale;
  if (digits.empty() || ec != std::errc() || end != digits.data() + digits.size() || std::abs(value) > 9e15 ||
      value != std::trunc(value)) {
    return expected(flag, text, "a whole number, such as 4096, 4k (4000) or 4K (4096)");
  }
  return static_cast<int64_t>(value);
}

Result<bool> parse_bool(const Flag& flag, std::string_view text) {
  for (std::string_view yes : {"", "true", "True", "1", "yes", "on"}) {
    if (text == yes) return true;
  }
  for (std::string_view no : {"false", "False", "0", "no", "off"}) {
    if (text == no) return false;
  }
  return expected(flag, text, fmt::format("no value (use --{0} or --no-{0})", flag.name));
}

Status parse_list(const Flag& flag, const std::vector<std::string>& values, FlagValue& out) {
  for (const std::string& value : values) {
    if (values.size() == 1 && !value.empty() && value.front() == '[') {
      auto parsed = parse_json(value);
      if (!parsed || !parsed->is_array()) return expected(flag, value, "a JSON list, such as '[\"a\", \"b\"]'");
      for (const json::value& item : parsed->get_array()) {
        out.list.push_back(item.is_string() ? std::string(item.get_string()) : json::serialize(item));
      }
    } else {
      out.list.push_back(value);
    }
  }
  return {};
}

bool is_choice(std::string_view choices, std::string_view value) {
  while (!choices.empty()) {
    size_t bar = choices.find('|');
    if (choices.substr(0, bar) == value) return true;
    choices = bar == std::string_view::npos ? std::string_view{} : choices.substr(bar + 1);
  }
  return false;
}

}  // namespace

Result<FlagValue> parse_value(const Flag& flag, const std::vector<std::string>& values) {
  FlagValue out;
  std::string text = values.empty() ? "" : values.back();
  out.text = text;
  switch (flag.type) {
    case FlagType::kBool: {
      ASSIGN_OR_RETURN(out.boolean, parse_bool(flag, text));
      break;
    }
    case FlagType::kInt: {
      auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out.integer);
      if (text.empty() || ec != std::errc() || end != text.data() + text.size())
        return expected(flag, text, "a whole number");
      break;
    }
    case FlagType::kHumanInt: {
      if (is_choice(flag.choices, text)) break;
      ASSIGN_OR_RETURN(out.integer, parse_human_int(flag, text));
      break;
    }
    case FlagType::kFloat: {
      if (is_choice(flag.choices, text)) break;
      auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out.number);
      if (text.empty() || ec != std::errc() || end != text.data() + text.size() || !std::isfinite(out.number)) {
        return expected(flag, text, "a number");
      }
      break;
    }
    case FlagType::kString:
      if (!flag.choices.empty() && !is_choice(flag.choices, text))
        return expected(flag, text, fmt::format("one of {}", flag.choices));
      break;
    case FlagType::kList:
      if (values.empty()) return expected(flag, "", "one or more values");
      RETURN_IF_ERROR(parse_list(flag, values, out));
      break;
    case FlagType::kJson: {
      auto parsed = parse_json(text);
      if (!parsed || !parsed->is_object()) {
        return expected(flag, text, fmt::format("a JSON object, such as '{{\"key\": 1}}' or --{}.key 1", flag.name));
      }
      out.object = parsed->get_object();
      break;
    }
  }
  return out;
}

}  // namespace vllm::cli
