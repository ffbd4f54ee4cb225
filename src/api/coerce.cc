#include "api/coerce.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "api/json_body.h"
#include "api/json_text.h"

namespace vllm::api {
namespace {

constexpr size_t kMaxKept = 10;

std::string_view view(const json::string& text) { return {text.data(), text.size()}; }

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n\f\v";
  size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// "12", "+3", "8.0": a whole number in text. Saturates at int64.
std::optional<int64_t> parse_int(std::string_view text) {
  text = trim(text);
  if (size_t point = text.find('.'); point != std::string_view::npos) {
    if (point == 0 || text.find_first_not_of('0', point + 1) != std::string_view::npos) return std::nullopt;
    text = text.substr(0, point);
  }
  const bool negative = text.starts_with('-');
  if (text.starts_with('+')) text.remove_prefix(1);
  int64_t value = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || end != text.data() + text.size() || ec == std::errc::invalid_argument) return std::nullopt;
  if (ec == std::errc::result_out_of_range)
    return negative ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
  return value;
}

std::optional<double> parse_double(std::string_view text) {
  std::string trimmed = lower(trim(text));
  std::string_view rest = trimmed;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "nan") return std::nan("");
  if (rest == "inf" || rest == "infinity") return negative ? -INFINITY : INFINITY;
  double value = 0;
  auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (rest.empty() || end != rest.data() + rest.size() || ec != std::errc()) return std::nullopt;
  return negative ? -value : value;
}

}  // namespace

void Issues::add(SchemaIssue issue) {
  ++count_;
  if (first_.size() < kMaxKept) first_.push_back(std::move(issue));
}

void Issues::add(std::string_view type, std::string_view loc, std::string_view msg, const json::value& input,
                 std::string ctx) {
  if (first_.size() >= kMaxKept) {
    ++count_;
    return;
  }
  auto special = as_special_number(input);
  add({std::string(type), std::string(loc), std::string(msg), special ? python_float(*special) : python_summary(input),
       std::move(ctx)});
}

void Issues::missing(std::string loc, const json::value& parent) { add("missing", loc, "Field required", parent); }

void Issues::append(const Issues& other) {
  for (const SchemaIssue& issue : other.first_) add(issue);
  count_ += other.count_ - other.first_.size();
}

ApiError Issues::error() const { return schema_error(first_, count_); }

std::optional<int64_t> coerce_int(const json::value& value, std::string_view loc, Issues& issues,
                                  const IntRange& range) {
  int64_t number = 0;
  bool above = false, below = false;  // past int64
  if (as_special_number(value)) {
    issues.add("finite_number", loc, "Input should be a finite number", value);
    return std::nullopt;
  }
  if (value.is_int64()) {
    number = value.get_int64();
  } else if (value.is_uint64()) {
    number = std::numeric_limits<int64_t>::max(), above = true;
  } else if (value.is_bool()) {
    number = value.get_bool();
  } else if (value.is_double()) {
    const double real = value.get_double();
    if (std::trunc(real) != real) {
      issues.add("int_from_float", loc, "Input should be a valid integer, got a number with a fractional part", value);
      return std::nullopt;
    }
    above = real >= 0x1p63, below = real < -0x1p63;
    number = above   ? std::numeric_limits<int64_t>::max()
             : below ? std::numeric_limits<int64_t>::min()
                     : static_cast<int64_t>(real);
  } else if (value.is_string()) {
    auto parsed = parse_int(view(value.get_string()));
    if (!parsed) {
      issues.add("int_parsing", loc, "Input should be a valid integer, unable to parse string as an integer", value);
      return std::nullopt;
    }
    number = *parsed;
  } else {
    issues.add("int_type", loc, "Input should be a valid integer", value);
    return std::nullopt;
  }
  if (number > range.hi || (above && range.bounded)) {
    issues.add("less_than_equal", loc, fmt::format("Input should be less than or equal to {}", range.hi), value,
               fmt::format("'le': {}", range.hi));
    return std::nullopt;
  }
  if (number < range.lo || (below && range.bounded)) {
    issues.add("greater_than_equal", loc, fmt::format("Input should be greater than or equal to {}", range.lo), value,
               fmt::format("'ge': {}", range.lo));
    return std::nullopt;
  }
  return number;
}

std::optional<double> coerce_double(const json::value& value, std::string_view loc, Issues& issues) {
  if (auto special = as_special_number(value)) return special;
  if (value.is_double()) return value.get_double();
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  if (value.is_uint64()) return static_cast<double>(value.get_uint64());
  if (value.is_bool()) return value.get_bool() ? 1.0 : 0.0;
  if (value.is_string()) {
    if (auto parsed = parse_double(view(value.get_string()))) return parsed;
    issues.add("float_parsing", loc, "Input should be a valid number, unable to parse string as a number", value);
  } else {
    issues.add("float_type", loc, "Input should be a valid number", value);
  }
  return std::nullopt;
}

std::optional<bool> coerce_bool(const json::value& value, std::string_view loc, Issues& issues) {
  if (value.is_bool()) return value.get_bool();
  if (value.is_number()) {
    const double number = value.is_double()  ? value.get_double()
                          : value.is_int64() ? static_cast<double>(value.get_int64())
                                             : 2;
    if (number == 0 || number == 1) return number == 1;
    issues.add("bool_parsing", loc, "Input should be a valid boolean, unable to interpret input", value);
    return std::nullopt;
  }
  if (value.is_string()) {
    const std::string text = lower(view(value.get_string()));
    for (std::string_view yes : {"1", "true", "t", "yes", "y", "on"}) {
      if (text == yes) return true;
    }
    for (std::string_view no : {"0", "false", "f", "no", "n", "off"}) {
      if (text == no) return false;
    }
    issues.add("bool_parsing", loc, "Input should be a valid boolean, unable to interpret input", value);
    return std::nullopt;
  }
  issues.add("bool_type", loc, "Input should be a valid boolean", value);
  return std::nullopt;
}

std::optional<std::string> coerce_string(const json::value& value, std::string_view loc, Issues& issues) {
  if (value.is_string() && !as_special_number(value)) return std::string(view(value.get_string()));
  issues.add("string_type", loc, "Input should be a valid string", value);
  return std::nullopt;
}

std::optional<std::vector<int64_t>> coerce_ints(const json::value& value, std::string_view loc, Issues& issues,
                                                const IntRange& range) {
  if (!value.is_array()) {
    issues.add("list_type", loc, "Input should be a valid list", value);
    return std::nullopt;
  }
  const json::array& array = value.get_array();
  std::vector<int64_t> out;
  out.reserve(array.size());
  bool ok = true;
  for (size_t i = 0; i < array.size(); ++i) {
    if (array[i].is_int64() && array[i].get_int64() >= range.lo &&
        array[i].get_int64() <= range.hi) {  // the usual case, without a loc
      out.push_back(array[i].get_int64());
      continue;
    }
    auto item = coerce_int(array[i], fmt::format("{}.{}", loc, i), issues, range);
    ok = ok && item;
    out.push_back(item.value_or(0));
  }
  if (!ok) return std::nullopt;
  return out;
}

std::optional<std::vector<std::string>> coerce_strings(const json::value& value, std::string_view loc, Issues& issues) {
  if (!value.is_array()) {
    issues.add("list_type", loc, "Input should be a valid list", value);
    return std::nullopt;
  }
  const json::array& array = value.get_array();
  std::vector<std::string> out;
  out.reserve(array.size());
  bool ok = true;
  for (size_t i = 0; i < array.size(); ++i) {
    if (array[i].is_string()) {
      out.emplace_back(view(array[i].get_string()));
    } else {
      issues.add("string_type", fmt::format("{}.{}", loc, i), "Input should be a valid string", array[i]);
      ok = false;
    }
  }
  if (!ok) return std::nullopt;
  return out;
}

std::optional<std::string> coerce_choice(const json::value& value, std::string_view loc, std::string_view choices,
                                         Issues& issues) {
  if (value.is_string()) {
    std::string_view text = view(value.get_string());
    for (std::string_view rest = choices; !rest.empty();) {
      std::string_view choice = rest.substr(0, rest.find('|'));
      if (text == choice) return std::string(text);
      rest.remove_prefix(std::min(rest.size(), choice.size() + 1));
    }
  }
  const std::string expected = quoted_choices(choices);
  issues.add("literal_error", loc, "Input should be " + expected, value, "'expected': " + python_repr(expected));
  return std::nullopt;
}

const json::object* coerce_object(const json::value& value, std::string_view loc, Issues& issues) {
  if (value.is_object()) return &value.get_object();
  issues.add("dict_type", loc, "Input should be a valid dictionary", value);
  return nullptr;
}

bool truthy(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return false;
    case json::kind::bool_: return value.get_bool();
    case json::kind::int64: return value.get_int64() != 0;
    case json::kind::uint64: return value.get_uint64() != 0;
    case json::kind::double_: return value.get_double() != 0;
    case json::kind::string: return !value.get_string().empty();
    case json::kind::array: return !value.get_array().empty();
    case json::kind::object: return !value.get_object().empty();
  }
  return false;
}

std::string quoted_choices(std::string_view choices) {
  std::string out;
  for (std::string_view rest = choices; !rest.empty();) {
    std::string_view choice = rest.substr(0, rest.find('|'));
    rest.remove_prefix(std::min(rest.size(), choice.size() + 1));
    if (!out.empty()) out += rest.empty() ? " or " : ", ";
    out += '\'';
    out += choice;
    out += '\'';
  }
  return out;
}

}  // namespace vllm::api
