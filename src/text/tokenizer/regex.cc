#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/tokenizer/regex.h"

#include <pcre2.h>

namespace vllm::text {
namespace {

constexpr uint32_t kMatchLimit = 1'000'000;  // backtracking steps of one match
constexpr uint32_t kHeapLimitKib = 64 * 1024;
constexpr uint32_t kDepthLimit = 100'000;
constexpr size_t kMaxPattern = 16 * 1024;
constexpr std::string_view kSpaces =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

struct MatchDataDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct MatchContextDeleter {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct CompileContextDeleter {
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
};
struct JitStackDeleter {
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};

// What matching needs beside the compiled pattern; one per thread, for all patterns (only whole matches are looked at).
struct MatchScratch {
  std::unique_ptr<pcre2_match_data, MatchDataDeleter> data{pcre2_match_data_create(1, nullptr)};
  std::unique_ptr<pcre2_match_context, MatchContextDeleter> context{pcre2_match_context_create(nullptr)};
  std::unique_ptr<pcre2_jit_stack, JitStackDeleter> stack{pcre2_jit_stack_create(64 * 1024, 8 * 1024 * 1024, nullptr)};

  MatchScratch() {
    if (!complete()) return;
    pcre2_set_match_limit(context.get(), kMatchLimit);
    pcre2_set_depth_limit(context.get(), kDepthLimit);
    pcre2_set_heap_limit(context.get(), kHeapLimitKib);
    pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
  bool complete() const { return data && context && stack; }
};

// PCRE2's \s has U+180E beside White_Space, Oniguruma's has not: spell the class out. (\S inside a class stays.)
Result<std::string> translate(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char escaped = pattern[++i];
      if (escaped == 's') {
        out += in_class ? std::string(kSpaces) : fmt::format("[{}]", kSpaces);
      } else if (escaped == 'S' && !in_class) {
        out += fmt::format("[^{}]", kSpaces);
      } else {
        out += c;
        out += escaped;
      }
      continue;
    }
    if (in_class && c == '&' && i + 1 < pattern.size() && pattern[i + 1] == '&') {
      return invalid_argument("the pattern uses a character-class intersection (&&), which is not supported");
    }
    if (c == '[' && !in_class) {
      in_class = true;
      out += c;
      if (i + 1 < pattern.size() && pattern[i + 1] == '^') out += pattern[++i];
      if (i + 1 < pattern.size() && pattern[i + 1] == ']') out += "\\]", ++i;
      continue;
    }
    if (c == '[' && in_class && i + 1 < pattern.size() && pattern[i + 1] != ':') {
      return invalid_argument("the pattern nests character classes, which is not supported");
    }
    if (c == ']' && in_class) in_class = false;
    out += c;
  }
  return out;
}

}  // namespace

struct Regex::Code {
  std::unique_ptr<pcre2_code, decltype(&pcre2_code_free)> compiled{nullptr, pcre2_code_free};
};

Result<Regex> Regex::compile(std::string_view pattern) {
  if (pattern.size() > kMaxPattern) return invalid_argument("the pattern is longer than {} bytes", kMaxPattern);
  ASSIGN_OR_RETURN(std::string translated, translate(pattern));
  std::unique_ptr<pcre2_compile_context, CompileContextDeleter> context(pcre2_compile_context_create(nullptr));
  if (!context) return error(ErrorCode::kResourceExhausted, "out of memory");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_parens_nest_limit(context.get(), 100);
  int code = 0;
  PCRE2_SIZE offset = 0;
  // Oniguruma's Ruby syntax, which Hugging Face uses: ^ and $ match at every line.
  const uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  auto state = std::make_shared<Code>();
  state->compiled.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(), options,
                                      &code, &offset, context.get()));
  if (!state->compiled) {
    PCRE2_UCHAR reason[128];
    pcre2_get_error_message(code, reason, sizeof reason);
    return invalid_argument("bad regular expression at offset {}: {}", offset, reinterpret_cast<const char*>(reason));
  }
  pcre2_jit_compile(state->compiled.get(), PCRE2_JIT_COMPLETE);  // without JIT pcre2_match interprets: slower, equal
  Regex regex;
  regex.code_ = std::move(state);
  return regex;
}

Status Regex::find_all(std::string_view text, std::vector<RegexMatch>& matches) const {
  static thread_local MatchScratch scratch;  // the JIT's stack alone costs two system calls
  if (!scratch.complete()) return error(ErrorCode::kResourceExhausted, "out of memory");
  const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  // As Oniguruma's iterator: an empty match right after a match is not one, and the search goes on a character further.
  PCRE2_SIZE last_match_end = PCRE2_UNSET;
  for (size_t pos = 0; pos <= text.size();) {
    // NO_UTF_CHECK: the caller promises well-formed text; a check per call would make this quadratic.
    const int count = pcre2_match(code_->compiled.get(), subject, text.size(), pos, PCRE2_NO_UTF_CHECK,
                                  scratch.data.get(), scratch.context.get());
    if (count == PCRE2_ERROR_NOMATCH) break;
    if (count < 0) {
      return invalid_argument("the tokenizer's split pattern gave up on this text (PCRE2 error {})", count);
    }
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(scratch.data.get());
    if (ends[1] < ends[0] || ends[0] < pos) return invalid_argument("the tokenizer's split pattern matches backwards");
    if (ends[0] == ends[1] && ends[1] == last_match_end) {
      do ++pos;
      while (pos < text.size() && (static_cast<unsigned char>(text[pos]) & 0xC0) == 0x80);
      continue;
    }
    matches.push_back({static_cast<uint32_t>(ends[0]), static_cast<uint32_t>(ends[1])});
    pos = last_match_end = ends[1];
  }
  return Status::ok();
}

}  // namespace vllm::text
