#pragma once
// The flag tables of the bench commands, and how a row stores its value.
#include <optional>
#include <string>
#include <vector>

#include "bench/args.h"
#include "cli/flag.h"
#include "cli/help.h"

namespace vllm::bench {

const cli::HelpPage& serve_page();
const cli::HelpPage& latency_page();
const cli::HelpPage& throughput_page();
const cli::HelpPage& roofline_page();
const cli::HelpPage& startup_page();

/// The rows of DatasetArgs.
std::span<const cli::Flag> dataset_flags();
/// Flags of `bench startup` itself: all others go to the server that it starts.
std::span<const cli::Flag> startup_flags();

namespace detail {
template <typename Class, typename Field>
Class class_of(Field Class::*);

inline void store(std::string& field, const cli::FlagValue& v) { field = v.text; }
inline void store(bool& field, const cli::FlagValue& v) { field = v.boolean; }
inline void store(int64_t& field, const cli::FlagValue& v) { field = v.integer; }
inline void store(double& field, const cli::FlagValue& v) { field = v.number; }
inline void store(std::optional<int64_t>& field, const cli::FlagValue& v) { field = v.integer; }
inline void store(std::optional<double>& field, const cli::FlagValue& v) { field = v.number; }
inline void store(std::vector<std::string>& field, const cli::FlagValue& v) { field = v.list; }
inline void store(json::object& field, const cli::FlagValue& v) { field = v.object; }
}  // namespace detail

/// Store a value in a member of the struct that the command parses into: `set<&LatencyArgs::n>`.
template <auto Member>
Status set(cli::ServeArgs& args, const cli::FlagValue& value) {
  using Args = decltype(detail::class_of(Member));
  detail::store(static_cast<Args&>(args).*Member, value);
  return {};
}

/// The same for a number that is at least `least`.
template <auto Member, int64_t least>
Status set_int(cli::ServeArgs& args, const cli::FlagValue& value) {
  if (value.integer < least || value.integer > (int64_t{1} << 40))
    return invalid_argument("{} is out of range: expected {} or more", value.integer, least);
  return set<Member>(args, value);
}

}  // namespace vllm::bench
