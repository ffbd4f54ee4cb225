#include "text/tokenizer/gguf_split_rules.h"

#include <algorithm>

#include "text/tokenizer/deepseek_patterns.h"

namespace vllm::text {
namespace {

// Patterns as the families' tokenizer.json files have them.
// GPT-4o's with single digits.
constexpr std::string_view kYoutuWords =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kYoutuScripts =
    R"([\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+|[\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B})"
    R"(\x{FF0C}\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]+|[\x{3105}-\x{312F}]+|[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)";
// Kimi K2: GPT-4o's words without Chinese characters, which are runs of their own.
constexpr std::string_view kKimi =
    R"([\p{Han}]+|)"
    R"([^\r\n\p{L}\p{N}]?(?:(?!\p{Han})[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])*(?:(?!\p{Han})[\p{Ll}\p{Lm}\p{Lo}\p{M}])+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?(?:(?!\p{Han})[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])+(?:(?!\p{Han})[\p{Ll}\p{Lm}\p{Lo}\p{M}])*)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kBailing =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr std::string_view kSeedCoder =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kNoContractions =
    R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kExaoneMoe =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr std::string_view kMiniCpm5 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kJais2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|)"
    R"(\s{1,2}(?!\S)|\s{1})";
constexpr std::string_view kSparkWords =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)"
    R"( ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+)";
// What BLOOM's class of "no blank, no bracket, bar or stop" says.
constexpr std::string_view kBloom = R"( ?[^\s(|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)";
enum class Base { kPatterns, kGpt2, kDigitsGpt2, kFalcon, kGroups };

struct Row {
  std::string_view names;  // blank-separated
  Base base = Base::kPatterns;
  std::string_view patterns[6] = {};  // applied one after the other
  bool digits = false;                // then single digits
  bool nfc = false, ignore_merges = false, add_bos = false;
};

constexpr Row kRows[] = {
    {.names = "gpt-2 mpt olmo jais phi-2 roberta-bpe exaone4 trillion granite-docling gigachat a.x-4.0 mellum "
              "modern-bert jina-es jina-de jina-v1-en jina-v2-es jina-v2-de jina-v2-code",
     .base = Base::kGpt2},
    {.names = "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2", .base = Base::kDigitsGpt2},
    {.names = "falcon", .base = Base::kFalcon},
    {.names = "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
     .patterns = {kLlama3Pattern},
     .ignore_merges = true,
     .add_bos = true},
    {.names = "dbrx smaug-bpe chatglm-bpe", .patterns = {kLlama3Pattern}},
    {.names = "glm4 glm5", .patterns = {kLlama3Pattern}, .ignore_merges = true},
    {.names = "minicpm5", .patterns = {kDeepseek3Numbers, kMiniCpm5}, .ignore_merges = true},
    {.names = "jais-2", .patterns = {kJais2}},
    {.names = "qwen2 deepseek-r1-qwen megrez kormo f2llmv2", .patterns = {kQwen2Pattern}, .nfc = true},
    {.names = "stablelm2 hunyuan grok-2 solar-open", .patterns = {kQwen2Pattern}},
    {.names = "laguna", .patterns = {R"([^\n]+|[\n]+)", kQwen2Pattern}},
    {.names = "ufakzeka", .patterns = {kNoContractions}},
    {.names = "seed-coder", .patterns = {kSeedCoder}},
    {.names = "bailingmoe bailingmoe2 llada-moe", .patterns = {kBailing}},
    {.names = "exaone-moe", .patterns = {kExaoneMoe}},
    {.names = "qwen35", .patterns = {kQwen35Pattern}},
    {.names = "tekken", .patterns = {kTekkenPattern}, .ignore_merges = true, .add_bos = true},
    {.names = "gpt-4o llama4 kanana2 talkie minimax-m2", .patterns = {kO200kPattern}},
    {.names = "granite-embed-multi-97m", .patterns = {kO200kPattern}, .ignore_merges = true},
    {.names = "tiny_aya cohere2moe", .base = Base::kGroups, .patterns = {kO200kPattern}},
    {.names = "kimi-k2", .patterns = {kKimi}},
    {.names = "youtu", .patterns = {kYoutuScripts, kYoutuWords}, .ignore_merges = true},
    {.names = "deepseek-v3 hunyuan-dense joyai-llm hy_v4",
     .patterns = {kDeepseek3Numbers, kDeepseek3Cjk, kDeepseek3Words}},
    {.names = "spark2_5", .patterns = {kDeepseek3Numbers, kDeepseek3Cjk, kSparkWords}, .digits = true},
    {.names = "poro-chat bloom gpt3-finnish", .patterns = {kBloom}},
    {.names = "viking", .patterns = {kBloom}, .digits = true},
    {.names = "deepseek-coder",
     .patterns = {kNewlinePattern, R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDeepseekCjk},
     .digits = true},
    {.names = "deepseek-llm",
     .patterns = {kNewlinePattern, kDeepseekLetters, kDeepseekPunctuation, R"(\s+$)", kDeepseekCjk, R"(\p{N}+)"}},
};

bool lists(std::string_view names, std::string_view name) {
  for (size_t at = 0; (at = names.find(name, at)) != std::string_view::npos; ++at) {
    const size_t end = at + name.size();
    if ((at == 0 || names[at - 1] == ' ') && (end == names.size() || names[end] == ' ')) return true;
  }
  return false;
}

}  // namespace

Result<GgufSplitRule> gguf_split_rule(std::string_view pre) {
  const bool plain = !pre.empty() && pre.find(' ') == std::string_view::npos;
  const auto row =
      std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) { return plain && lists(r.names, pre); });
  if (row == std::end(kRows)) {
    std::string known;
    for (const Row& r : kRows) known += (known.empty() ? "" : " ") + std::string(r.names);
    return error(ErrorCode::kUnimplemented,
                 "pre-tokenizer \"{:.60}\" (tokenizer.ggml.pre) is not supported (known: {})", pre, known);
  }
  std::vector<PreTokenizeStep> steps;
  if (row->base == Base::kGroups) steps.emplace_back(SplitStep{.matcher = DigitGroups{}});
  for (const std::string_view pattern : row->patterns) {
    if (pattern.empty()) break;
    ASSIGN_OR_RETURN(SplitStep split, make_split(pattern));
    steps.emplace_back(std::move(split));
  }
  if (row->base == Base::kDigitsGpt2 || row->digits) steps.emplace_back(SplitStep{.matcher = CharRule::kNumeric});
  if (row->base == Base::kFalcon)
    steps.emplace_back(SplitStep{.matcher = CharRule::kPunctuation, .behavior = SplitBehavior::kContiguous});
  if (row->base == Base::kGpt2 || row->base == Base::kDigitsGpt2 || row->base == Base::kFalcon) {
    ASSIGN_OR_RETURN(SplitStep split, make_split(kGpt2Pattern));
    steps.emplace_back(std::move(split));
  }
  if (row->base == Base::kFalcon) {
    steps.emplace_back(SplitStep{.matcher = CharRule::kNumericByte, .behavior = SplitBehavior::kContiguous});
    steps.emplace_back(SplitStep{.matcher = ThreeDigits{}});
  }
  GgufSplitRule out;
  out.pre_tokenizer = PreTokenizer(std::move(steps), true);
  out.nfc = row->nfc;
  out.ignore_merges = row->ignore_merges;
  out.add_bos = row->add_bos;
  return out;
}

}  // namespace vllm::text
