#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "bench/dataset.h"
#include "bench/random.h"

namespace vllm::bench {
namespace {

Result<double> ratio_of(double value) {
  if (value >= 0 && value < 1) return value;
  return invalid_argument("--random-range-ratio: {} is not in [0, 1)", value);
}

// Ids that a text may be made of.
std::vector<TokenId> plain_ids(const text::Tokenizer& tokenizer, const Vocabulary& vocabulary, int64_t size) {
  std::vector<TokenId> out;
  out.reserve(static_cast<size_t>(size));
  const std::vector<TokenId>& special = vocabulary.special_ids;
  for (TokenId id = 0; id < size; ++id) {
    bool is_special =
        vocabulary.size > 0 ? std::find(special.begin(), special.end(), id) != special.end() : tokenizer.is_special(id);
    if (!is_special) out.push_back(id);
  }
  return out;
}

// A text that encodes to `length` tokens, from one that decodes from `ids`: too long ones are cut, too short ones get
// random tokens, a few times. vLLM's client does the same, with the same draws.
Result<Sample> settle(std::vector<TokenId> ids, size_t length, const text::Tokenizer& tokenizer, int64_t vocab_size,
                      NumpyRng& rng) {
  Sample out;
  for (int tries_left = 10;; --tries_left) {
    out.text = tokenizer.decode(ids);
    ASSIGN_OR_RETURN(ids, tokenizer.encode(out.text, {.add_special_tokens = false}));
    if (ids.size() == length || tries_left <= 0) break;
    if (ids.size() > length) ids.resize(length);
    while (ids.size() < length) ids.push_back(static_cast<TokenId>(rng.integers(0, vocab_size)));
  }
  out.prompt_len = static_cast<int64_t>(ids.size());
  return out;
}

struct Lengths {
  std::vector<int64_t> input, output, offset;
};

}  // namespace

LengthRange length_range(int64_t length, double ratio, int64_t least) {
  auto share = [length](double factor) { return static_cast<double>(length) * factor; };
  return {std::max(least, static_cast<int64_t>(std::floor(share(1 - ratio)))),
          std::max(least, static_cast<int64_t>(std::ceil(share(1 + ratio))))};
}

Result<RangeRatio> parse_range_ratio(const std::string& text) {
  RangeRatio out;
  auto parsed = parse_json(text);
  if (parsed && parsed->is_object()) {
    auto input = get_double(parsed->get_object(), "input"), output = get_double(parsed->get_object(), "output");
    if (!input || !output) return invalid_argument("--random-range-ratio: expected the keys input and output");
    out = {*input, *output};
  } else {
    char* end = nullptr;
    out.input = out.output = std::strtod(text.c_str(), &end);
    if (text.empty() || *end) return invalid_argument("--random-range-ratio: '{}' is no number", text);
  }
  ASSIGN_OR_RETURN(out.input, ratio_of(out.input));
  ASSIGN_OR_RETURN(out.output, ratio_of(out.output));
  return out;
}

Result<std::vector<Sample>> random_samples(const DatasetArgs& args, PromptForm form, const text::Tokenizer* tokenizer,
                                           const Vocabulary& vocabulary) {
  ASSIGN_OR_RETURN(RangeRatio ratio, parse_range_ratio(args.random_range_ratio));
  int64_t num_special = 0;  // what the server's tokenizer will put in front of a text
  if (form == PromptForm::kText) {
    if (!tokenizer) return invalid_argument("random prompts as text need --tokenizer");
    ASSIGN_OR_RETURN(std::vector<TokenId> nothing, tokenizer->encode(""));
    num_special = static_cast<int64_t>(nothing.size());
  }
  const int64_t vocab_size = vocabulary.size > 0 ? vocabulary.size
                             : tokenizer         ? tokenizer->vocab_size()
                                                 : args.random_vocab_size;
  const std::vector<TokenId> allowed =
      form == PromptForm::kText ? plain_ids(*tokenizer, vocabulary, vocab_size) : std::vector<TokenId>{};
  if (form == PromptForm::kText && allowed.empty()) return invalid_argument("the tokenizer has special tokens only");

  const LengthRange input = length_range(std::max<int64_t>(0, args.random_input_len - num_special), ratio.input, 0);
  const LengthRange output = length_range(args.random_output_len, ratio.output, 1);
  if (args.random_prefix_len + input.low < 1)
    return invalid_argument("--random-input-len {} is too small: a prompt would have no token", args.random_input_len);
  if (args.num_prompts > (1 << 24) || (args.random_prefix_len + input.high) > (int64_t{1} << 32) / args.num_prompts)
    return invalid_argument("{} prompts of {} tokens are too many", args.num_prompts, input.high);

  NumpyRng rng(static_cast<uint64_t>(args.seed));
  const auto count = static_cast<size_t>(args.num_prompts);
  Lengths lengths;
  lengths.input = rng.integers(input.low, input.high + 1, count);
  lengths.output = rng.integers(output.low, output.high + 1, count);
  lengths.offset = rng.integers(0, vocab_size, count);

  const auto prefix_len = static_cast<size_t>(args.random_prefix_len);
  std::vector<TokenId> prefix(prefix_len);
  for (TokenId& id : prefix) {
    id = form == PromptForm::kIds ? static_cast<TokenId>(rng.integers(0, vocab_size))
                                  : allowed[static_cast<size_t>(rng.integers(0, static_cast<int64_t>(allowed.size())))];
  }
  if (form == PromptForm::kText && prefix_len > 0) {
    ASSIGN_OR_RETURN(Sample settled, settle(prefix, prefix_len, *tokenizer, vocab_size, rng));
    ASSIGN_OR_RETURN(prefix, tokenizer->encode(settled.text, {.add_special_tokens = false}));
  }

  std::vector<Sample> out;
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    std::vector<TokenId> ids = prefix;
    for (int64_t k = 0; k < lengths.input[i]; ++k) {
      const auto at = static_cast<size_t>(lengths.offset[i]) + i + static_cast<size_t>(k);
      ids.push_back(form == PromptForm::kIds ? static_cast<TokenId>(rng.integers(0, vocab_size))
                                             : allowed[at % allowed.size()]);
    }
    Sample sample;
    if (form == PromptForm::kIds) {
      sample.prompt_len = static_cast<int64_t>(ids.size());
      sample.ids = std::move(ids);
    } else {
      ASSIGN_OR_RETURN(sample, settle(std::move(ids), prefix_len + static_cast<size_t>(lengths.input[i]), *tokenizer,
                                      vocab_size, rng));
    }
    sample.output_len = lengths.output[i];
    out.push_back(std::move(sample));
  }
  return out;
}

}  // namespace vllm::bench
