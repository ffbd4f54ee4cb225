// From a name to files, as a user sees it: environment, cache, hub, and the words of failures.
#include "hub/hub.h"

#include <gtest/gtest.h>

#include "base/mapped_file.h"
#include "hub/cache_layout.h"
#include "hub/testing/fake_hub.h"
#include "hub/testing/files.h"
#include "hub/testing/gguf_writer.h"
#include "hub/testing/scoped_env.h"

namespace vllm {
namespace {

namespace fs = std::filesystem;
using testing::FakeHub;
using testing::GgufWriter;
using testing::safetensors;
using testing::ScopedEnv;
using testing::TempFolder;
using testing::TestRequest;
using testing::TestResponse;
using testing::write_file;

const std::string kWeights = safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "aaaaaaaa");

class FindModel : public ::testing::Test {
 protected:
  FindModel() : hub({{"config.json", {"{}"}}, {"model.safetensors", {kWeights, true}}, {"README.md", {"hello"}}}) {
    for (const char* name : {"HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HF_TOKEN",
                             "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE",
                             "HF_HUB_DISABLE_SYMLINKS", "http_proxy", "HTTP_PROXY"}) {
      environment.unset(name);
    }
    environment.set("HOME", folder.path().string());
    environment.set("HF_ENDPOINT", hub.url() + "/");
  }

  std::string error_of(const std::string& model) {
    auto found = find_model(model, options);
    return found ? "found " + found->string() : found.error().message;
  }
  fs::path cached(const std::string& repo = "acme--tiny") const {
    return folder / (".cache/huggingface/hub/models--" + repo);
  }
  fs::path snapshot() const { return cached() / "snapshots" / FakeHub::kCommit; }

  TempFolder folder;
  ScopedEnv environment;
  FakeHub hub;
  HubOptions options;
};
#define EXPECT_FAILS(model, part)                                     \
  do {                                                                \
    std::string text = error_of(model);                               \
    EXPECT_TRUE(text.starts_with("Model download failed: ")) << text; \
    EXPECT_PRED_FORMAT2(::testing::IsSubstring, part, text);          \
  } while (0)

TEST_F(FindModel, DownloadsOnceAndThenUsesTheCache) {
  double share = -1;
  options.on_progress = [&](std::string_view phase, double now) { share = phase == "downloading" ? now : -2; };
  auto found = find_model("acme/tiny", options);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(*found, snapshot());
  EXPECT_EQ(share, 1.0);
  EXPECT_EQ(*read_file(*found / "model.safetensors"), kWeights);
  EXPECT_FALSE(fs::exists(*found / "README.md"));
  EXPECT_EQ(*read_file(cached() / "refs/main"), FakeHub::kCommit);

  size_t asked = hub.requests().size();
  EXPECT_EQ(*find_model("acme/tiny", options), snapshot());
  EXPECT_EQ(hub.requests().size(), asked + 1);  // is there a newer revision?
  options.offline = true;
  EXPECT_EQ(*find_model("acme/tiny", options), snapshot());
  options.offline = false;
  options.revision = FakeHub::kCommit;
  EXPECT_EQ(*find_model("acme/tiny", options), snapshot());
  EXPECT_EQ(hub.requests().size(), asked + 1);
  hub.set_fault([](const TestRequest&, TestResponse& response) { response = {.status = 500}; });
  options.revision = "";
  EXPECT_EQ(*find_model("acme/tiny", options), snapshot());  // the hub is down: the copy will do
}

TEST_F(FindModel, CompletesAHalfFilledSnapshot) {
  write_file(cached() / "refs/main", FakeHub::kCommit);
  write_file(snapshot() / "config.json", "{}");
  options.offline = true;
  EXPECT_FAILS("acme/tiny", "HF_HUB_OFFLINE");
  options.offline = false;
  ASSERT_EQ(*find_model("acme/tiny", options), snapshot());
  EXPECT_EQ(hub.count("HEAD", "config.json"), 0);
}

TEST_F(FindModel, FollowsRevisionsWithSlashes) {
  options.revision = "v1/beta";
  ASSERT_EQ(*find_model("acme/tiny", options), snapshot());
  EXPECT_EQ(*read_file(cached() / "refs/v1/beta"), FakeHub::kCommit);
  options.revision = "v2";
  EXPECT_FAILS("acme/tiny", "has no revision \"v2\"");
  options.revision = "../x";
  EXPECT_FAILS("acme/tiny", "--revision");
}

TEST_F(FindModel, LooksWhereTheEnvironmentSays) {
  auto put = [&](const fs::path& cache) {
    write_file(cache / "models--acme--tiny/refs/main", std::string(FakeHub::kCommit) + "\n");
    write_file(cache / "models--acme--tiny/snapshots" / FakeHub::kCommit / "config.json", "{}");
    write_file(cache / "models--acme--tiny/snapshots" / FakeHub::kCommit / "model.safetensors",
               kWeights);  // plain files, as on Windows
    return cache / "models--acme--tiny/snapshots" / FakeHub::kCommit;
  };
  options.offline = true;
  environment.set("XDG_CACHE_HOME", (folder / "xdg").string());
  EXPECT_EQ(error_of("acme/tiny"), "found " + put(folder / "xdg/huggingface/hub").string());
  environment.set("HF_HOME", "~/home");
  EXPECT_EQ(error_of("acme/tiny"), "found " + put(folder / "home/hub").string());
  environment.set("HUGGINGFACE_HUB_CACHE", "$HOME/legacy");
  EXPECT_EQ(error_of("acme/tiny"), "found " + put(folder / "legacy").string());
  environment.set("HF_HUB_CACHE", "${HOME}/cache");
  EXPECT_EQ(error_of("acme/tiny"), "found " + put(folder / "cache").string());
  options.download_dir = (folder / "dir").string();
  EXPECT_EQ(error_of("acme/tiny"), "found " + put(folder / "dir").string());
  for (const char* name : {"HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HOME"})
    environment.unset(name);
  options.download_dir = "";
  EXPECT_FAILS("acme/tiny", "is not in the cache /");  // a fallback: cache_choice_test.cc
}

TEST_F(FindModel, ReadsOfflineSwitches) {
  EXPECT_FALSE(hub_options_from_env().offline);
  environment.set("TRANSFORMERS_OFFLINE", "1");
  EXPECT_TRUE(hub_options_from_env().offline);
  environment.unset("TRANSFORMERS_OFFLINE");
  environment.set("HF_HUB_OFFLINE", "ON");
  options = hub_options_from_env();
  EXPECT_FAILS("acme/tiny", "HF_HUB_OFFLINE");
  EXPECT_TRUE(hub.requests().empty());
}

TEST_F(FindModel, FindsTokens) {
  hub.needed_token = "hf_right";
  EXPECT_FAILS("acme/tiny", "pass a token in HF_TOKEN");
  write_file(folder / ".cache/huggingface/token", "hf_wrong\n");
  EXPECT_FAILS("acme/tiny", "it is wrong or expired");
  write_file(folder / ".cache/huggingface/token", "hf_right\n");
  EXPECT_EQ(error_of("acme/tiny"), "found " + snapshot().string());
  fs::remove_all(cached());
  environment.set("HUGGING_FACE_HUB_TOKEN", "hf_wrong");
  EXPECT_FAILS("acme/tiny", "it is wrong or expired");
  environment.set("HF_TOKEN", "hf_right");
  EXPECT_EQ(error_of("acme/tiny"), "found " + snapshot().string());
  fs::remove_all(cached());
  options.token = "hf_right\r\nX-Evil: 1";
  EXPECT_FAILS("acme/tiny", "characters that no token has");
}

TEST_F(FindModel, ExplainsGates) {
  hub.needed_token = "hf_right";
  hub.gated = true;
  EXPECT_FAILS("acme/tiny",
               "gated: request access at " + hub.url() + "/acme/tiny, then pass a token of your account in HF_TOKEN");
  options.token = "hf_other";
  EXPECT_FAILS("acme/tiny", "has no access to it: request access at");
}

TEST_F(FindModel, SuggestsNames) {
  ASSERT_TRUE(find_model("acme/tiny", options));
  EXPECT_FAILS("acme/tinny", "there is no model acme/tinny");
  EXPECT_FAILS("acme/tinny", "Did you mean acme/tiny?");
  EXPECT_FAILS("Qwen/Qwen3-06B", "Did you mean Qwen/Qwen3-0.6B?");
  EXPECT_FAILS("not a name", "no hub id");
  EXPECT_FAILS("", "no model is named");
}

TEST_F(FindModel, ExplainsAnUnreachableHub) {
  environment.set("HF_ENDPOINT", "hub.example");
  EXPECT_FAILS("acme/tiny", "HF_ENDPOINT is \"hub.example\"");
  environment.set("HF_ENDPOINT", "http://127.0.0.1:1");
  std::atomic<bool> cancelled{false};
  options.cancelled = &cancelled;
  std::jthread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    cancelled = true;  // in the pause before the second attempt
  });
  EXPECT_FAILS("acme/tiny", "http_proxy/https_proxy");
}

TEST_F(FindModel, SaysWhenTheCacheCannotBeWritten) {
  write_file(folder / "file", "");
  environment.set("HF_HOME", (folder / "file").string());
  EXPECT_FAILS("acme/tiny", "Set HF_HOME to a folder that can be written to");
}

TEST_F(FindModel, TakesOneFileOfAGgufRepository) {
  auto gguf = [](char fill) { return GgufWriter().tensor("a", {8}, 0, 0).data(std::string(32, fill)).build(); };
  hub.files = {{"tiny-Q4_K_M.gguf", {gguf('4'), true}},
               {"tiny-Q8_0.gguf", {gguf('8'), true}},
               {"f16/tiny-F16.gguf", {gguf('f'), true}}};
  EXPECT_EQ(error_of("acme/tiny"), "found " + (snapshot() / "tiny-Q4_K_M.gguf").string());
  EXPECT_EQ(error_of("acme/tiny:q8_0"), "found " + (snapshot() / "tiny-Q8_0.gguf").string());
  EXPECT_EQ(error_of("acme/tiny/f16/tiny-F16.gguf"), "found " + (snapshot() / "f16/tiny-F16.gguf").string());
  EXPECT_FAILS("acme/tiny:Q2_K", "tiny-Q8_0.gguf");
  EXPECT_FAILS("acme/tiny/other.gguf", "no file other.gguf");
  EXPECT_EQ(hub.count("GET", "/cdn/"), 3);
  options.offline = true;
  EXPECT_EQ(error_of("acme/tiny"), "found " + (snapshot() / "tiny-Q4_K_M.gguf").string());
  EXPECT_EQ(error_of("acme/tiny:F16"), "found " + (snapshot() / "f16/tiny-F16.gguf").string());
  EXPECT_FAILS("acme/tiny:Q2_K", "HF_HUB_OFFLINE");
}

TEST_F(FindModel, RefusesPyTorchWeights) {
  hub.files = {{"config.json", {"{}"}}, {"pytorch_model.bin", {"x", true}}};
  EXPECT_FAILS("acme/tiny", "acme/tiny: the repository holds PyTorch weights");
  EXPECT_EQ(hub.requests().size(), 1u);
}

TEST_F(FindModel, TakesFoldersAndFiles) {
  fs::path model = folder / "model";
  EXPECT_FAILS(model.string(), "there is no folder or file");
  EXPECT_FAILS("./nothing", "mounted there");
  fs::create_directories(model);
  EXPECT_FAILS(model.string(), "is empty. If it is a mounted volume");
  write_file(model / "model.safetensors", kWeights);
  EXPECT_FAILS(model.string(), "no config.json");
  write_file(model / "config.json", "{}");
  EXPECT_EQ(error_of(model.string()), "found " + model.string());
  EXPECT_EQ(error_of("~/model"), "found " + model.string());
  EXPECT_FAILS((model / "model.safetensors").string(), "give the folder");
  write_file(model / "model.safetensors", "version https://git-lfs.github.com/spec/v1\n");
  EXPECT_FAILS(model.string(), "git lfs pull");
  write_file(folder / "ggufs/m.gguf", GgufWriter().tensor("a", {8}, 0, 0).data(std::string(32, 'x')).build());
  EXPECT_EQ(error_of((folder / "ggufs").string()), "found " + (folder / "ggufs/m.gguf").string());
  EXPECT_EQ(error_of((folder / "ggufs/m.gguf").string()), "found " + (folder / "ggufs/m.gguf").string());
  EXPECT_TRUE(hub.requests().empty());
}

}  // namespace
}  // namespace vllm
