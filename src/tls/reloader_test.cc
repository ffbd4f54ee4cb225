#include "tls/reloader.h"

#include <gtest/gtest.h>

#include "tls/testing/certificates.h"

namespace vllm::tls {
namespace {
using testing::Folder;
using testing::make_identity;

TEST(Reloader, TakesNewFilesOnceTheyHaveSettledAndKeepsTheOldForBrokenOnes) {
  Folder folder("tls_reloader_test");
  const auto a = make_identity("a"), b = make_identity("b");
  const std::string cert = folder.write("tls.crt", a.certificate_pem()), key = folder.write("tls.key", a.key_pem());
  auto made = Reloader::make({.certfile = cert, .keyfile = key});
  ASSERT_TRUE(made) << made.error().message;
  Reloader& reloader = **made;
  const auto first = reloader.context();
  reloader.check(), reloader.check();
  EXPECT_EQ(reloader.context(), first);

  folder.write("tls.key", b.key_pem());
  reloader.check();  // seen, not yet settled
  folder.write("tls.crt", b.certificate_pem());
  reloader.check();
  EXPECT_EQ(reloader.context(), first);
  reloader.check();
  const auto second = reloader.context();
  EXPECT_NE(second, first);

  folder.write("tls.crt", "garbage");
  for (int i = 0; i < 3; ++i) reloader.check();
  EXPECT_EQ(reloader.context(), second);
  std::filesystem::remove(cert);
  for (int i = 0; i < 3; ++i) reloader.check();
  EXPECT_EQ(reloader.context(), second);
  folder.write("tls.crt", b.certificate_pem());
  reloader.check(), reloader.check();
  EXPECT_NE(reloader.context(), second);
}

TEST(Reloader, FollowsASymbolicLinkThatIsMoved) {  // Kubernetes: tls.crt -> ..data/tls.crt, ..data -> a dated folder
  namespace fs = std::filesystem;
  Folder folder("tls_reloader_link_test");
  const auto a = make_identity("a"), b = make_identity("b");
  for (const auto& [name, identity] : {std::pair("1", &a), std::pair("2", &b)}) {
    fs::create_directories(folder.path(name));
    folder.write(name + std::string("/tls.crt"), identity->certificate_pem());
    folder.write(name + std::string("/tls.key"), identity->key_pem());
  }
  fs::create_symlink("1", folder.path("data"));
  auto made = Reloader::make({.certfile = folder.path("data/tls.crt"), .keyfile = folder.path("data/tls.key")});
  ASSERT_TRUE(made);
  const auto first = (*made)->context();
  fs::create_symlink("2", folder.path("data_tmp"));
  fs::rename(folder.path("data_tmp"), folder.path("data"));
  (*made)->check(), (*made)->check();
  EXPECT_NE((*made)->context(), first);
}

}  // namespace
}  // namespace vllm::tls
