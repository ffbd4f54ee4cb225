// The small pure parts: ids and paths, digests, which files to take, suggestions, progress text.
#include <gtest/gtest.h>

#include "hub/file_selection.h"
#include "hub/progress.h"
#include "hub/repo_id.h"
#include "hub/sha.h"
#include "hub/shard_name.h"
#include "hub/suggest.h"

namespace vllm {
namespace {

TEST(ModelSpec, ReadsTheThreeForms) {
  auto spec = parse_model_spec("Qwen/Qwen3-0.6B");
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->repo_id, "Qwen/Qwen3-0.6B");
  EXPECT_EQ(spec->quant + spec->file, "");
  spec = parse_model_spec("unsloth/Qwen3-0.6B-GGUF:Q4_K_M");
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->repo_id, "unsloth/Qwen3-0.6B-GGUF");
  EXPECT_EQ(spec->quant, "Q4_K_M");
  spec = parse_model_spec("org/name/folder/file-Q8_0.gguf");
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->repo_id, "org/name");
  EXPECT_EQ(spec->file, "folder/file-Q8_0.gguf");
  EXPECT_TRUE(parse_model_spec("gpt2"));
}

TEST(ModelSpec, RefusesWhatIsNoHubId) {
  for (const char* bad :
       {"", "/abs", "a/b/c", "org/", "/name", "a b/c", "../x", "org/..", "a--b/c", "org/name:", "org/name:../x",
        "x.gguf", "org/x.gguf", "org/name/../../x.gguf", "-a/b", "a/b.", "org/n\xc3\xa4me", "org/name?x=1"}) {
    EXPECT_FALSE(parse_model_spec(bad)) << bad;
  }
  EXPECT_FALSE(parse_model_spec(std::string(97, 'a')));
}

TEST(RepoPath, StaysInsideItsFolder) {
  for (const char* good : {"a", "a/b.json", "..a/b..", ".gitattributes", "a b", "\xc3\xa4.txt"})
    EXPECT_TRUE(is_safe_repo_path(good)) << good;
  for (const char* bad : {"", "/a", "a/", "a//b", "..", "../a", "a/../b", "a/..", "./a", "a\\b", "a\nb", "a\x7f"}) {
    EXPECT_FALSE(is_safe_repo_path(bad)) << bad;
  }
  EXPECT_FALSE(is_safe_repo_path(std::string_view("a\0b", 3)));
  EXPECT_FALSE(is_safe_repo_path(std::string(201, 'x')));
  EXPECT_EQ(percent_encode("refs/pr/1 ?", false), "refs%2Fpr%2F1%20%3F");
  EXPECT_EQ(percent_encode("a/b#c", true), "a/b%23c");
}

TEST(Sha, MatchesKnownDigests) {
  Digest sha = Digest::sha256();
  sha.update("abc");
  EXPECT_EQ(sha.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Digest blob = Digest::git_blob(6);
  blob.update("hello\n");
  EXPECT_EQ(blob.hex(), "ce013625030ba8dba906f756967f9e9ca394464a");  // git hash-object
  EXPECT_TRUE(digest_of_etag(std::string(64, 'a'), {}));
  EXPECT_TRUE(digest_of_etag(std::string(40, 'a'), 1));
  EXPECT_FALSE(digest_of_etag(std::string(40, 'a'), {}));
  EXPECT_FALSE(digest_of_etag(std::string(32, 'a'), 1));
}

TEST(ShardName, ReadsNumbers) {
  auto shard = parse_shard_name("Q8/model-00002-of-00003.safetensors");
  ASSERT_TRUE(shard);
  EXPECT_EQ(whole_set(*shard)[0], "Q8/model-00001-of-00003.safetensors");
  EXPECT_EQ(whole_set(*shard).size(), 3u);
  for (const char* no : {"model.safetensors", "model-1-of-3.gguf", "-00001-of-0000x.gguf", "-00001-of-00003", ""})
    EXPECT_FALSE(parse_shard_name(no)) << no;
}

std::string selected(const std::vector<std::string>& paths, const ModelSpec& spec = {},
                     const std::vector<std::string>& ignored = {}) {
  std::vector<RepoFile> files;
  for (const std::string& path : paths) files.push_back({path, 1});
  auto selection = select_files(files, spec, ignored);
  if (!selection) return "error: " + selection.error().message;
  std::string text;
  for (const RepoFile& file : selection->files) text += file.path + " ";
  return text + "| " + selection->gguf;
}

TEST(SelectFiles, TakesSafetensorsAndWhatABelongs) {
  EXPECT_EQ(selected({".gitattributes", "README.md", "config.json", "consolidated.safetensors", "logo.png",
                      "merges.txt", "model.safetensors", "onnx/model.onnx", "original/model.safetensors",
                      "pytorch_model.bin", "tokenizer.json", "run.py"}),
            "config.json merges.txt model.safetensors tokenizer.json | ");
  EXPECT_EQ(selected({"config.json", "consolidated-00001-of-00002.safetensors", "model-00001-of-00002.safetensors",
                      "model-00002-of-00002.safetensors", "model.safetensors.index.json", "tokenizer.model"}),
            "config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors "
            "model.safetensors.index.json tokenizer.model | ");
  EXPECT_EQ(selected({"consolidated.safetensors", "params.json", "tekken.json"}),
            "consolidated.safetensors params.json tekken.json | ");
  EXPECT_EQ(
      selected({"a.json", "model.safetensors", "chat_template.jinja", "additional_chat_templates/tool.jinja",
                "1_Pooling/config.json"}),
      "a.json model.safetensors chat_template.jinja additional_chat_templates/tool.jinja 1_Pooling/config.json | ");
  EXPECT_EQ(selected({"config.json", "model.safetensors", "vocab.json"}, {}, {"*oca*"}),
            "config.json model.safetensors | ");
  EXPECT_EQ(selected({"model.safetensors", "original/x.json", "original/y/z.json"}, {}, {"original/**/*"}),
            "model.safetensors | ");
  EXPECT_NE(selected({"config.json", "pytorch_model.bin"}).find("PyTorch weights"), std::string::npos);
  EXPECT_NE(selected({"config.json"}).find("holds no *.safetensors"), std::string::npos);
}

TEST(SelectFiles, TakesOneGguf) {
  std::vector<std::string> repo{"README.md",
                                "m-IQ4_XS.gguf",
                                "m-Q4_K.gguf",
                                "m-Q4_K_M.gguf",
                                "m-Q8_0-00001-of-00002.gguf",
                                "m-Q8_0-00002-of-00002.gguf",
                                "mmproj-Q4_K_M.gguf",
                                "sub/m.q5_1.gguf"};
  EXPECT_EQ(selected(repo), "m-Q4_K_M.gguf | m-Q4_K_M.gguf");
  EXPECT_EQ(selected(repo, {"a/b", "q4_k", ""}), "m-Q4_K.gguf | m-Q4_K.gguf");
  EXPECT_EQ(selected(repo, {"a/b", "Q5_1", ""}), "sub/m.q5_1.gguf | sub/m.q5_1.gguf");
  EXPECT_EQ(selected(repo, {"a/b", "Q8_0", ""}),
            "m-Q8_0-00001-of-00002.gguf m-Q8_0-00002-of-00002.gguf | m-Q8_0-00001-of-00002.gguf");
  EXPECT_EQ(selected(repo, {"a/b", "", "sub/m.q5_1.gguf"}), "sub/m.q5_1.gguf | sub/m.q5_1.gguf");
  EXPECT_EQ(selected({"only.gguf"}), "only.gguf | only.gguf");
  EXPECT_NE(selected(repo, {"a/b", "Q2_K", ""}).find("there are: m-IQ4_XS.gguf"), std::string::npos);
  EXPECT_NE(selected(repo, {"a/b", "", "none.gguf"}).find("no file none.gguf"), std::string::npos);
  EXPECT_NE(selected({"a-Q8_0.gguf", "b-Q8_0.gguf"}).find("name one of them"), std::string::npos);
  EXPECT_NE(selected({"m-00001-of-00002.gguf"}).find("no file m-00002-of-00002.gguf"), std::string::npos);
}

TEST(Suggest, FindsTheNearestName) {
  EXPECT_EQ(nearest_model("Qwen/Qwen3-0.6b", {}), "Qwen/Qwen3-0.6B");
  EXPECT_EQ(nearest_model("Qwen3-0.6B", {}), "Qwen/Qwen3-0.6B");
  EXPECT_EQ(nearest_model("acme/tinny", {"acme/tiny", "acme/other"}), "acme/tiny");
  EXPECT_EQ(nearest_model("somebody/something-else-entirely", {"acme/tiny"}), "");
}

TEST(Progress, SaysHowFarItIs) {
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1'500'000'000), "1.50 GB");
  EXPECT_EQ(progress_line("a/b", 500'000'000, 1'000'000'000, 50'000'000),
            "downloading a/b  50% [##########          ] 500.0 MB of 1.00 GB  50.0 MB/s  0:10 left");
  EXPECT_EQ(progress_line("a/b", 0, 0, 0), "downloading a/b   0% [                    ] 0 B of 0 B");
  EXPECT_EQ(progress_line("a/b", 999, 1000, 0).substr(0, 20), "downloading a/b  99%");
}

}  // namespace
}  // namespace vllm
