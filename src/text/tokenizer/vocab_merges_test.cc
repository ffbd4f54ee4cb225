// Folders with vocab.json and merges.txt, token for token as transformers reads them.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "text/tokenizer/testing/vectors.h"

namespace vllm::text::testing {
namespace {

namespace fs = std::filesystem;

class VocabMerges : public ::testing::Test {
 protected:
  VocabMerges() : dir_(fs::temp_directory_path() / fmt::format("vllm-vocab-merges-test-{}", getpid())) {}
  ~VocabMerges() override { fs::remove_all(dir_); }

  /// A folder with the goldens' two files alone.
  void begin() {
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    for (const char* name : {"vocab.json", "merges.txt"}) fs::copy_file(kFolder / name, dir_ / name);
  }
  void write(std::string_view name, std::string_view text) const {
    std::ofstream(dir_ / name, std::ios::binary) << text;
  }
  std::string refusal() const {
    auto loaded = load_tokenizer(dir_);
    return loaded ? "" : loaded.error().message;
  }

  static inline const fs::path kFolder = kGoldens / "vocab_merges";
  const fs::path dir_;
};

TEST_F(VocabMerges, AgreesWithTransformers) {
  auto corpus = read_corpus(read_json(kGoldens / "corpus.json"));
  const json::value cases = read_json(kFolder / "cases.json");
  ASSERT_EQ(cases.as_array().size(), 6u);
  for (const json::value& value : cases.as_array()) {
    const json::object& object = value.as_object();
    SCOPED_TRACE(*get_string(object, "name"));
    begin();
    for (const auto& [name, content] : *get_object(object, "files")) write(name, json::serialize(content));
    auto loaded = load_tokenizer(dir_);
    ASSERT_TRUE(loaded) << loaded.error().message;
    corpus.resize(get_array(object, "encode")->size());
    const VectorReport report = check_vectors(*loaded, corpus, value);
    EXPECT_GT(report.texts, 80);
    EXPECT_EQ(report.texts_wrong, 0) << report.first_difference;
    EXPECT_EQ(report.decodes_wrong, 0) << report.first_difference;
    EXPECT_EQ(report.streams_wrong, 0) << report.first_difference;
    EXPECT_EQ((*loaded)->bos_id(), get_int(object, "bos"));
    EXPECT_EQ((*loaded)->eos_id(), get_int(object, "eos"));
  }
}

TEST_F(VocabMerges, BadFilesGiveAReason) {
  begin();
  EXPECT_NE(refusal().find("known: GPT2Tokenizer"), std::string::npos) << refusal();
  write("tokenizer_config.json", R"({"tokenizer_class":"CLIPTokenizer"})");
  EXPECT_NE(refusal().find("\"CLIPTokenizer\""), std::string::npos) << refusal();
  write("tokenizer_config.json", "[]");
  EXPECT_NE(refusal().find("tokenizer_config.json is no object"), std::string::npos) << refusal();
  write("tokenizer_config.json", R"({"tokenizer_class":"GPT2Tokenizer"})");
  EXPECT_EQ(refusal(), "");
  write("added_tokens.json", R"({"<x>":"1"})");
  EXPECT_NE(refusal().find("added_tokens.json: the id of \"<x>\""), std::string::npos) << refusal();
  write("added_tokens.json", "{}");
  for (const char* merges : {"a b c\n", "ab\n", "a notatoken\n", "a\xFF b\n"}) {
    write("merges.txt", merges);
    EXPECT_NE(refusal().find("(vocab.json, merges.txt)"), std::string::npos) << merges << refusal();
  }
  write("merges.txt", "#version: 0.2\r\nh e\r\n\r\n");
  EXPECT_EQ(refusal(), "");
  for (const char* vocab : {"[]", "", R"({"a":"b"})", R"({"a":0,"b":0})", R"({"a":-1})"}) {
    write("vocab.json", vocab);
    EXPECT_NE(refusal().find("vocab.json"), std::string::npos) << vocab << refusal();
  }
}

}  // namespace
}  // namespace vllm::text::testing
