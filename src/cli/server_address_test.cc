#include "cli/server_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace vllm::cli {
namespace {
namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

class Files : public testing::Test {
 protected:
  Files() { fs::create_directories(dir_); }
  ~Files() override { fs::remove_all(dir_); }
  std::string write(const fs::path& name, const std::string& text) {
    fs::create_directories((dir_ / name).parent_path());
    std::ofstream(dir_ / name, std::ios::binary) << text;
    return (dir_ / name).string();
  }
  std::string shown(const std::vector<std::string>& argv, const std::string& system_config = "") {
    auto address = server_address(argv, dir_, system_config);
    return address ? address->shown() : "error: " + address.error().message;
  }
  fs::path dir_ = fs::temp_directory_path() / ("server_address_test." + std::to_string(::getpid()));
};

TEST_F(Files, AddressFollowsTheFlags) {
  EXPECT_EQ(shown({}), "http://127.0.0.1:8000");
  EXPECT_EQ(shown({"org/model", "--port", "1", "--port=81"}), "http://127.0.0.1:81");
  EXPECT_EQ(shown({"vllm", "serve", "org/model", "--port", "82"}), "http://127.0.0.1:82");
  EXPECT_EQ(shown({"--host", "0.0.0.0"}), "http://127.0.0.1:8000");
  EXPECT_EQ(shown({"--host", "::"}), "http://127.0.0.1:8000");
  EXPECT_EQ(shown({"--host", "10.1.2.3,10.1.2.4"}), "http://10.1.2.3:8000");
  EXPECT_EQ(shown({"--host=fd00::1"}), "http://[fd00::1]:8000");
  EXPECT_EQ(shown({"--uds", "/run/vllm.sock", "--port", "9"}), "unix:/run/vllm.sock");
  EXPECT_EQ(shown({"--uds", "vllm.sock"}), "unix:" + (dir_ / "vllm.sock").string());
  EXPECT_EQ(shown({"--ssl-keyfile", "k.pem", "--ssl-certfile", "c.pem", "--port", "8443"}), "https://127.0.0.1:8443");
  const auto guarded = server_address(
      {"--ssl-keyfile", "k.pem", "--ssl-certfile", "/c.pem", "--ssl-ca-certs", "ca.pem", "--ssl-cert-reqs", "2"}, dir_,
      "");
  ASSERT_TRUE(guarded);
  EXPECT_EQ(guarded->client_certificate, "/c.pem");
  EXPECT_EQ(guarded->client_key, (dir_ / "k.pem").string());
  EXPECT_EQ(shown({"--api-key", "k", "--tensor-parallel-size", "8", "#", "--port", "9"}), "http://127.0.0.1:8000");
  EXPECT_THAT(shown({"--port", "eight"}), testing::StartsWith("error: --port"));
  EXPECT_THAT(shown({"--no-such-flag"}), testing::StartsWith("error: unrecognized"));
}

TEST_F(Files, ConfigFilesCountLessThanTheCommandLine) {
  write("named.yaml", "port: 7001\nhost: 10.0.0.1\n");
  const std::string system = write("system.yaml", "port: 7002\nuds: /run/s\n");
  EXPECT_EQ(shown({"--config", "named.yaml"}), "http://10.0.0.1:7001");  // relative to the server's folder
  EXPECT_EQ(shown({"--config", "named.yaml", "--port", "7003"}), "http://10.0.0.1:7003");
  EXPECT_EQ(shown({}, system), "unix:/run/s");
  EXPECT_EQ(shown({"--uds", ""}, system), "http://127.0.0.1:7002");
  EXPECT_THAT(shown({"--config", "absent.yaml"}), testing::StartsWith("error: "));
}

TEST_F(Files, FindsServersAmongProcesses) {
  using namespace std::string_literals;
  write("proc/12/comm", "vllm\n");
  write("proc/12/cmdline", "/usr/local/bin/vllm\0serve\0m\0--served-model-name\0\0--port\0009\0"s);
  write("proc/7/comm", "vllm\n");
  write("proc/7/cmdline", "vllm\0serve\0"s);
  fs::create_symlink("/srv", dir_ / "proc/7/cwd");
  write("proc/8/comm", "vllm\n");
  write("proc/8/cmdline", "vllm\0health\0"s);
  write("proc/9/comm", "vllm\n");  // a zombie
  write("proc/9/cmdline", "");
  write("proc/10/comm", "bash\n");
  write("proc/10/cmdline", "bash\0serve\0"s);
  write("proc/self/comm", "vllm\n");
  for (const char* pid : {"self", "7"}) {
    fs::create_directories(dir_ / "proc" / pid / "ns");
    fs::create_symlink("net:[1]", dir_ / "proc" / pid / "ns/net");
  }
  write("proc/11/comm", "vllm\n");  // of another container
  write("proc/11/cmdline", "vllm\0serve\0"s);
  fs::create_directories(dir_ / "proc/11/ns");
  fs::create_symlink("net:[2]", dir_ / "proc/11/ns/net");

  const auto found = running_servers(dir_ / "proc");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].pid, 7);
  EXPECT_THAT(found[0].argv, IsEmpty());
  EXPECT_EQ(found[0].cwd, "/srv");
  EXPECT_EQ(found[1].pid, 12);
  EXPECT_THAT(found[1].argv, ElementsAre("m", "--served-model-name", "", "--port", "9"));
  EXPECT_EQ(server_address(found[1].argv, found[1].cwd, "")->port, 9);
  EXPECT_THAT(running_servers(dir_ / "absent"), IsEmpty());
}

TEST(ServerUrl, IsParsed) {
  auto url = [](const std::string& text) {
    auto address = parse_server_url(text);
    return address ? address->shown() : "error";
  };
  EXPECT_EQ(url("http://h:81"), "http://h:81");
  EXPECT_EQ(url("https://h/x/y"), "https://h:443");
  EXPECT_EQ(url("http://[::1]:5/"), "http://[::1]:5");
  EXPECT_EQ(url("http://[::1]"), "http://[::1]:80");
  EXPECT_EQ(url("unix:/a"), "unix:/a");
  for (const char* bad : {"", "h", "h:80", "ftp://h", "http://", "http://:80", "http://h:x", "http://h:99999", "unix:"})
    EXPECT_EQ(url(bad), "error") << bad;
}

}  // namespace
}  // namespace vllm::cli
