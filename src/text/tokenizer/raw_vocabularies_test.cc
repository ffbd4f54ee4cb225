// The readers of makers' own files on the small ones of the fuzz corpus, and which file of a folder is taken.
#include "text/tokenizer/raw_vocabularies.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/mapped_file.h"
#include "text/tokenizer/json_cut.h"

namespace vllm::text {
namespace {

namespace fs = std::filesystem;

std::string seed(std::string_view name) {
  auto bytes = read_file(fs::path("tests/fuzz/corpus/raw_vocabulary") / name);
  EXPECT_TRUE(bytes) << "run from the repository's root";
  return bytes->substr(1);  // the first byte names the reader
}

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / fmt::format("vllm-load-test-{}-{}", getpid(), count_++)) {
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }
  Folder& add(std::string_view name, std::string_view bytes) {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return *this;
  }
  std::string kind(TokenizerMode mode = TokenizerMode::kAuto) const {
    auto tokenizer = load_tokenizer(path_, mode);
    if (!tokenizer) return tokenizer.error().message;
    const std::string description = (*tokenizer)->description();
    return description.substr(0, description.find(','));
  }

 private:
  static inline int count_ = 0;
  fs::path path_;
};

constexpr std::string_view kJson = R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"decoder":{"type":"Fuse"}})";

TEST(LoadTokenizer, TakesTheFileThatVllmTakes) {
  Folder folder;
  EXPECT_NE(folder.kind().find("no tokenizer"), std::string::npos);
  EXPECT_EQ(load_tokenizer(folder.path()).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(load_tokenizer(folder.path(), TokenizerMode::kMistral).error().code, ErrorCode::kNotFound);
  folder.add("tekken.json", seed("tekken"));
  EXPECT_EQ(folder.kind(), "Tekken");
  folder.add("tokenizer.model.v3", seed("bpe"));
  EXPECT_EQ(folder.kind(), "Tekken");
  folder.add("tokenizer.model", seed("bpe"));
  EXPECT_EQ(folder.kind(), "SentencePiece BPE");
  EXPECT_EQ(folder.kind(TokenizerMode::kMistral), "Tekken");
  folder.add("tokenizer.json", kJson);
  EXPECT_EQ(folder.kind(), "BPE");
  EXPECT_EQ(folder.kind(TokenizerMode::kMistral), "Tekken");
  folder.add("consolidated.safetensors", "");
  EXPECT_EQ(folder.kind(), "Tekken");
  EXPECT_EQ(folder.kind(TokenizerMode::kHf), "BPE");
}

TEST(RawVocabularies, MistralLeavesControlTokensInTextsAlone) {
  for (const bool control : {false, true}) {
    auto parts = parse_sentencepiece(seed("bpe"), control);
    ASSERT_TRUE(parts) << parts.error().message;
    const auto tokenizer = *SubwordTokenizer::make(*std::move(parts));
    const auto ids = *tokenizer->encode("<s>", {.add_special_tokens = false});
    EXPECT_EQ(ids.size() == 1 && ids[0] == 1, control);
    EXPECT_EQ(tokenizer->decode(ids), "<s>");
    EXPECT_TRUE(tokenizer->is_special(1));
    EXPECT_EQ(tokenizer->token_to_id("<s>"), 1);
    EXPECT_EQ(tokenizer->bos_id(), 1);
    EXPECT_EQ(tokenizer->decode(*tokenizer->encode("ab é")), "ab é");  // bytes stand in for é
  }
}

TEST(RawVocabularies, UnigramTakesTheBestPath) {
  const auto tokenizer = *SubwordTokenizer::make(*parse_sentencepiece(seed("unigram"), false));
  // ▁ab (-1.5), ll (-2), o; a tab is no piece; <t> is user-defined.
  EXPECT_EQ(*tokenizer->encode("ab  llo<t>"), (std::vector<TokenId>{7, 3, 10, 11, 12}));
  EXPECT_EQ(*tokenizer->encode("zza"), (std::vector<TokenId>{3, 0, 4}));  // unknown ones are one
}

TEST(RawVocabularies, TekkenNumbersTokensAfterSpecials) {
  auto parts = parse_tekken(seed("tekken"));
  ASSERT_TRUE(parts) << parts.error().message;
  const auto tokenizer = *SubwordTokenizer::make(*std::move(parts));
  EXPECT_EQ(*tokenizer->encode("hell<s>"), (std::vector<TokenId>{1, 25 + 258, 25 + '<', 25 + 's', 25 + '>'}));
  EXPECT_EQ(*tokenizer->id_to_token(3), "[INST]");
  EXPECT_EQ(*tokenizer->id_to_token(24), "<SPECIAL_24>");
  EXPECT_EQ(tokenizer->decode({1, 25 + 258, 3}, true), "hell");
}

TEST(RawVocabularies, BadFilesGiveAReason) {
  EXPECT_NE(parse_tiktoken(seed("tiktoken")).error().message.find("Llama 3 128000"), std::string::npos);
  EXPECT_EQ(parse_tiktoken(seed("tiktoken")).error().code, ErrorCode::kUnimplemented);
  EXPECT_NE(parse_tiktoken(seed("tiktoken_bad")).error().message.find("line 2"), std::string::npos);
  EXPECT_FALSE(parse_tekken(seed("tekken_bad")));
  EXPECT_FALSE(parse_tekken("[]"));
  EXPECT_FALSE(parse_sentencepiece(seed("truncated"), true));
  EXPECT_FALSE(parse_sentencepiece("", true));
  EXPECT_FALSE(parse_sentencepiece("hello", true));
}

TEST(JsonCut, ReadsPlainFilesAndLeavesTheRestToTheLibrary) {
  const std::string_view text =
      R"({"a":[1,{"vocab":2}],"model":{"type":"BPE","vocab":{"x":0,"\u00e9\n\ud83d\ude00":1},"merges":["x y",["a b","c"]]},"z":"\"}"})";
  const auto cut = cut_tokenizer_json(text);
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->rest, R"({"a":[1,{"vocab":2}],"model":{"type":"BPE","vocab":{},"merges":[]},"z":"\"}"})");
  ASSERT_EQ(cut->vocab.size(), 2u);
  EXPECT_EQ(cut->vocab[1].text, "é\n😀");
  EXPECT_EQ(cut->vocab[1].id, 1);
  ASSERT_EQ(cut->merges.size(), 2u);
  EXPECT_EQ(cut->merges[0], (std::pair<std::string_view, std::string_view>("x", "y")));
  EXPECT_EQ(cut->merges[1], (std::pair<std::string_view, std::string_view>("a b", "c")));
  const std::string model = R"({"model":{"vocab":{"x":0},"merges":[]}})";
  EXPECT_TRUE(cut_tokenizer_json(model));
  for (const std::string_view bad :
       {R"({"model":{"vocab":{"x":-1},"merges":[]}})", R"({"model":{"vocab":{"x":1.5},"merges":[]}})",
        R"({"model":{"vocab":{"x":01},"merges":[]}})", R"({"model":{"vocab":{"x":"1"},"merges":[]}})",
        R"({"model":{"vocab":{"x":0,},"merges":[]}})", R"({"model":{"vocab":{"\ud800":0},"merges":[]}})",
        R"({"model":{"vocab":{},"merges":["xy"]}})", R"({"model":{"vocab":{},"merges":["x y z"]}})",
        R"({"model":{"vocab":{},"vocab":{},"merges":[]}})", R"({"model":{"vocab":{}}})", R"({"model":[]})", "[]", ""}) {
    EXPECT_FALSE(cut_tokenizer_json(bad)) << bad;
  }
  for (size_t size = 0; size < model.size(); ++size)
    EXPECT_FALSE(cut_tokenizer_json(model.substr(0, size)) && size + 1 < model.size()) << size;
}

}  // namespace
}  // namespace vllm::text
