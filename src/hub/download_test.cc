// Downloads from a hub that misbehaves.
#include "hub/download.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>

#include "base/mapped_file.h"
#include "hub/blob_writer.h"
#include "hub/testing/fake_hub.h"
#include "hub/testing/files.h"

namespace vllm {
namespace {

namespace fs = std::filesystem;
using testing::FakeHub;
using testing::TempFolder;
using testing::TestRequest;
using testing::TestResponse;
using testing::write_file;

std::string noise(size_t size) {
  std::string text(size, '\0');
  uint32_t state = 1;
  for (char& c : text) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return text;
}

class Download : public ::testing::Test {
 protected:
  Download() : hub({{"config.json", {"{}"}}, {"model.safetensors", {noise(300'000), true}}, {"sub/empty.txt", {""}}}) {
    settings.http.stall_timeout = std::chrono::seconds(1);
    settings.first_delay = std::chrono::milliseconds(2);
    settings.max_attempts = 3;
  }

  Status run() {
    HubRepo repo{hub.url(), hub.repo_id, "main", token};
    auto info = ask_repo_info(repo, settings);
    if (!info) return info.error();
    DownloadProgress progress("test", [this](std::string_view, double share) { last_share = share; });
    Status done = download_files(cache(), repo, info->commit, info->files, settings, progress);
    progress.finish();
    return done;
  }
  RepoCache cache() const { return RepoCache(folder.path(), hub.repo_id); }
  std::string content(const std::string& path) const {
    auto text = read_file(cache().snapshot(FakeHub::kCommit) / path);
    return text ? *text : "(missing)";
  }
  fs::path large_blob() const { return cache().blob(FakeHub::etag_of(hub.files.at("model.safetensors"))); }
  void expect_whole() const {
    for (const auto& [path, file] : hub.files) EXPECT_EQ(content(path) == file.content, true) << path;
  }
  /// Change the answers to GETs of the large file's bytes.
  void fault_in_large(std::function<void(int nth, const TestRequest&, TestResponse&)> fault) {
    hub.set_fault(
        [fault, nth = std::make_shared<std::atomic<int>>(0)](const TestRequest& request, TestResponse& response) {
          if (request.target.starts_with("/cdn/")) fault((*nth)++, request, response);
        });
  }

  TempFolder folder;
  FakeHub hub;
  DownloadSettings settings;
  std::string token;
  std::atomic<double> last_share = -1;
};

TEST_F(Download, FillsTheCacheLayout) {
  ASSERT_TRUE(run());
  expect_whole();
  EXPECT_EQ(last_share, 1.0);
  fs::path entry = cache().snapshot(FakeHub::kCommit) / "model.safetensors";
  ASSERT_TRUE(fs::is_symlink(entry));
  EXPECT_EQ(fs::read_symlink(entry), fs::path("../../blobs") / FakeHub::etag_of(hub.files.at("model.safetensors")));
  EXPECT_EQ(fs::read_symlink(cache().snapshot(FakeHub::kCommit) / "sub/empty.txt"),
            fs::path("../../../blobs/e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"));
  size_t before = hub.requests().size();
  ASSERT_TRUE(run());
  EXPECT_EQ(hub.requests().size(), before + 1);  // the list, and nothing else
}

TEST_F(Download, WritesPlainFilesWhereLinksAreNotPossible) {
  settings.use_links = false;
  ASSERT_TRUE(run());
  expect_whole();
  EXPECT_TRUE(fs::symlink_status(cache().snapshot(FakeHub::kCommit) / "model.safetensors").type() ==
              fs::file_type::regular);
  EXPECT_FALSE(fs::exists(large_blob()));  // moved, not stored twice
  size_t before = hub.requests().size();
  ASSERT_TRUE(run());
  EXPECT_EQ(hub.requests().size(), before + 1);
}

TEST_F(Download, KeepsTheTokenFromOtherHosts) {
  token = hub.needed_token = "hf_secret";
  ASSERT_TRUE(run());
  expect_whole();
  int far = 0;
  for (const TestRequest& request : hub.requests()) {
    bool elsewhere = request.target.starts_with("/cdn/");
    far += elsewhere;
    EXPECT_EQ(request.header("authorization"), elsewhere ? "" : "Bearer hf_secret") << request.target;
  }
  EXPECT_EQ(far, 1);
}

TEST_F(Download, ResumesCutConnections) {
  fault_in_large([](int nth, const TestRequest&, TestResponse& response) {
    if (nth < 6) response.cut_after = 30'000;  // more cuts than attempts: each one made progress
  });
  Status done = run();
  ASSERT_TRUE(done) << done.error().message;
  expect_whole();
  std::vector<std::string> ranges;
  for (const TestRequest& request : hub.requests()) {
    if (request.target.starts_with("/cdn/")) ranges.push_back(request.header("range"));
  }
  EXPECT_EQ(ranges, (std::vector<std::string>{"", "bytes=30000-", "bytes=60000-", "bytes=90000-", "bytes=120000-",
                                              "bytes=150000-", "bytes=180000-"}));
}

TEST_F(Download, ResumesWhatAnEarlierProcessLeft) {
  write_file(incomplete_path(large_blob()), hub.files["model.safetensors"].content.substr(0, 1000));
  ASSERT_TRUE(run());
  expect_whole();
  EXPECT_EQ(hub.count("GET", "/cdn/"), 1);
}

TEST_F(Download, SurvivesALeftoverThatIsWrong) {
  write_file(incomplete_path(large_blob()), std::string(1000, 'x'));
  ASSERT_TRUE(run());
  expect_whole();
  write_file(incomplete_path(large_blob()), std::string(400'000, 'x'));  // longer than the file
  fs::remove(large_blob());
  ASSERT_TRUE(run());
  expect_whole();
}

TEST_F(Download, TakesTheWholeFileWhereRangesAreIgnored) {
  write_file(incomplete_path(large_blob()), hub.files["model.safetensors"].content.substr(0, 1000));
  fault_in_large([this](int, const TestRequest&, TestResponse& response) {
    response = {.body = hub.files["model.safetensors"].content};
  });
  ASSERT_TRUE(run());
  expect_whole();
}

TEST_F(Download, RefusesAnotherPartThanItAskedFor) {
  write_file(incomplete_path(large_blob()), hub.files["model.safetensors"].content.substr(0, 1000));
  fault_in_large([](int nth, const TestRequest&, TestResponse& response) {
    if (nth == 0) response.headers["Content-Range"] = "bytes 0-299999/300000";
  });
  ASSERT_TRUE(run());
  expect_whole();
}

TEST_F(Download, StartsAgainAfter416) {
  write_file(incomplete_path(large_blob()), std::string(1000, 'x'));
  fault_in_large([](int nth, const TestRequest&, TestResponse& response) {
    if (nth == 0) response = {.status = 416};
  });
  ASSERT_TRUE(run());
  expect_whole();
}

TEST_F(Download, RefusesAWrongHash) {
  fault_in_large([](int, const TestRequest&, TestResponse& response) { response.body[17] ^= 1; });
  Status done = run();
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("hash"), std::string::npos) << done.error().message;
  EXPECT_EQ(hub.count("GET", "/cdn/"), 2);  // once more, then no further
  EXPECT_FALSE(fs::exists(large_blob()));
  EXPECT_EQ(content("model.safetensors"), "(missing)");
  fault_in_large([](int, const TestRequest&, TestResponse&) {});
  ASSERT_TRUE(run());
  expect_whole();
}

TEST_F(Download, ChecksGitHashesOfSmallFiles) {
  hub.set_fault([](const TestRequest& request, TestResponse& response) {
    if (request.target.ends_with("config.json") && request.method == "GET") response.body = "[]";
  });
  Status done = run();
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("hash"), std::string::npos) << done.error().message;
}

TEST_F(Download, RetriesWhatMayPassAndNotWhatWillNot) {
  std::atomic<int> failures{2};
  hub.set_fault([&](const TestRequest& request, TestResponse& response) {
    if (request.target.ends_with("config.json") && failures-- > 0) response = {.status = 503};
  });
  Status done = run();
  ASSERT_TRUE(done) << done.error().message;
  expect_whole();
  fs::remove_all(folder.path() / "models--acme--tiny");
  hub.set_fault([](const TestRequest& request, TestResponse& response) {
    if (request.target.ends_with("config.json")) response = {.status = 500};
  });
  int before = hub.count("HEAD", "config.json");
  EXPECT_EQ(run().error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(hub.count("HEAD", "config.json"), before + 3);
  hub.set_fault([](const TestRequest& request, TestResponse& response) {
    if (request.target.ends_with("config.json"))
      response = {.status = 403, .headers = {{"X-Error-Message", "No\x01way"}}};
  });
  before = hub.count("HEAD", "config.json");
  done = run();
  EXPECT_EQ(done.error().code, ErrorCode::kPermissionDenied);
  EXPECT_NE(done.error().message.find("No?way"), std::string::npos) << done.error().message;
  EXPECT_EQ(hub.count("HEAD", "config.json"), before + 1);
}

TEST_F(Download, GivesUpOnAStalledServer) {
  fault_in_large([](int, const TestRequest&, TestResponse& response) {
    response.body.clear();
    response.headers["Content-Length"] = "300000";
    response.stall_ms = 20'000;
  });
  settings.max_attempts = 1;
  auto start = std::chrono::steady_clock::now();
  Status done = run();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kUnavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST_F(Download, RefusesLiesAboutSizes) {
  hub.set_fault([](const TestRequest& request, TestResponse& response) {
    if (request.method == "HEAD" && response.headers.contains("X-Linked-Size"))
      response.headers["X-Linked-Size"] = "900000000000000000";
  });
  Status done = run();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kResourceExhausted) << done.error().message;
  EXPECT_NE(done.error().message.find("HF_HOME"), std::string::npos);
  hub.set_fault([](const TestRequest& request, TestResponse& response) {
    if (request.method == "HEAD" && response.headers.contains("X-Linked-Size"))
      response.headers["X-Linked-Size"] = "1000";
  });
  done = run();
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("sends more than the 1000 bytes"), std::string::npos) << done.error().message;
  hub.set_fault([](const TestRequest& request, TestResponse& response) {
    if (request.target.starts_with("/cdn/")) response.headers["Content-Length"] = "900000000000000000";
  });
  EXPECT_TRUE(run());  // the promised rest never comes, what is there is whole
  expect_whole();
}

TEST_F(Download, SeesBeforehandThatTheDiskIsTooSmall) {
  hub.set_fault([](const TestRequest& request, TestResponse& response) {
    if (!request.target.starts_with("/api/")) return;
    response.body.replace(response.body.find("300000"), 6, "900000000000000000");
  });
  Status done = run();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kResourceExhausted);
  EXPECT_NE(done.error().message.find("the model needs 900000000.00 GB"), std::string::npos) << done.error().message;
  EXPECT_EQ(hub.requests().size(), 1u);
}

TEST_F(Download, SaysWhenTheDiskIsFull) {
  fs::create_directories(large_blob().parent_path());
  fs::create_symlink("/dev/full", incomplete_path(large_blob()));
  Status done = run();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kResourceExhausted) << done.error().message;
  EXPECT_NE(done.error().message.find("No space left on device"), std::string::npos) << done.error().message;
}

TEST_F(Download, RefusesHostileEtags) {
  for (const char* hostile : {"../../evil", "", "a/b", ".hidden", "a b"}) {
    hub.set_fault([hostile](const TestRequest& request, TestResponse& response) {
      if (request.method == "HEAD")
        response.headers["ETag"] = response.headers["X-Linked-Etag"] = std::string("\"") + hostile + "\"";
    });
    Status done = run();
    ASSERT_FALSE(done) << hostile;
    EXPECT_NE(done.error().message.find("no usable ETag"), std::string::npos) << done.error().message;
  }
}

TEST_F(Download, RefusesHostileLists) {
  const std::string head = std::string(R"({"sha":")") + FakeHub::kCommit + R"(","siblings":[{"rfilename":")";
  for (const std::string& body :
       {std::string("{"), std::string("[]"), std::string("{}"), std::string(R"({"sha":"../../x","siblings":[]})"),
        head + R"(../x"}]})", head + R"(/etc/x"}]})", head + R"("}]})", head + R"(a\u0000b"}]})",
        head + std::string(300, 'x') + R"("}]})", head + R"(a/../../b"}]})",
        std::string(R"({"sha":"0123456789abcdef0123456789abcdef01234567","siblings":[1]})"),
        std::string(100'000, '[')}) {
    hub.set_fault([body](const TestRequest&, TestResponse& response) { response = {.body = body}; });
    Status done = run();
    ASSERT_FALSE(done) << body.substr(0, 200);
    EXPECT_EQ(done.error().code, ErrorCode::kInvalidArgument) << done.error().message;
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST_F(Download, IsSharedByProcessesAtOnce) {
  fault_in_large([](int, const TestRequest&, TestResponse& response) { response.cut_after = 100'000; });
  settings.max_attempts = 20;
  std::vector<std::future<Status>> all;
  for (int i = 0; i < 4; ++i) all.push_back(std::async(std::launch::async, [this] { return run(); }));
  for (auto& one : all) EXPECT_TRUE(one.get());
  expect_whole();
  EXPECT_EQ(hub.count("GET", "/cdn/"), 3);  // each byte of the large file came once
}

TEST_F(Download, StopsWhenCancelledAndGoesOnLater) {
  std::atomic<bool> cancelled{false};
  settings.http.cancelled = &cancelled;
  fault_in_large([&](int nth, const TestRequest&, TestResponse& response) {
    if (nth > 0) return;
    response.cut_after = 100'000;
    response.stall_ms = 20'000;
  });
  settings.http.stall_timeout = std::chrono::seconds(30);
  std::jthread later([&] {
    for (std::error_code e;
         !fs::exists(incomplete_path(large_blob()), e) || fs::file_size(incomplete_path(large_blob()), e) < 100'000;) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    cancelled = true;
  });
  EXPECT_EQ(run().error().code, ErrorCode::kCancelled);
  later.join();
  cancelled = false;
  ASSERT_TRUE(run());
  expect_whole();
  auto goes_on = [](const TestRequest& request) { return request.header("range") == "bytes=100000-"; };
  EXPECT_TRUE(std::ranges::any_of(hub.requests(), goes_on));  // which file is asked for last is up to the machine
}

}  // namespace
}  // namespace vllm
