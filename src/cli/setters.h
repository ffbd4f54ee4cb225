#pragma once
// How a row of a flag table stores its value: `set<&ServeArgs::host>`, or `set_int<&ServeArgs::port, 0, 65535>`.
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "cli/serve_args.h"

namespace vllm::cli {

namespace detail {
template <typename Class, typename Field>
Class class_of(Field Class::*);

inline void store(std::string& field, const FlagValue& v) { field = v.text; }
inline void store(bool& field, const FlagValue& v) { field = v.boolean; }
inline void store(int64_t& field, const FlagValue& v) { field = v.integer; }
inline void store(double& field, const FlagValue& v) { field = v.number; }
inline void store(std::optional<int64_t>& field, const FlagValue& v) { field = v.integer; }
inline void store(std::optional<double>& field, const FlagValue& v) { field = v.number; }
inline void store(std::vector<std::string>& field, const FlagValue& v) { field = v.list; }
inline void store(json::object& field, const FlagValue& v) { field = v.object; }
}  // namespace detail

/// Store a value in a member of the struct that the command parses into, which is ServeArgs or derived from it.
template <auto Member>
Status set(ServeArgs& args, const FlagValue& value) {
  using Args = decltype(detail::class_of(Member));
  detail::store(static_cast<Args&>(args).*Member, value);
  return {};
}

constexpr int64_t kAnyInt = std::numeric_limits<int64_t>::max();
constexpr int64_t kManyInt = int64_t{1} << 40;  // more than any count, little enough for sums and products

/// The same for an integer from `least` to `most`.
template <auto Member, int64_t least, int64_t most = kManyInt>
Status set_int(ServeArgs& args, const FlagValue& value) {
  if (value.integer >= least && value.integer <= most) return set<Member>(args, value);
  const std::string end = most < kManyInt ? fmt::format("to {}", most) : "or more";
  return invalid_argument("{} is out of range: expected {} {}", value.integer, least, end);
}

}  // namespace vllm::cli
