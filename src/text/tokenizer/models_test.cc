// Real vocabularies, where a folder with them is at hand. The environment variable VLLM_TEST_MODELS names it; it holds
//   <name>/tokenizer.json with tokenizer_vectors.json (tests/golden/tokenizer/make.py --vectors <name>),
//   <name>.gguf of the same model, and
//   ggml-vocab-*.gguf with .inp and .out beside them, as llama.cpp ships them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "base/mapped_file.h"
#include "hub/gguf.h"
#include "text/tokenizer/testing/vectors.h"

namespace vllm::text::testing {
namespace {

std::vector<CorpusEntry> model_corpus() {
  return read_corpus(read_json(std::filesystem::path(std::getenv("VLLM_TEST_MODELS")) / "tokenizer_corpus.json"));
}

class Models : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::getenv("VLLM_TEST_MODELS")) GTEST_SKIP() << "VLLM_TEST_MODELS names no folder of checkpoints";
  }
};

TEST_F(Models, TokenizerJsonAgreesWithHuggingFace) {
  const auto corpus = model_corpus();
  int models = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::getenv("VLLM_TEST_MODELS"))) {
    const auto vectors = entry.path() / "tokenizer_vectors.json";
    if (!std::filesystem::exists(vectors)) continue;
    auto tokenizer = load_tokenizer(entry.path());
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    const VectorReport report = check_vectors(*tokenizer, corpus, read_json(vectors));
    fmt::print("{}: {}: {} of {} texts and {} of {} decodes differ\n", entry.path().filename().string(),
               (*tokenizer)->description(), report.texts_wrong, report.texts, report.decodes_wrong, report.decodes);
    EXPECT_EQ(report.texts_wrong + report.decodes_wrong + report.streams_wrong, 0) << report.first_difference;
    ++models;
  }
  EXPECT_GT(models, 0);
}

// The GGUF file of a model must give the ids that its Hugging Face form gives.
TEST_F(Models, GgufAgreesWithHuggingFace) {
  const auto corpus = model_corpus();
  const std::filesystem::path root = std::getenv("VLLM_TEST_MODELS");
  int models = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    const auto vectors = root / ("hf-" + entry.path().stem().string()) / "tokenizer_vectors.json";
    if (entry.path().extension() != ".gguf" || !std::filesystem::exists(vectors)) continue;
    auto file = GgufFile::open(entry.path());
    ASSERT_TRUE(file) << file.error().message;
    auto tokenizer = load_gguf_tokenizer(*file);
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    const VectorReport report = check_vectors(*tokenizer, corpus, read_json(vectors));
    fmt::print("{}: {}: {} of {} texts and {} of {} decodes differ\n", entry.path().filename().string(),
               (*tokenizer)->description(), report.texts_wrong, report.texts, report.decodes_wrong, report.decodes);
    EXPECT_EQ(report.texts_wrong + report.decodes_wrong + report.streams_wrong, 0) << report.first_difference;
    ++models;
  }
  EXPECT_GT(models, 0);
}

// llama.cpp's vectors: ids without special tokens.
TEST_F(Models, GgufAgreesWithLlamaCppVectors) {
  for (const auto& entry : std::filesystem::directory_iterator(std::getenv("VLLM_TEST_MODELS"))) {
    if (entry.path().extension() != ".gguf" || !std::filesystem::exists(entry.path().string() + ".inp")) continue;
    auto file = GgufFile::open(entry.path());
    ASSERT_TRUE(file) << file.error().message;
    auto tokenizer = load_gguf_tokenizer(*file);
    if (!tokenizer) {
      EXPECT_EQ(tokenizer.error().code, ErrorCode::kUnimplemented);
      fmt::print("{}: {}\n", entry.path().filename().string(), tokenizer.error().message.substr(0, 120));
      continue;
    }
    constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";
    const std::string inputs = *read_file(entry.path().string() + ".inp");
    std::istringstream outputs(*read_file(entry.path().string() + ".out"));
    size_t at = 0;
    int texts = 0, wrong = 0;
    for (std::string line; std::getline(outputs, line); ++texts) {
      const size_t end = std::min(inputs.find(kSeparator, at), inputs.size());
      const std::string text = inputs.substr(at, end - at);
      at = std::min(end + kSeparator.size(), inputs.size());
      std::istringstream numbers(line);
      std::vector<TokenId> expected;
      for (TokenId id; numbers >> id;) expected.push_back(id);
      const auto ids = (*tokenizer)->encode(text, {.add_special_tokens = false});
      ASSERT_TRUE(ids);
      if (*ids == expected) continue;
      ++wrong;
      ADD_FAILURE() << entry.path().filename() << ": \"" << text << "\"\n  is       " << ::testing::PrintToString(*ids)
                    << "\n  expected " << ::testing::PrintToString(expected);
    }
    fmt::print("{}: {}: {} of {} texts differ\n", entry.path().filename().string(), (*tokenizer)->description(), wrong,
               texts);
  }
}

}  // namespace
}  // namespace vllm::text::testing
