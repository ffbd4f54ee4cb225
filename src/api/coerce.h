#pragma once
// JSON values to C++ values by pydantic's lax rules ("8" is an integer, 1 is true), with pydantic's words for what is
// refused.
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/error.h"
#include "base/json.h"

namespace vllm::api {

/// Collects schema violations; keeps the first ten, counts all.
class Issues {
 public:
  void add(SchemaIssue issue);
  void add(std::string_view type, std::string_view loc, std::string_view msg, const json::value& input,
           std::string ctx = {});
  void missing(std::string loc, const json::value& parent);
  void append(const Issues& other);
  bool empty() const { return count_ == 0; }
  ApiError error() const;  // not when empty

 private:
  std::vector<SchemaIssue> first_;
  size_t count_ = 0;
};

struct IntRange {
  int64_t lo = std::numeric_limits<int64_t>::min(), hi = std::numeric_limits<int64_t>::max();
  bool bounded = false;  // beyond int64: an error if bounded, else the nearest int64
};

// Each returns nullopt after adding an issue. `loc` is the value's place, "body.n".
std::optional<int64_t> coerce_int(const json::value& value, std::string_view loc, Issues& issues,
                                  const IntRange& range = {});
std::optional<double> coerce_double(const json::value& value, std::string_view loc, Issues& issues);
std::optional<bool> coerce_bool(const json::value& value, std::string_view loc, Issues& issues);
std::optional<std::string> coerce_string(const json::value& value, std::string_view loc, Issues& issues);
std::optional<std::vector<int64_t>> coerce_ints(const json::value& value, std::string_view loc, Issues& issues,
                                                const IntRange& range = {});
std::optional<std::vector<std::string>> coerce_strings(const json::value& value, std::string_view loc, Issues& issues);
/// One of `choices`, separated by '|'.
std::optional<std::string> coerce_choice(const json::value& value, std::string_view loc, std::string_view choices,
                                         Issues& issues);
/// Adds dict_type unless the value is an object.
const json::object* coerce_object(const json::value& value, std::string_view loc, Issues& issues);

/// bool(value) in Python.
bool truthy(const json::value& value);
/// "Input should be 'a', 'b' or 'c'" without the first words.
std::string quoted_choices(std::string_view choices);

}  // namespace vllm::api
