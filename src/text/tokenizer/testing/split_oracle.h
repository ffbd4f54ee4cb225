#pragma once
// What a hand-written split rule must do: its patterns one after the other, each on the pieces that the one before it
// left, by PCRE2.
#include <string_view>
#include <vector>

#include "base/check.h"
#include "text/tokenizer/regex.h"
#include "text/tokenizer/splitters.h"

namespace vllm::text::testing {

class SplitOracle {
 public:
  explicit SplitOracle(const KnownSplit& known) {
    for (const std::string_view pattern : known.patterns) {
      if (pattern.empty()) break;
      if (pattern == kNumericByteRuns) {  // from here on pieces are bytes, which PCRE2 does not take
        by_bytes_ = true;
        break;
      }
      regex_.push_back(*Regex::compile(pattern));
    }
  }

  /// The ends of the words. Whether a pattern matches at all does not matter: what is left over is a word too.
  std::vector<uint32_t> split(std::string_view text) const {
    std::vector<uint32_t> ends;
    if (!text.empty()) ends.push_back(static_cast<uint32_t>(text.size()));
    for (const Regex& regex : regex_) {
      ends = cut(ends, [&](uint32_t begin, uint32_t end, std::vector<uint32_t>& cuts) {
        std::vector<RegexMatch> matches;
        CHECK(regex.find_all(text.substr(begin, end - begin), matches).has_value());
        for (const RegexMatch& match : matches) {
          cuts.push_back(begin + match.begin);
          cuts.push_back(begin + match.end);
        }
      });
    }
    if (!by_bytes_) return ends;
    const auto byte = [&](uint32_t i) { return static_cast<unsigned char>(text[i]); };
    ends = cut(ends, [&](uint32_t begin, uint32_t end, std::vector<uint32_t>& cuts) {
      for (uint32_t i = begin + 1; i < end; ++i) {
        if (is_numeric_byte(byte(i)) != is_numeric_byte(byte(i - 1))) cuts.push_back(i);
      }
    });
    return cut(ends, [&](uint32_t begin, uint32_t end, std::vector<uint32_t>& cuts) {
      const auto digit = [&](uint32_t i) { return byte(i) >= '0' && byte(i) <= '9'; };
      for (uint32_t i = begin; i + 3 <= end;) {
        if (digit(i) && digit(i + 1) && digit(i + 2)) {
          cuts.push_back(i);
          cuts.push_back(i += 3);
        } else {
          ++i;
        }
      }
    });
  }

 private:
  // `find(begin, end, cuts)` says where the piece [begin, end) is cut, in order.
  template <typename Find>
  static std::vector<uint32_t> cut(const std::vector<uint32_t>& ends, Find find) {
    std::vector<uint32_t> out, cuts;
    uint32_t begin = 0;
    for (const uint32_t end : ends) {
      cuts.clear();
      find(begin, end, cuts);
      for (const uint32_t at : cuts) {
        if (at > (out.empty() ? 0 : out.back())) out.push_back(at);
      }
      if (out.empty() || out.back() < end) out.push_back(end);
      begin = end;
    }
    return out;
  }

  std::vector<Regex> regex_;
  bool by_bytes_ = false;
};

}  // namespace vllm::text::testing
