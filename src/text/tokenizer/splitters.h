#pragma once
// Hand-written, linear-time forms of the split rules that most byte-level vocabularies were trained with. PCRE2 runs
// every other pattern and is the oracle of these in splitters_test.cc and in the fuzz target tokenizer_split.
#include <cstdint>
#include <string_view>
#include <vector>

namespace vllm::text {

inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// Cut well-formed text into adjacent words that cover it: their ends are appended to `ends`, each plus `base`.
using Splitter = void (*)(std::string_view text, uint32_t base, std::vector<uint32_t>& ends);
void split_gpt2(std::string_view text, uint32_t base, std::vector<uint32_t>& ends);
void split_llama3(std::string_view text, uint32_t base, std::vector<uint32_t>& ends);
void split_qwen2(std::string_view text, uint32_t base, std::vector<uint32_t>& ends);

struct KnownSplit {
  std::string_view name;     // as GGUF calls it, for logs
  std::string_view pattern;  // the exact text in tokenizer.json
  Splitter split;
};
/// The row with exactly this pattern; nullptr if the rule is not a known one.
const KnownSplit* find_known_split(std::string_view pattern);

}  // namespace vllm::text
