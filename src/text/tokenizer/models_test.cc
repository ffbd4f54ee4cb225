// Whole checkpoints, where a folder with them is at hand. The environment variable VLLM_TEST_MODELS names it; it holds
//   <name>/tokenizer.json with tokenizer_vectors.json (tests/golden/tokenizer/make.py --vectors <name>), and
//   <name>.gguf of the same model.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

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

}  // namespace
}  // namespace vllm::text::testing
