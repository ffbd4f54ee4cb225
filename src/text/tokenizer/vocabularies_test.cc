// The vocabularies of tests/data.lock: llama.cpp's published vectors, and what the makers' own libraries do with the
// corpus (tests/golden/vocabularies/expected.json). Skipped where VLLM_TEST_DATA does not name the folder that
// tests/fetch_data.py filled.
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "base/mapped_file.h"
#include "hub/gguf.h"
#include "text/tokenizer/raw_vocabularies.h"
#include "text/tokenizer/testing/vectors.h"

namespace vllm::text::testing {
namespace {

namespace fs = std::filesystem;

class Vocabularies : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* data = std::getenv("VLLM_TEST_DATA");
    if (!data) GTEST_SKIP() << "run tests/fetch_data.py FOLDER and set VLLM_TEST_DATA=FOLDER";
    data_ = data;
  }
  fs::path data_;
};

Result<std::shared_ptr<const Tokenizer>> load(const fs::path& path) {
  if (path.extension() == ".gguf") {
    ASSIGN_OR_RETURN(const GgufFile file, GgufFile::open(path));
    return load_gguf_tokenizer(file);
  }
  ASSIGN_OR_RETURN(const std::string bytes, read_file(path));
  if (path.filename().string().starts_with("tekken")) {
    ASSIGN_OR_RETURN(TokenizerParts parts, parse_tekken(bytes));
    parts.post_processor.before = {*parts.bos};
    return SubwordTokenizer::make(std::move(parts));
  }
  if (path.extension() == ".json") return parse_tokenizer_json(bytes, "");
  if (looks_like_tiktoken(bytes)) {
    ASSIGN_OR_RETURN(TokenizerParts parts, parse_tiktoken(bytes));
    return SubwordTokenizer::make(std::move(parts));
  }
  ASSIGN_OR_RETURN(TokenizerParts parts, parse_sentencepiece(bytes, false));
  parts.post_processor.before = {*parts.bos};
  return SubwordTokenizer::make(std::move(parts));
}

// Two cuts of a run of blanks whose scores are equal but for the rounding of sums: the library takes the other one.
bool is_known_tie(std::string_view vocabulary, std::string_view text_name) {
  return vocabulary.ends_with("j2-tokenizer.model") && (text_name == "python" || text_name == "broken: binary");
}

TEST_F(Vocabularies, AgreeWithTheirMakers) {
  const auto corpus = read_corpus(read_json(kGoldens / "corpus.json"));
  const json::value expected = read_json("tests/golden/vocabularies/expected.json");
  int vocabularies = 0, texts = 0;
  for (const auto& [name, rows] : expected.as_object()) {
    SCOPED_TRACE(std::string(name));
    const auto tokenizer = load(data_ / std::string(name));
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    ASSERT_EQ(rows.as_array().size(), corpus.size());
    int wrong = 0;
    for (size_t i = 0; i < corpus.size(); ++i) {
      const json::array* row = rows.as_array()[i].if_array();
      if (!row) continue;
      ++texts;
      const auto ids = (*tokenizer)->encode(corpus[i].bytes);
      ASSERT_TRUE(ids) << ids.error().message;
      const std::string decoded = (*tokenizer)->decode(*ids, true);
      const bool good = static_cast<int64_t>(ids->size()) == (*row)[0].as_int64() &&
                        fnv_of_ids(*ids) == (*row)[1].as_string() &&
                        ((*row)[2].is_null() || fnv_of_text(decoded) == (*row)[2].as_string());
      if (good || is_known_tie(name, corpus[i].name)) continue;
      if (++wrong <= 3) {
        ADD_FAILURE() << corpus[i].name << ": " << corpus[i].text.substr(0, 200) << "\n  "
                      << ::testing::PrintToString(*ids).substr(0, 500) << "\n  expected " << (*row)[0].as_int64()
                      << " ids; decoded " << decoded.substr(0, 200)
                      << (fnv_of_ids(*ids) == (*row)[1].as_string() ? " (ids equal)" : "");
      }
    }
    EXPECT_EQ(wrong, 0);
    ++vocabularies;
  }
  EXPECT_GE(vocabularies, 20);
  EXPECT_GE(texts, 4000);
}

// Ids without special tokens, one line a text.
TEST_F(Vocabularies, AgreeWithLlamaCppVectors) {
  int vocabularies = 0;
  for (const auto& entry : fs::directory_iterator(data_ / "llama-cpp-python/vendor/llama.cpp/models")) {
    if (entry.path().extension() != ".gguf" || !fs::exists(entry.path().string() + ".inp")) continue;
    SCOPED_TRACE(entry.path().filename().string());
    const auto tokenizer = load(entry.path());
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";
    const std::string inputs = *read_file(entry.path().string() + ".inp");
    std::istringstream outputs(*read_file(entry.path().string() + ".out"));
    size_t at = 0;
    int texts = 0;
    for (std::string line; std::getline(outputs, line); ++texts) {
      const size_t end = std::min(inputs.find(kSeparator, at), inputs.size());
      const std::string text = inputs.substr(at, end - at);
      at = std::min(end + kSeparator.size(), inputs.size());
      std::istringstream numbers(line);
      std::vector<TokenId> expected;
      for (TokenId id; numbers >> id;) expected.push_back(id);
      const auto ids = (*tokenizer)->encode(text, {.add_special_tokens = false});
      ASSERT_TRUE(ids);
      EXPECT_EQ(*ids, expected) << text;
    }
    EXPECT_GE(texts, 46);
    ++vocabularies;
  }
  EXPECT_EQ(vocabularies, 15);
}

}  // namespace
}  // namespace vllm::text::testing
