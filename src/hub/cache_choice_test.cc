#include "hub/cache_choice.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/testing/files.h"
#include "hub/testing/scoped_env.h"

namespace vllm {
namespace {
namespace fs = std::filesystem;
using testing::ScopedEnv;
using testing::TempFolder;

class CacheChoice : public ::testing::Test {
 protected:
  CacheChoice() {
    for (const char* name : {"HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"})
      environment.unset(name);
    environment.set("HOME", "/dev/null/home");  // for no user, root included
  }
  std::string chosen(const std::string& download_dir = "") {
    auto cache = choose_cache_folder(download_dir, "acme/tiny", fallbacks);
    return cache ? cache->string() : "error: " + cache.error().message;
  }
  static void put_model(const fs::path& cache) { fs::create_directories(cache / "models--acme--tiny/snapshots"); }

  TempFolder folder;
  ScopedEnv environment;
  const fs::path first = folder / "first/hub", second = folder / "second/hub";
  std::vector<fs::path> fallbacks = {"/dev/null/hub", first, second};
};

TEST_F(CacheChoice, FollowsHomeWhereItCanBeWrittenTo) {
  environment.set("HOME", (folder / "home").string());
  EXPECT_EQ(chosen(), (folder / "home/.cache/huggingface/hub").string());
}

TEST_F(CacheChoice, FallsBackToTheFirstFolderThatCanBeWrittenTo) {
  EXPECT_EQ(chosen(), first.string());
  environment.unset("HOME");
  EXPECT_EQ(chosen(), first.string());
}

TEST_F(CacheChoice, PrefersTheOneThatHoldsTheModel) {
  put_model(second);
  EXPECT_EQ(chosen(), second.string());
}

TEST_F(CacheChoice, WhatWasNamedIsTaken) {
  put_model(second);
  EXPECT_EQ(chosen("/dev/null/named"), "/dev/null/named");
  environment.set("HF_HOME", "/dev/null/hf");
  EXPECT_EQ(chosen(), "/dev/null/hf/hub");
}

TEST_F(CacheChoice, KeepsTheUsualWordsIfNothingCanBeWrittenTo) {
  fallbacks = {"/dev/null/hub"};
  EXPECT_EQ(chosen(), "/dev/null/home/.cache/huggingface/hub");
  environment.unset("HOME");
  EXPECT_EQ(chosen().substr(0, 26), "error: no folder for model");
}

TEST_F(CacheChoice, TrustsOnlyItsOwnFolderInTmp) {
  environment.set("TMPDIR", folder.path().string());
  const fs::path own = fallback_caches().back();
  const fs::path top = folder / ("vllm-" + std::to_string(::geteuid()));
  EXPECT_EQ(own, top / "huggingface/hub");
  fallbacks = {own};
  EXPECT_EQ(chosen(), own.string());
  struct stat info{};
  ASSERT_EQ(::stat(top.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  fs::permissions(top, fs::perms::all);  // somebody else could have put files there
  EXPECT_EQ(chosen(), "/dev/null/home/.cache/huggingface/hub");
  fs::remove_all(top);
  fs::create_directory_symlink(folder.path(), top);
  EXPECT_EQ(chosen(), "/dev/null/home/.cache/huggingface/hub");
}

}  // namespace
}  // namespace vllm
