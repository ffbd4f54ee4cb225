// Differential: the hand-written split rules against PCRE2, and a byte-level tokenizer's way there and back.
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "text/tokenizer.h"
#include "text/tokenizer/regex.h"
#include "text/tokenizer/splitters.h"
#include "text/tokenizer/testing/split_oracle.h"
#include "text/tokenizer/utf8.h"

namespace {

using namespace vllm::text;

struct Rule {
  const KnownSplit* known;
  testing::SplitOracle oracle;
};

void check_rule(const Rule& rule, std::string_view text) {
  std::vector<uint32_t> ends;
  rule.known->split_all(text, 0, ends);
  CHECK(ends == rule.oracle.split(text));
  for (size_t i = 0; i + 1 < ends.size(); ++i) {  // a call that starts there goes on in the same way
    uint32_t end;
    CHECK(rule.known->split(text, ends[i], std::span(&end, 1)) == 1 && end == ends[i + 1]);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<Rule> rules = [] {
    std::vector<Rule> out;
    for (const KnownSplit& known : known_splits()) out.push_back({&known, testing::SplitOracle(known)});
    return out;
  }();
  static const auto unassigned = *Regex::compile("\\p{Cn}");
  static const auto tokenizer = *load_tokenizer(VLLM_GOLDEN_TOKENIZER);

  const std::string text = repair_utf8({reinterpret_cast<const char*>(data), size});
  std::vector<RegexMatch> newer;  // characters that only one of the two Unicode versions may know
  CHECK(unassigned.find_all(text, newer).has_value());
  if (newer.empty()) {
    for (const Rule& rule : rules) check_rule(rule, text);
  }
  const auto ids = tokenizer->encode({reinterpret_cast<const char*>(data), size});
  CHECK(ids.has_value());
  CHECK(tokenizer->decode(*ids) == text);
  return 0;
}
