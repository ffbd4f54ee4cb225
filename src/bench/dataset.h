#pragma once
// Prompts to send: synthetic ones, or those of a file.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/args.h"
#include "text/tokenizer.h"

namespace vllm::bench {

/// One request: a text, or token ids.
struct Sample {
  std::string text;
  std::vector<TokenId> ids;  // used if not empty
  int64_t prompt_len = 0;    // tokens
  int64_t output_len = 0;    // tokens, >= 1
};

struct LengthRange {
  int64_t low = 0, high = 0;  // both included
};
/// The lengths that vLLM draws from: [floor(len * (1 - ratio)), ceil(len * (1 + ratio))].
LengthRange length_range(int64_t length, double ratio, int64_t least);

struct RangeRatio {
  double input = 0, output = 0;
};
/// "0.3" or '{"input": 0.3, "output": 0.5}'; each in [0, 1).
Result<RangeRatio> parse_range_ratio(const std::string& text);

enum class PromptForm { kText, kIds };

/// What transformers, and so vLLM's client, takes for a tokenizer's vocabulary.
struct Vocabulary {
  int64_t size = 0;                  // without added tokens; 0: not known, then all that the tokenizer has
  std::vector<TokenId> special_ids;  // that random text leaves out; without a size: those that are marked as special
};

/// Prompts of --dataset-name random: lengths and offsets as vLLM's client draws them for the same seed and vocabulary
/// size. kText: runs of neighbouring ids but special ones, decoded, and cut so that they encode to the wanted length
/// again; needs `tokenizer`. kIds: every id drawn by itself below the vocabulary size (of `tokenizer`, else
/// --random-vocab-size), so that no two prompts share a prefix but the one that --random-prefix-len asks for.
Result<std::vector<Sample>> random_samples(const DatasetArgs& args, PromptForm form, const text::Tokenizer* tokenizer,
                                           const Vocabulary& vocabulary = {});

/// Prompts of --dataset-name sharegpt or custom, shuffled as vLLM's client does. `tokenizer` may be null for custom.
Result<std::vector<Sample>> file_samples(const DatasetArgs& args, const text::Tokenizer* tokenizer);

/// The data set that the flags name; resolves --input-len and --output-len.
Result<std::vector<Sample>> make_samples(DatasetArgs args, PromptForm form, const text::Tokenizer* tokenizer,
                                         const Vocabulary& vocabulary = {});

struct PromptTokenizer {
  std::shared_ptr<const text::Tokenizer> tokenizer;
  Vocabulary vocabulary;
};
/// A tokenizer from a folder, a .gguf file or a hub id.
Result<PromptTokenizer> find_tokenizer(const std::string& name, const std::string& hf_token);

}  // namespace vllm::bench
