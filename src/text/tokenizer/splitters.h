#pragma once
// Hand-written, linear-time forms of the split rules that byte-level vocabularies were trained with, a row each. PCRE2
// runs every other pattern and is the oracle of these in splitters_test.cc and in the fuzz target tokenizer_split.
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace vllm::text {

inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
/// tiktoken's cl100k_base: as Llama 3's, but blanks at the end of the text are one word whatever newlines they hold.
inline constexpr std::string_view kCl100kPattern =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s)";
inline constexpr std::string_view kQwen35Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kO200kPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kTekkenPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
/// DeepSeek V3's three patterns, to be applied one after the other; together they are the rule "deepseek-v3".
inline constexpr std::string_view kDeepseek3Numbers = R"(\p{N}{1,3})";
inline constexpr std::string_view kDeepseek3Cjk = R"([一-龥぀-ゟ゠-ヿ]+)";
inline constexpr std::string_view kDeepseek3Words =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)"
    R"( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// Falcon's four steps, by names that are not all patterns: the third looks at bytes in ByteLevel's spelling.
inline constexpr std::string_view kPunctuationRuns = R"([!-/:-@\[-`{-~\p{P}]+)";
inline constexpr std::string_view kNumericByteRuns = "*numeric bytes*";  // no regular expression
inline constexpr std::string_view kThreeDigitsPattern = "[0-9][0-9][0-9]";
inline constexpr std::string_view kNewlinePattern = R"([\r\n])";

/// Cut well-formed text into adjacent words that cover it. Writes the ends of the next words from `pos` on, as many as
/// `ends` holds; returns how many (fewer only at the end of the text).
using Splitter = size_t (*)(std::string_view text, size_t pos, std::span<uint32_t> ends);

// Rules with a file of their own.
size_t split_deepseek3(std::string_view text, size_t pos, std::span<uint32_t> ends);
size_t split_deepseek_coder(std::string_view text, size_t pos, std::span<uint32_t> ends);
template <bool SingleDigits>
size_t split_deepseek_llm(std::string_view text, size_t pos, std::span<uint32_t> ends);
size_t split_falcon(std::string_view text, size_t pos, std::span<uint32_t> ends);
/// A digit in the spelling of ByteLevel: ASCII digits and the bytes spelled ¹ ² ³ ¼ ½ ¾.
bool is_numeric_byte(unsigned char byte);

struct KnownSplit {
  std::string_view name;         // as GGUF calls it, for logs
  std::string_view patterns[6];  // the exact texts in tokenizer.json, applied one after the other; the unused are empty
  Splitter split;
  /// All ends at once, each plus `base`.
  void split_all(std::string_view text, uint32_t base, std::vector<uint32_t>& ends) const;
};
std::span<const KnownSplit> known_splits();
/// The row with exactly this pattern; nullptr if the rule is not a known one.
const KnownSplit* find_known_split(std::string_view pattern);
/// The row for these patterns applied one after the other ("\p{N}" first stands for single digits).
const KnownSplit* find_known_split(std::span<const std::string_view> patterns);

}  // namespace vllm::text
