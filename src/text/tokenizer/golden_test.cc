// Token for token what Hugging Face's library does, for small tokenizers of every family's shape.
#include <gtest/gtest.h>

#include "base/mapped_file.h"
#include "text/tokenizer/testing/vectors.h"

namespace vllm::text::testing {
namespace {

class Golden : public ::testing::TestWithParam<std::string> {};

TEST_P(Golden, AgreesWithHuggingFace) {
  const auto corpus = read_corpus(read_json(kGoldens / "corpus.json"));
  const VectorReport report =
      check_vectors(golden_tokenizer(GetParam()), corpus, read_json(kGoldens / GetParam() / "expected.json"));
  EXPECT_GT(report.texts, 200);
  EXPECT_GT(report.decodes, 200);
  EXPECT_EQ(report.texts_wrong, 0) << report.first_difference;
  EXPECT_EQ(report.decodes_wrong, 0) << report.first_difference;
  EXPECT_EQ(report.streams_wrong, 0) << report.first_difference;
}

INSTANTIATE_TEST_SUITE_P(Families, Golden, ::testing::ValuesIn(golden_families()),
                         [](const auto& info) { return info.param; });

TEST(GoldenList, HasEveryFamily) {
  EXPECT_EQ(golden_families(),
            (std::vector<std::string>{"bert", "corners", "deepseek", "falcon", "gemma", "gpt2", "llama2", "llama3",
                                      "mistral", "o200k", "qwen2", "smollm", "unigram"}));
}

}  // namespace
}  // namespace vllm::text::testing
