#include "hub/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "hub/testing/files.h"
#include "hub/testing/gguf_writer.h"
#include "hub/weight_files.h"

namespace vllm {
namespace {

using testing::GgufWriter;
using testing::safetensors;
using testing::TempFolder;
using testing::write_file;

constexpr const char* kA = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
constexpr const char* kB = R"({"b":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]}})";
constexpr const char* kAB =
    R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}, "b":{"dtype":"F16","shape":[2,2],"data_offsets":[8,16]}})";
const std::string kPointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";

std::string error_of(const std::filesystem::path& path) {
  auto opened = open_checkpoint(path);
  return opened ? "(opened)" : opened.error().message;
}
#define EXPECT_REFUSED(path, part) EXPECT_PRED_FORMAT2(::testing::IsSubstring, part, error_of(path))

std::string gguf_of(const char* name, char fill) {
  return GgufWriter()
      .key("general.architecture", 8, GgufWriter::text("llama"))
      .tensor(name, {4, 2}, 0, 0)
      .data(std::string(32, fill))
      .build();
}

TEST(Checkpoint, OpensOneSafetensorsFile) {
  TempFolder folder;
  write_file(folder / "model.safetensors", safetensors(kAB, "aaaaaaaabbbbbbbb"));
  write_file(folder / "consolidated.safetensors", "not looked at");
  for (auto path : {folder.path(), folder / "model.safetensors"}) {
    auto opened = open_checkpoint(path);
    ASSERT_TRUE(opened) << opened.error().message;
    const Checkpoint& checkpoint = **opened;
    EXPECT_EQ(checkpoint.names(), (std::vector<std::string_view>{"a", "b"}));
    EXPECT_EQ(checkpoint.total_bytes(), 16u);
    EXPECT_EQ(checkpoint.gguf(), nullptr);
    ASSERT_NE(checkpoint.find("b"), nullptr);
    EXPECT_EQ(checkpoint.find("b")->shape, (std::vector<int64_t>{2, 2}));
    EXPECT_EQ(checkpoint.find("b")->data[0], std::byte{'b'});
    EXPECT_EQ(checkpoint.find("c"), nullptr);
  }
}

TEST(Checkpoint, OpensShardsByIndex) {
  TempFolder folder;
  write_file(folder / "one.safetensors", safetensors(kAB, "aaaaaaaaxxxxxxxx"));
  write_file(folder / "two.safetensors", safetensors(kB, "bbbbbbbb"));
  write_file(folder / "other.safetensors", "not in the index");
  write_file(folder / "model.safetensors.index.json",
             R"({"metadata": {}, "weight_map": {"a": "one.safetensors", "b": "two.safetensors"}})");
  auto opened = open_checkpoint(folder.path());
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ((*opened)->find("b")->data[0], std::byte{'b'});  // the index says which copy counts
  EXPECT_EQ((*opened)->total_bytes(), 16u);
}

TEST(Checkpoint, OpensNumberedShardsWithoutIndex) {
  TempFolder folder;
  write_file(folder / "m-00001-of-00002.safetensors", safetensors(kA, "aaaaaaaa"));
  EXPECT_REFUSED(folder.path(), "lacks 1 of the 2 weight files: m-00002-of-00002.safetensors");
  write_file(folder / "m-00002-of-00002.safetensors", safetensors(kB, "bbbbbbbb"));
  auto opened = open_checkpoint(folder.path());
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ((*opened)->names().size(), 2u);
  write_file(folder / "m-00002-of-00002.safetensors", safetensors(kA, "bbbbbbbb"));
  EXPECT_REFUSED(folder.path(), "tensor \"a\" is in an earlier file too");
}

TEST(Checkpoint, OpensGgufFilesAndSplitOnes) {
  TempFolder folder;
  write_file(folder / "m-Q4_0-00001-of-00002.gguf", gguf_of("a", 'a'));
  EXPECT_REFUSED(folder.path(), "m-Q4_0-00002-of-00002.gguf");
  write_file(folder / "m-Q4_0-00002-of-00002.gguf", gguf_of("b", 'b'));
  for (auto path : {folder.path(), folder / "m-Q4_0-00001-of-00002.gguf", folder / "m-Q4_0-00002-of-00002.gguf"}) {
    auto opened = open_checkpoint(path);
    ASSERT_TRUE(opened) << opened.error().message;
    ASSERT_NE((*opened)->gguf(), nullptr);
    EXPECT_EQ((*opened)->gguf()->get_string("general.architecture"), "llama");
    ASSERT_NE((*opened)->find("b"), nullptr);
    EXPECT_EQ((*opened)->find("b")->data[0], std::byte{'b'});
    EXPECT_EQ((*opened)->find("b")->shape, (std::vector<int64_t>{2, 4}));
  }
  write_file(folder / "other.gguf", gguf_of("c", 'c'));
  EXPECT_REFUSED(folder.path(), "several GGUF files; name one of them");
  EXPECT_TRUE(open_checkpoint(folder / "other.gguf"));
  write_file(folder / "vocabulary.gguf", GgufWriter().build());
  EXPECT_REFUSED(folder / "vocabulary.gguf", "holds no tensors");
}

TEST(Checkpoint, NamesMissingShardsAndTensors) {
  TempFolder folder;
  write_file(folder / "one.safetensors", safetensors(kA, "aaaaaaaa"));
  write_file(folder / "model.safetensors.index.json",
             R"({"weight_map": {"a": "one.safetensors", "b": "two.safetensors", "c": "three.safetensors"}})");
  EXPECT_REFUSED(folder.path(), "lacks 2 of the 3 weight files: three.safetensors, two.safetensors");
  write_file(folder / "model.safetensors.index.json",
             R"({"weight_map": {"a": "one.safetensors", "b": "one.safetensors"}})");
  EXPECT_REFUSED(folder.path(), "one.safetensors lacks tensor \"b\"");
}

TEST(Checkpoint, RefusesHostileIndexes) {
  TempFolder folder;
  write_file(folder.path().parent_path() / (folder.path().filename().string() + ".safetensors"),
             safetensors(kA, "aaaaaaaa"));
  std::filesystem::path outside = folder.path().string() + ".safetensors";
  for (const std::string& name :
       {"../" + outside.filename().string(), outside.string(), std::string(".."), std::string(),
        std::string("a\\u0000.safetensors"), std::string("sub/x"), std::string(300, 'x')}) {
    write_file(folder / "model.safetensors.index.json", R"({"weight_map": {"a": ")" + name + R"("}})");
    EXPECT_REFUSED(folder.path(), "is no file name inside the model's folder") << name;
  }
  std::filesystem::remove(outside);
  for (const char* text :
       {"", "[]", "{}", R"({"weight_map": []})", R"({"weight_map": {}})", R"({"weight_map": {"a": 1}})"}) {
    write_file(folder / "model.safetensors.index.json", text);
    EXPECT_REFUSED(folder.path(), "model.safetensors.index.json") << text;
  }
}

TEST(Checkpoint, SaysWhatIsThereInstead) {
  TempFolder folder;
  EXPECT_REFUSED(folder / "absent", "No such file");
  EXPECT_REFUSED(folder.path(), "is empty. If it is a mounted volume");
  write_file(folder / "config.json", "{}");
  EXPECT_REFUSED(folder.path(), "no *.safetensors and no *.gguf file, only: config.json");
  write_file(folder / "adapter_model.safetensors", "");
  EXPECT_REFUSED(folder.path(), "LoRA adapter");
  std::filesystem::remove(folder / "adapter_model.safetensors");
  write_file(folder / "pytorch_model.bin", "");
  EXPECT_REFUSED(folder.path(), "PyTorch weights");
  write_file(folder / "x.safetensors", kPointer);
  EXPECT_REFUSED(folder.path(), "git lfs pull");
  write_file(folder / "x.safetensors", "");
  EXPECT_REFUSED(folder.path(), "is empty; download it again");
  write_file(folder / "y.safetensors", safetensors(kA, "aaaaaaaa"));
  EXPECT_REFUSED(folder.path(), "several weight files");
  write_file(folder / "p.gguf", kPointer);
  EXPECT_REFUSED(folder / "p.gguf", "git lfs pull");
  write_file(folder / "model.safetensors.index.json", kPointer);
  EXPECT_REFUSED(folder.path(), "git-lfs pointer");
  ASSERT_EQ(::mkfifo((folder / "pipe.safetensors").c_str(), 0600), 0);
  EXPECT_REFUSED(folder / "pipe.safetensors", "not a regular file");
}

}  // namespace
}  // namespace vllm
