#pragma once
// argv to flag assignments, by the rules of Python's argparse as vLLM's FlexibleArgumentParser extends them.
//
//   --max-model-len 4k  --max_model_len=4k  --max-model 4k (unique prefix)  -tp 2  -O3
//   --x / --no-x, --enable-x / --disable-x    --flag.a.b 1  --flag.list+ v (JSON objects, dotted)
//   --served-model-name a b                   '--cors-allow-origins "*"' (one argument with a blank, from a compose
//   list) # ...                                     (a bare # ends the arguments: a comment in folded YAML)
#include <string>
#include <vector>

#include "cli/flag.h"

namespace vllm::cli {

struct Assignment {
  const Flag* flag = nullptr;
  std::vector<std::string> values;  // as typed; a dotted JSON flag has one JSON text
};

struct ParsedArgs {
  std::vector<Assignment> assignments;  // in the order typed: the last one of a flag wins
  std::vector<std::string> positionals;
  std::string help_topic;  // --help: "short"; --help=all: "all"; --help=X: "X"
  std::vector<std::string> warnings;
};

/// kInvalidArgument for an unknown flag (with the nearest names), an ambiguous prefix or a missing value.
Result<ParsedArgs> parse_args(const std::vector<std::string>& args, const FlagTable& table = serve_flags());

/// "--max-modle-len" to the few known names nearest to it, best first.
std::vector<std::string> nearest_flags(std::string_view name, const FlagTable& table = serve_flags());

}  // namespace vllm::cli
