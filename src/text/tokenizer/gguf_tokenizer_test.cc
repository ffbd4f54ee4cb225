#include <gtest/gtest.h>

#include "hub/gguf.h"
#include "hub/testing/gguf_writer.h"
#include "text/tokenizer/gguf_split_rules.h"
#include "text/tokenizer/testing/vectors.h"

namespace vllm::text {
namespace {

using vllm::testing::GgufWriter;

constexpr uint32_t kString = 8, kUint32 = 4, kInt32 = 5, kFloat32 = 6, kBool = 7;

std::string strings(const std::vector<std::string>& values) {
  std::string out;
  for (const std::string& value : values) out += GgufWriter::text(value);
  return out;
}
template <typename T>
std::string numbers(const std::vector<T>& values) {
  std::string out;
  for (const T value : values) out += GgufWriter::raw(value);
  return out;
}

Result<std::shared_ptr<const Tokenizer>> load(const GgufWriter& writer) {
  const std::string bytes = writer.build();
  auto file = GgufFile::parse(std::as_bytes(std::span(bytes)));
  EXPECT_TRUE(file) << file.error().message;
  return load_gguf_tokenizer(*file);
}

// A byte-level vocabulary: "a", "b", "ab", "Ġ", "Ġab", a control and a user-defined token, and padding.
GgufWriter byte_level(std::string_view pre, const std::vector<std::string>& merges = {"a b", "Ġ ab"}) {
  const std::vector<std::string> tokens = {"a", "b", "ab", "Ġ", "Ġab", "<|end|>", "<tool>", "[PAD7]"};
  GgufWriter out;
  out.key("tokenizer.ggml.model", kString, GgufWriter::text("gpt2"));
  out.key("tokenizer.ggml.pre", kString, GgufWriter::text(pre));
  out.array("tokenizer.ggml.tokens", kString, tokens.size(), strings(tokens));
  out.array("tokenizer.ggml.token_type", kInt32, 8, numbers<int32_t>({1, 1, 1, 1, 1, 3, 4, 5}));
  out.array("tokenizer.ggml.merges", kString, merges.size(), strings(merges));
  out.key("tokenizer.ggml.bos_token_id", kUint32, GgufWriter::raw<uint32_t>(5));
  out.key("tokenizer.ggml.eos_token_id", kUint32, GgufWriter::raw<uint32_t>(5));
  return out;
}

TEST(GgufTokenizer, SentencePieceAgreesWithHuggingFace) {
  auto file = GgufFile::open(testing::kGoldens / "llama2" / "vocab.gguf");
  ASSERT_TRUE(file) << file.error().message;
  auto tokenizer = load_gguf_tokenizer(*file);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  const auto corpus = testing::read_corpus(testing::read_json(testing::kGoldens / "corpus.json"));
  const auto report =
      testing::check_vectors(*tokenizer, corpus, testing::read_json(testing::kGoldens / "llama2" / "expected.json"));
  EXPECT_EQ(report.texts_wrong, 0) << report.first_difference;
  EXPECT_EQ(report.decodes_wrong, 0) << report.first_difference;
  EXPECT_EQ(report.streams_wrong, 0) << report.first_difference;
  EXPECT_EQ((*tokenizer)->bos_id(), 1);
  EXPECT_EQ((*tokenizer)->eos_id(), 2);
}

TEST(GgufTokenizer, ReadsByteLevel) {
  auto tokenizer = load(byte_level("gpt-2"));
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  const Tokenizer& t = **tokenizer;
  EXPECT_EQ(*t.encode("ab ab<|end|>a<tool>"), (std::vector<TokenId>{2, 4, 5, 0, 6}));
  EXPECT_EQ(t.decode({2, 4, 5, 0, 6}), "ab ab<|end|>a<tool>");
  EXPECT_EQ(t.decode({2, 4, 5, 0, 6}, true), "ab aba<tool>");
  EXPECT_TRUE(t.is_special(5));
  EXPECT_FALSE(t.is_special(6));
  EXPECT_FALSE(t.id_to_token(7));  // padding is no token
  EXPECT_EQ(t.bos_id(), 5);
  EXPECT_EQ(t.description(), "BPE, byte level, split rule gpt-2, 7 tokens");
}

TEST(GgufTokenizer, AddsBosWhereTheFamilyOrTheFileSaysSo) {
  EXPECT_EQ(*(*load(byte_level("llama-bpe")))->encode("a"), (std::vector<TokenId>{5, 0}));
  EXPECT_EQ(*(*load(byte_level("llama-bpe")))->encode("a", {.add_special_tokens = false}), (std::vector<TokenId>{0}));
  auto no = byte_level("llama-bpe").key("tokenizer.ggml.add_bos_token", kBool, std::string(1, '\0'));
  EXPECT_EQ(*(*load(no))->encode("a"), (std::vector<TokenId>{0}));
  auto both = byte_level("qwen2")
                  .key("tokenizer.ggml.add_bos_token", kBool, "\1")
                  .key("tokenizer.ggml.add_eos_token", kBool, "\1");
  EXPECT_EQ(*(*load(both))->encode("a"), (std::vector<TokenId>{5, 0, 5}));
}

TEST(GgufTokenizer, MergesSentencePieceByScoreLeftmostFirst) {
  const std::vector<std::string> tokens = {"<unk>", "a", "b", "aa", "ab", "aab", "<0xC3>", "<0xA9>"};
  GgufWriter writer;
  writer.key("tokenizer.ggml.model", kString, GgufWriter::text("llama"));
  writer.array("tokenizer.ggml.tokens", kString, tokens.size(), strings(tokens));
  writer.array("tokenizer.ggml.scores", kFloat32, tokens.size(), numbers<float>({0, -9, -9, -2, -1, -3, 0, 0}));
  writer.array("tokenizer.ggml.token_type", kInt32, tokens.size(), numbers<int32_t>({2, 1, 1, 1, 1, 1, 6, 6}));
  writer.key("tokenizer.ggml.add_space_prefix", kBool, std::string(1, '\0'));
  writer.key("tokenizer.ggml.unknown_token_id", kUint32, GgufWriter::raw<uint32_t>(0));
  auto tokenizer = load(writer);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_EQ(*(*tokenizer)->encode("aaa"), (std::vector<TokenId>{3, 1}));  // leftmost
  EXPECT_EQ(*(*tokenizer)->encode("aab"), (std::vector<TokenId>{5}));     // "ab" first, then a + ab
  EXPECT_EQ(*(*tokenizer)->encode("é!?a"),
            (std::vector<TokenId>{6, 7, 0, 1}));  // bytes; one unknown for two characters
  EXPECT_EQ((*tokenizer)->decode({6, 7, 1}), "éa");
}

TEST(GgufTokenizer, RefusesWhatItCannotRead) {
  EXPECT_EQ(load(byte_level("afmoe")).error().code, ErrorCode::kUnimplemented);
  EXPECT_NE(load(byte_level("afmoe")).error().message.find("known: gpt-2"), std::string::npos);
  EXPECT_EQ(load(byte_level("gpt")).error().code, ErrorCode::kUnimplemented);
  EXPECT_EQ(load(byte_level("gpt-2 mpt")).error().code, ErrorCode::kUnimplemented);
  EXPECT_EQ(load(GgufWriter().key("tokenizer.ggml.model", kString, GgufWriter::text("rwkv"))).error().code,
            ErrorCode::kUnimplemented);
  EXPECT_EQ(load(GgufWriter()).error().code, ErrorCode::kUnimplemented);
  EXPECT_EQ(load(GgufWriter().key("tokenizer.ggml.model", kString, GgufWriter::text("gpt2"))).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(load(byte_level("gpt-2", {"a x"})).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(load(byte_level("gpt-2", {"ab"})).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(load(byte_level("gpt-2", {""})).error().code, ErrorCode::kInvalidArgument);
}

TEST(GgufTokenizer, EveryKnownSplitRuleCompiles) {
  const std::string message = gguf_split_rule("?").error().message;
  std::string names = message.substr(message.find("known: ") + 7);
  names.back() = ' ';
  int count = 0;
  for (size_t at = 0, end; (end = names.find(' ', at)) != std::string::npos; at = end + 1, ++count) {
    EXPECT_TRUE(gguf_split_rule(names.substr(at, end - at))) << names.substr(at, end - at);
  }
  EXPECT_GT(count, 30);
}

}  // namespace
}  // namespace vllm::text
