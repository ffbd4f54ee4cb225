#include <gtest/gtest.h>

#include "hub/testing/files.h"
#include "text/tokenizer/testing/vectors.h"

namespace vllm::text {
namespace {

// A small sound tokenizer.json whose members can be replaced one by one.
struct Json {
  std::string model = R"({"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"c":3},"merges":["a b"]})";
  std::string added = R"([{"id":4,"content":"<s>","special":true},{"id":5,"content":"</s>","special":true}])";
  std::string normalizer = "null", pre_tokenizer = "null", post_processor = "null";
  std::string decoder = R"({"type":"ByteLevel"})";
  std::string config;

  std::string text() const {
    return fmt::format(
        R"({{"version":"1.0","added_tokens":{},"normalizer":{},"pre_tokenizer":{},"post_processor":{},"decoder":{},"model":{}}})",
        added, normalizer, pre_tokenizer, post_processor, decoder, model);
  }
  Result<std::shared_ptr<const Tokenizer>> load() const { return parse_tokenizer_json(text(), config); }
};

std::vector<TokenId> encode(const Json& json, std::string_view text) {
  auto tokenizer = json.load();
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  return *(*tokenizer)->encode(text);
}

TEST(TokenizerJson, ReadsASmallOne) {
  EXPECT_EQ(encode({}, "abcab<s>b"), (std::vector<TokenId>{2, 3, 2, 4, 1}));
  auto tokenizer = *Json().load();
  EXPECT_EQ(tokenizer->vocab_size(), 6);
  EXPECT_EQ(tokenizer->token_to_id("ab"), 2);
  EXPECT_EQ(tokenizer->token_to_id("abc"), std::nullopt);
  EXPECT_EQ(tokenizer->id_to_token(4), "<s>");
  for (const TokenId id : {-1, 6, 1 << 30}) {
    EXPECT_EQ(tokenizer->id_to_token(id), std::nullopt);
    EXPECT_EQ(tokenizer->token_bytes(id), "");
    EXPECT_FALSE(tokenizer->is_special(id));
  }
  EXPECT_EQ(tokenizer->decode({-5, 2, 99, 4}, true), "ab");
}

TEST(TokenizerJson, MergesArePairsOrLines) {
  EXPECT_EQ(encode({.model = R"({"vocab":{"a":0,"b":1,"ab":2,"c":3},"merges":[["a","b"]]})"}, "ab"),
            (std::vector<TokenId>{2}));
}

TEST(TokenizerJson, RefusesByNameWhatItDoesNotKnow) {
  const std::pair<Json, std::string> cases[] = {
      {{.model = R"({"type":"WordLevel","vocab":{}})"}, "WordLevel"},
      {{.model = R"({"type":"BPE","end_of_word_suffix":"</w>","vocab":{},"merges":[]})"}, "end_of_word_suffix"},
      {{.normalizer = R"({"type":"Nmt"})"}, "Nmt"},
      {{.pre_tokenizer = R"({"type":"UnicodeScripts"})"}, "UnicodeScripts"},
      {{.pre_tokenizer = R"({"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Punctuation"}]})"},
       "Punctuation after ByteLevel"},
      {{.post_processor = R"({"type":"Strange"})"}, "Strange"},
      {{.decoder = R"({"type":"CTC"})"}, "CTC"},
      {{.decoder = "null"}, "decoder"},
  };
  for (const auto& [json, name] : cases) {
    auto tokenizer = json.load();
    ASSERT_FALSE(tokenizer) << name;
    EXPECT_EQ(tokenizer.error().code, ErrorCode::kUnimplemented) << tokenizer.error().message;
    EXPECT_NE(tokenizer.error().message.find(name), std::string::npos) << tokenizer.error().message;
  }
}

TEST(TokenizerJson, HostileFilesGiveAReason) {
  std::string deep = "null";
  for (int i = 0; i < 5000; ++i) deep = R"({"type":"Sequence","normalizers":[)" + deep + "]}";
  std::string many = "[";
  for (int i = 0; i < 1000; ++i) many += R"({"type":"Lowercase"},)";
  many.back() = ']';
  const Json cases[] = {
      {.model = "null"},
      {.model = "[]"},
      {.model = R"({"type":"BPE"})"},
      {.model = R"({"type":"BPE","vocab":[],"merges":[]})"},
      {.model = R"({"type":"BPE","vocab":{"a":-1},"merges":[]})"},
      {.model = R"({"type":"BPE","vocab":{"a":2147483647},"merges":[]})"},
      {.model = R"({"type":"BPE","vocab":{"a":99999999999999},"merges":[]})"},
      {.model = R"({"type":"BPE","vocab":{"a":18446744073709551615},"merges":[]})"},
      {.model = R"({"type":"BPE","vocab":{"a":"0"},"merges":[]})"},
      {.model = R"({"type":"BPE","vocab":{"a":1.5},"merges":[]})"},
      {.model = R"({"type":"BPE","vocab":{"a":0,"b":0},"merges":[]})"},
      {.model = R"({"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]})"},
      {.model = R"({"type":"BPE","vocab":{"a":0},"merges":["a"]})"},
      {.model = R"({"type":"BPE","vocab":{"a":0},"merges":["a b c"]})"},
      {.model = R"({"type":"BPE","vocab":{"a":0},"merges":[["a"]]})"},
      {.model = R"({"type":"BPE","vocab":{"a":0},"merges":[[1,2]]})"},
      {.model = R"({"type":"BPE","vocab":{"a":0},"merges":{}})"},
      {.model = R"({"type":"BPE","unk_token":"?","vocab":{"a":0},"merges":[]})"},
      {.added = "{}"},
      {.added = "[1]"},
      {.added = R"([{"content":"x"}])"},
      {.added = R"([{"id":-3,"content":"x"}])"},
      {.added = R"([{"id":2000000000,"content":"x"}])"},
      {.added = R"([{"id":7,"content":5}])"},
      {.added = R"([{"id":7,"content":")" + std::string(5000, 'x') + R"("}])"},
      {.normalizer = "7"},
      {.normalizer = R"({"type":"Replace","pattern":{"String":""},"content":"x"})"},
      {.normalizer = R"({"type":"Replace","pattern":{"Regex":"("},"content":"x"})"},
      {.normalizer = R"({"type":"Sequence","normalizers":)" + many + "}"},
      {.normalizer = deep},
      {.pre_tokenizer = R"({"type":"Split"})"},
      {.pre_tokenizer = R"({"type":"Split","pattern":{"Regex":"[a"},"behavior":"Isolated"})"},
      {.pre_tokenizer = R"({"type":"Split","pattern":{"String":"a"},"behavior":"Sideways"})"},
      {.pre_tokenizer = R"({"type":"Metaspace","replacement":"ab"})"},
      {.post_processor = R"({"type":"TemplateProcessing","single":[],"special_tokens":{}})"},
      {.post_processor =
           R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}},{"Sequence":{"id":"A"}}],"special_tokens":{"x":{"ids":[77]}}})"},
      {.post_processor = R"({"type":"RobertaProcessing","cls":["<s>",-4],"sep":["</s>",5]})"},
      {.decoder = "[]"},
      {.decoder = R"({"type":"Sequence"})"},
      {.config = "[]"},
      {.config = "{"},
      {.config = R"({"added_tokens_decoder":{"x":{"content":"y"}}})"},
      {.config = R"({"added_tokens_decoder":{"3000000000":{"content":"y"}}})"},
  };
  for (const Json& json : cases) {
    auto tokenizer = json.load();
    ASSERT_FALSE(tokenizer) << json.text().substr(0, 300) << json.config;
    EXPECT_EQ(tokenizer.error().code, ErrorCode::kInvalidArgument) << tokenizer.error().message;
    EXPECT_GT(tokenizer.error().message.size(), 20u);
  }
  EXPECT_FALSE(parse_tokenizer_json("", ""));
  EXPECT_FALSE(parse_tokenizer_json("[]", ""));
}

TEST(TokenizerJson, ATextThatGrowsAbsurdlyIsRefused) {
  std::string steps;
  for (int i = 0; i < 60; ++i) steps += R"({"type":"Replace","pattern":{"String":"a"},"content":"aa"},)";
  steps.pop_back();
  auto tokenizer = Json{.normalizer = R"({"type":"Sequence","normalizers":[)" + steps + "]}"}.load();
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ((*tokenizer)->encode("aaaa").error().code, ErrorCode::kInvalidArgument);
}

TEST(TokenizerJson, AddedTokensWithOddIdsFollowTheModel) {
  // A text that the model knows keeps the model's id; an id that is taken is replaced by a fresh one.
  Json json{.added = R"([{"id":9,"content":"ab"},{"id":1,"content":"<x>"}])"};
  EXPECT_EQ(encode(json, "ab"), (std::vector<TokenId>{2}));
  EXPECT_EQ(encode(json, "<x>b"), (std::vector<TokenId>{10, 1}));
}

TEST(TokenizerConfig, NamesBosAndEosInEitherForm) {
  auto tokenizer =
      *Json{.config = R"({"bos_token":"<s>","eos_token":{"content":"</s>","special":true},"pad_token":"nowhere"})"}
           .load();
  EXPECT_EQ(tokenizer->bos_id(), 4);
  EXPECT_EQ(tokenizer->eos_id(), 5);
  EXPECT_EQ((*Json{.config = R"({"bos_token":null})"}.load())->bos_id(), std::nullopt);
}

TEST(TokenizerConfig, AddsBosAndEosUnlessATemplateDecides) {
  const std::string config = R"({"bos_token":"<s>","eos_token":"</s>","add_bos_token":true,"add_eos_token":true})";
  EXPECT_EQ(encode({.config = config}, "a"), (std::vector<TokenId>{4, 0, 5}));
  EXPECT_EQ(encode({.post_processor = R"({"type":"ByteLevel"})", .config = config}, "a"),
            (std::vector<TokenId>{4, 0, 5}));
  const std::string only_eos =
      R"({"type":"TemplateProcessing","single":[{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"e"}}],"special_tokens":{"e":{"ids":[5]}}})";
  EXPECT_EQ(encode({.post_processor = only_eos, .config = config}, "a"), (std::vector<TokenId>{0, 5}));
}

TEST(TokenizerConfig, AddsTokensThatTheVocabularyFileLacks) {
  const Json json{
      .config =
          R"({"eos_token":"c","added_tokens_decoder":{"4":{"content":"<s>","special":false},"6":{"content":"<new>","special":true}}})"};
  auto tokenizer = *json.load();
  EXPECT_EQ(*tokenizer->encode("a<new>"), (std::vector<TokenId>{0, 6}));
  EXPECT_TRUE(tokenizer->is_special(6));
  EXPECT_TRUE(tokenizer->is_special(4));  // tokenizer.json wins
  EXPECT_TRUE(tokenizer->is_special(3));  // named as a special token
}

TEST(LoadTokenizer, SaysWhatIsMissing) {
  vllm::testing::TempFolder folder;
  EXPECT_EQ(load_tokenizer(folder.path()).error().code, ErrorCode::kNotFound);
  vllm::testing::write_file(folder / "tokenizer.json", Json().text());
  EXPECT_TRUE(load_tokenizer(folder.path()));
  vllm::testing::write_file(folder / "tokenizer_config.json", "{");
  EXPECT_NE(load_tokenizer(folder.path()).error().message.find("tokenizer_config.json"), std::string::npos);
}

}  // namespace
}  // namespace vllm::text
