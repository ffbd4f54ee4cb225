// Reads `pre_tokenizer` of tokenizer.json.
#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

constexpr size_t kMaxSteps = 64;

struct Parsed {
  std::vector<PreTokenizeStep> steps;
  bool byte_level = false;
};

Result<SplitBehavior> parse_behavior(const json::object& step, SplitBehavior fallback) {
  const auto name = get_string(step, "behavior");
  if (!name) return fallback;
  if (*name == "Isolated") return SplitBehavior::kIsolated;
  if (*name == "Removed") return SplitBehavior::kRemoved;
  if (*name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (*name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (*name == "Contiguous") return SplitBehavior::kContiguous;
  return invalid_argument("pre_tokenizer: unknown behavior \"{}\"", *name);
}

Status parse_split(const json::object& step, Parsed& out) {
  ASSIGN_OR_RETURN(const SplitBehavior behavior, parse_behavior(step, SplitBehavior::kIsolated));
  const bool invert = get_bool(step, "invert").value_or(false);
  const json::object* pattern = get_object(step, "pattern");
  if (!pattern) return invalid_argument("pre_tokenizer Split has no `pattern`");
  if (auto regex = get_string(*pattern, "Regex")) {
    ASSIGN_OR_RETURN(SplitStep split, make_split(*regex, behavior, invert).with_context("pre_tokenizer Split"));
    out.steps.emplace_back(std::move(split));
  } else if (auto literal = get_string(*pattern, "String"); literal && !literal->empty()) {
    out.steps.emplace_back(SplitStep{.matcher = std::move(*literal), .behavior = behavior, .invert = invert});
  } else {
    return invalid_argument(
        "pre_tokenizer Split: `pattern` must be {{\"Regex\": ...}} or {{\"String\": ...}}, not empty");
  }
  return Status::ok();
}

Status parse_metaspace(const json::object& step, Parsed& out) {
  MetaspaceStep metaspace;
  if (auto replacement = get_string(step, "replacement")) metaspace.replacement = *replacement;
  size_t used = 0;
  if (!metaspace.replacement.empty()) read_char(metaspace.replacement, used);
  if (used == 0 || used != metaspace.replacement.size()) {
    return invalid_argument("pre_tokenizer Metaspace: `replacement` must be one character");
  }
  const std::string scheme = get_string(step, "prepend_scheme").value_or("always");
  if (scheme == "always")
    metaspace.prepend = MetaspaceStep::Prepend::kAlways;
  else if (scheme == "first")
    metaspace.prepend = MetaspaceStep::Prepend::kFirst;
  else if (scheme == "never")
    metaspace.prepend = MetaspaceStep::Prepend::kNever;
  else
    return invalid_argument("pre_tokenizer Metaspace: unknown prepend_scheme \"{}\"", scheme);
  if (get_bool(step, "add_prefix_space") == false) metaspace.prepend = MetaspaceStep::Prepend::kNever;
  metaspace.split = get_bool(step, "split").value_or(true);
  out.steps.emplace_back(std::move(metaspace));
  return Status::ok();
}

Status parse_into(const json::value& value, Parsed& out) {
  if (value.is_null()) return Status::ok();
  const json::object* step = value.if_object();
  const auto type = step ? get_string(*step, "type") : std::nullopt;
  if (!type) return invalid_argument("pre_tokenizer must be null or an object with a `type`");
  if (out.steps.size() >= kMaxSteps) return invalid_argument("more than {} pre_tokenizers", kMaxSteps);
  if (*type == "Sequence") {
    const json::array* members = get_array(*step, "pretokenizers");
    if (!members) return invalid_argument("pre_tokenizer Sequence has no list `pretokenizers`");
    for (const json::value& member : *members) RETURN_IF_ERROR(parse_into(member, out));
    return Status::ok();
  }
  // ByteLevel respells the text in its byte alphabet; rules after it see that spelling. Falcon has two such rules.
  if (out.byte_level) {
    const json::object* pattern = get_object(*step, "pattern");
    if (*type == "Digits" && !get_bool(*step, "individual_digits").value_or(false)) {
      out.steps.emplace_back(SplitStep{.matcher = CharRule::kNumericByte, .behavior = SplitBehavior::kContiguous});
      return Status::ok();
    }
    if (*type == "Split" && pattern && get_string(*pattern, "Regex") == kThreeDigitsPattern &&
        get_string(*step, "behavior") == "Isolated" && !get_bool(*step, "invert").value_or(false)) {
      out.steps.emplace_back(SplitStep{.matcher = ThreeDigits{}});
      return Status::ok();
    }
    return error(ErrorCode::kUnimplemented, "pre_tokenizer {} after ByteLevel is not supported", *type);
  }
  if (*type == "Split") return parse_split(*step, out);
  if (*type == "Metaspace") return parse_metaspace(*step, out);
  if (*type == "ByteLevel") {
    if (get_bool(*step, "add_prefix_space").value_or(true)) out.steps.emplace_back(PrefixSpaceStep{});
    if (get_bool(*step, "use_regex").value_or(true)) {
      out.steps.emplace_back(
          SplitStep{.matcher = find_known_split(kGpt2Pattern), .pattern = std::string(kGpt2Pattern)});
    }
    out.byte_level = true;
    return Status::ok();
  }
  if (*type == "Digits") {
    const bool individual = get_bool(*step, "individual_digits").value_or(false);
    out.steps.emplace_back(SplitStep{.matcher = CharRule::kNumeric,
                                     .behavior = individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous});
    return Status::ok();
  }
  if (*type == "Punctuation") {
    ASSIGN_OR_RETURN(const SplitBehavior behavior, parse_behavior(*step, SplitBehavior::kIsolated));
    out.steps.emplace_back(SplitStep{.matcher = CharRule::kPunctuation, .behavior = behavior});
    return Status::ok();
  }
  if (*type == "WhitespaceSplit" || *type == "BertPreTokenizer") {
    out.steps.emplace_back(SplitStep{.matcher = CharRule::kWhitespace, .behavior = SplitBehavior::kRemoved});
    if (*type == "BertPreTokenizer") out.steps.emplace_back(SplitStep{.matcher = CharRule::kPunctuation});
    return Status::ok();
  }
  if (*type == "Whitespace") return out.steps.emplace_back(WordRunsStep{}), Status::ok();
  return error(ErrorCode::kUnimplemented,
               "pre_tokenizer {} is not supported (known: Sequence, Split, ByteLevel, Digits, Metaspace, Punctuation, "
               "Whitespace, WhitespaceSplit, BertPreTokenizer)",
               *type);
}

}  // namespace

Result<SplitStep> make_split(std::string_view pattern, SplitBehavior behavior, bool invert) {
  SplitStep out{.matcher = ThreeDigits{}, .behavior = behavior, .invert = invert, .pattern = std::string(pattern)};
  if (const KnownSplit* known = find_known_split(pattern)) {
    out.matcher = known;
  } else if (pattern == kDigitGroupsPattern) {
    out.matcher = DigitGroups{};
  } else if (pattern != kThreeDigitsPattern) {
    ASSIGN_OR_RETURN(out.matcher, Regex::compile(pattern));
  }
  return out;
}

Result<PreTokenizer> PreTokenizer::from_json(const json::value& value) {
  Parsed parsed;
  RETURN_IF_ERROR(parse_into(value, parsed));
  return PreTokenizer(std::move(parsed.steps), parsed.byte_level);
}

}  // namespace vllm::text
