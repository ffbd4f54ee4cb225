#pragma once
// PCRE2 behind Result, set up to read the patterns of tokenizer.json as Oniguruma (Hugging Face's engine) does.
// Matching has match, depth and heap limits: a pattern that backtracks without end is an error, not a hang.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vllm::text {

struct RegexMatch {
  uint32_t begin, end;  // bytes
};

class Regex {
 public:
  /// kInvalidArgument with PCRE2's reason and the offset; character-class intersections (&&) are refused.
  static Result<Regex> compile(std::string_view pattern);
  /// Append all matches in well-formed UTF-8 text, left to right. kInvalidArgument where a limit is hit. Thread-safe.
  Status find_all(std::string_view text, std::vector<RegexMatch>& matches) const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

}  // namespace vllm::text
