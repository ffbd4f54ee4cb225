// tiktoken's text files.
#include <algorithm>
#include <charconv>

#include "text/tokenizer/base64.h"
#include "text/tokenizer/gguf_split_rules.h"
#include "text/tokenizer/raw_vocabularies.h"

namespace vllm::text {
namespace {

constexpr size_t kMaxTokens = 4'000'000;

// Calls add(text, id) for each special token, ids from `first` on.
class Specials {
 public:
  Specials(TokenizerParts& parts, TokenId first) : parts_(parts), next_(first) {}
  Specials& add(std::string text) {
    parts_.added.push_back({.content = std::move(text), .id = next_++, .special = true});
    return *this;
  }
  Specials& add(std::initializer_list<std::string_view> texts) {
    for (const std::string_view text : texts) add(std::string(text));
    return *this;
  }
  /// `count` tokens <|NAMEi|>, i from `start`.
  Specials& add_numbered(std::string_view name, int count, int start = 0) {
    for (int i = start; i < start + count; ++i) add(fmt::format("<|{}{}|>", name, i));
    return *this;
  }

 private:
  TokenizerParts& parts_;
  TokenId next_;
};

void add_llama3(TokenizerParts& parts) {
  Specials(parts, 128000)
      .add({"<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
            "<|finetune_right_pad_id|>", "<|step_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>",
            "<|eot_id|>", "<|python_tag|>", "<|image|>"})
      .add_numbered("reserved_special_token_", 256 - 12, 2);
  parts.bos = 128000;
  parts.eos = 128001;
  parts.post_processor.before = {128000};
}

void add_llama4(TokenizerParts& parts) {
  Specials(parts, 200000)
      .add({"<|begin_of_text|>", "<|end_of_text|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>",
            "<|header_start|>", "<|header_end|>", "<|eom|>", "<|eot|>", "<|step|>"})
      .add_numbered("text_post_train_reserved_special_token_", 6)
      .add({"<|python_start|>", "<|python_end|>", "<|finetune_right_pad|>"})
      .add_numbered("text_post_train_reserved_special_token_", 61, 8)
      .add({"<|image_start|>", "<|image_end|>"})
      .add_numbered("vision_reserved_special_token_", 2)
      .add({"<|tile_x_separator|>", "<|tile_y_separator|>"})
      .add_numbered("vision_reserved_special_token_", 4, 2)
      .add({"<|image|>", "<|vision_reserved_special_token_6|>", "<|patch|>"})
      .add_numbered("vision_reserved_special_token_", 1041, 7)
      .add_numbered("reasoning_reserved_special_token_", 8)
      .add({"<|reasoning_thinking_start|>", "<|reasoning_thinking_end|>"});
  const int known = static_cast<int>(parts.added.size());
  Specials(parts, 200000 + known).add_numbered("reserved_special_token_", 2048 - known);
  parts.bos = 200000;
  parts.eos = 200001;
  parts.post_processor.before = {200000};
}

void add_qwen(TokenizerParts& parts) {
  Specials(parts, 151643).add({"<|endoftext|>", "<|im_start|>", "<|im_end|>"}).add_numbered("extra_", 205);
  parts.eos = 151643;
  parts.normalizer = Normalizer({NormalizeForm::kNfc});
}

void add_qwen35(TokenizerParts& parts) {
  Specials(parts, 248044)
      .add({"<|endoftext|>",
            "<|im_start|>",
            "<|im_end|>",
            "<|object_ref_start|>",
            "<|object_ref_end|>",
            "<|box_start|>",
            "<|box_end|>",
            "<|quad_start|>",
            "<|quad_end|>",
            "<|vision_start|>",
            "<|vision_end|>",
            "<|vision_pad|>",
            "<|image_pad|>",
            "<|video_pad|>",
            "<tool_call>",
            "</tool_call>",
            "<|fim_prefix|>",
            "<|fim_middle|>",
            "<|fim_suffix|>",
            "<|fim_pad|>",
            "<|repo_name|>",
            "<|file_sep|>",
            "<tool_response>",
            "</tool_response>",
            "<think>",
            "</think>",
            "<|audio_start|>",
            "<|audio_end|>",
            "<tts_pad>",
            "<tts_text_bos>",
            "<tts_text_eod>",
            "<tts_text_bos_single>",
            "<|audio_pad|>"});
  parts.eos = 248044;
  parts.normalizer = Normalizer({NormalizeForm::kNfc});
}

void add_cl100k(TokenizerParts& parts) {
  Specials(parts, 100257).add({"<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"});
  Specials(parts, 100276).add("<|endofprompt|>");
  parts.eos = 100257;
}

// p50k_base leaves id 50256 to its one special token.
void add_p50k(TokenizerParts& parts) {
  Specials(parts, 50256).add("<|endoftext|>");
  parts.eos = 50256;
}

void add_o200k(TokenizerParts& parts) {
  Specials(parts, 199999).add("<|endoftext|>");
  Specials(parts, 200018).add("<|endofprompt|>");
  parts.eos = 199999;
}

// Its special tokens are in tokenizer_config.json.
void add_kimi(TokenizerParts&) {}

struct Family {
  size_t num_tokens;
  std::string_view name;
  std::string_view pattern;  // empty: the GGUF rule of that name
  void (*add_specials)(TokenizerParts& parts);
};
constexpr Family kFamilies[] = {
    {128000, "Llama 3", kLlama3Pattern, add_llama3},     {200000, "Llama 4", kO200kPattern, add_llama4},
    {151643, "Qwen", kQwen2Pattern, add_qwen},           {248044, "Qwen 3.5", kQwen35Pattern, add_qwen35},
    {100256, "cl100k_base", kCl100kPattern, add_cl100k}, {50280, "p50k_base", kGpt2Pattern, add_p50k},
    {199998, "o200k_base", kO200kPattern, add_o200k},    {163584, "Kimi K2", "", add_kimi},
};

// "aGk= 17\n" -> {"hi", 17}. Moves `rest` past the line.
Status read_line(std::string_view& rest, size_t line, std::string& bytes, size_t& rank) {
  const size_t end = std::min(rest.find('\n'), rest.size());
  std::string_view text = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (text.empty()) {
    bytes.clear();
    return Status::ok();
  }
  const size_t blank = std::min(text.find(' '), text.size());
  const std::string_view number = text.substr(std::min(blank + 1, text.size()));
  const auto [stop, code] = std::from_chars(number.data(), number.data() + number.size(), rank);
  if (!from_base64(text.substr(0, blank), bytes) || bytes.empty() || code != std::errc() ||
      stop != number.data() + number.size()) {
    return invalid_argument("line {} is not of the form \"base64 rank\"", line);
  }
  return Status::ok();
}

}  // namespace

bool looks_like_tiktoken(std::string_view text) {
  std::string bytes;
  size_t rank = 1;
  return read_line(text, 1, bytes, rank) && !bytes.empty() && rank == 0;
}

Result<TokenizerParts> parse_tiktoken(std::string_view text) {
  std::vector<std::pair<size_t, std::string>> ranked;
  std::string bytes;
  for (size_t line = 1; !text.empty(); ++line) {
    size_t rank = 0;
    RETURN_IF_ERROR(read_line(text, line, bytes, rank));
    if (bytes.empty()) continue;
    if (ranked.size() == kMaxTokens) return invalid_argument("more than {} tokens", kMaxTokens);
    ranked.emplace_back(rank, bytes);
  }
  const auto family = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                                   [&](const Family& f) { return f.num_tokens == ranked.size(); });
  if (family == std::end(kFamilies)) {
    std::string known;
    for (const Family& f : kFamilies) known += fmt::format("{}{} {}", known.empty() ? "" : ", ", f.name, f.num_tokens);
    return error(ErrorCode::kUnimplemented,
                 "a tiktoken vocabulary of {} tokens belongs to no known family, so its split rule is not known ({})",
                 ranked.size(), known);
  }
  // Ranks may leave holes, which a special token then fills (p50k_base).
  std::vector<std::string> tokens;
  tokens.reserve(ranked.size());
  std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [rank, token] : ranked) {
    if (rank < tokens.size()) return invalid_argument("rank {} is used twice", rank);
    if (rank > ranked.size() + 16) return invalid_argument("rank {} is out of range", rank);
    tokens.resize(rank);
    tokens.push_back(std::move(token));
  }
  std::string pattern(family->pattern);
  ASSIGN_OR_RETURN(TokenizerParts parts, make_ranked_bpe(tokens, 0, pattern.empty() ? kO200kPattern : pattern));
  if (pattern.empty()) {
    ASSIGN_OR_RETURN(GgufSplitRule rule, gguf_split_rule("kimi-k2"));
    parts.pre_tokenizer = std::move(rule.pre_tokenizer);
  }
  parts.kind = fmt::format("tiktoken {}", family->name);
  family->add_specials(parts);
  return parts;
}

}  // namespace vllm::text
