// Real vocabularies, where a folder with them is at hand. The environment variable VLLM_TEST_MODELS names it; it holds
//   <name>/tokenizer.json with tokenizer_vectors.json (tests/golden/tokenizer/make.py --vectors <name>).
#include <gtest/gtest.h>

#include <cstdlib>

#include "text/tokenizer/testing/vectors.h"

namespace vllm::text::testing {
namespace {

std::vector<CorpusEntry> model_corpus() {
  return read_corpus(read_json(std::filesystem::path(std::getenv("VLLM_TEST_MODELS")) / "tokenizer_corpus.json"));
}

TEST(Models, TokenizerJsonAgreesWithHuggingFace) {
  const auto corpus = model_corpus();
  int models = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::getenv("VLLM_TEST_MODELS"))) {
    const auto vectors = entry.path() / "tokenizer_vectors.json";
    if (!std::filesystem::exists(vectors)) continue;
    auto tokenizer = load_tokenizer(entry.path());
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    const VectorReport report = check_vectors(*tokenizer, corpus, read_json(vectors));
    fmt::print("{}: {}: {} of {} texts and {} of {} decodes differ\n", entry.path().filename().string(), (*tokenizer)->description(),
               report.texts_wrong, report.texts, report.decodes_wrong, report.decodes);
    EXPECT_EQ(report.texts_wrong + report.decodes_wrong + report.streams_wrong, 0) << report.first_difference;
    ++models;
  }
  EXPECT_GT(models, 0);
}

}  // namespace
}  // namespace vllm::text::testing
