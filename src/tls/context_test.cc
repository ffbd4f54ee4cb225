#include "tls/context.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "tls/testing/certificates.h"

namespace vllm::tls {
namespace {
using testing::Folder;
using ::testing::HasSubstr;
using testing::make_identity;

class ServerContext : public ::testing::Test {
 protected:
  std::string error_of(const ServerSettings& settings) {
    auto made = Context::make_server(settings);
    return made ? "" : made.error().message;
  }
  Folder folder_{"tls_context_test"};
  const testing::Identity identity_ = make_identity("one"), other_ = make_identity("two");
  const std::string cert_ = folder_.write("a.crt", identity_.certificate_pem()),
                    key_ = folder_.write("a.key", identity_.key_pem());
};

TEST_F(ServerContext, TakesKeyAndCertificateFromOneFileOrTwo) {
  EXPECT_EQ(error_of({.certfile = cert_, .keyfile = key_}), "");
  EXPECT_EQ(error_of({.certfile = folder_.write("both.pem", identity_.key_pem() + identity_.certificate_pem())}), "");
  const testing::Identity leaf = make_identity("leaf", &identity_);
  EXPECT_EQ(error_of({.certfile = folder_.write("chain.pem", leaf.certificate_pem() + identity_.certificate_pem()),
                      .keyfile = folder_.write("leaf.key", leaf.key_pem())}),
            "");
  EXPECT_EQ(error_of({.certfile = cert_, .keyfile = key_, .ciphers = "ECDHE+AESGCM"}), "");
}

TEST_F(ServerContext, SaysWhichFlagIsWrongAndWhatToDo) {
  const std::string broken =
      folder_.write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  struct Case {
    ServerSettings settings;
    std::vector<std::string> words;
  };
  const std::string absent = folder_.path("absent.pem");
  const Case cases[] = {
      {{.certfile = absent, .keyfile = key_}, {"--ssl-certfile " + absent, "no such file"}},
      {{.certfile = cert_, .keyfile = absent}, {"--ssl-keyfile " + absent, "no such file"}},
      {{.certfile = cert_, .keyfile = folder_.path("")}, {"--ssl-keyfile", "no regular file"}},
      {{.certfile = cert_, .keyfile = cert_}, {"--ssl-keyfile", "BEGIN PRIVATE KEY"}},
      {{.certfile = cert_}, {"--ssl-certfile", "no private key", "--ssl-keyfile"}},
      {{.certfile = key_, .keyfile = key_}, {"--ssl-certfile", "BEGIN CERTIFICATE"}},
      {{.certfile = broken, .keyfile = key_}, {"--ssl-certfile", "certificate 1 in it is damaged"}},
      {{.certfile = cert_, .keyfile = folder_.write("other.key", other_.key_pem())}, {"--ssl-keyfile", "not the key"}},
      {{.certfile = cert_, .keyfile = folder_.write("locked.key", identity_.key_pem("secret"))},
       {"--ssl-keyfile", "encrypted", "openssl pkey -in"}},
      {{.keyfile = key_}, {"--ssl-keyfile needs --ssl-certfile"}},
      {{.ca_certs = cert_}, {"--ssl-ca-certs needs --ssl-certfile"}},
      {{.cert_reqs = ClientCertificates::kRequired}, {"--ssl-cert-reqs needs --ssl-certfile"}},
      {{.certfile = cert_, .keyfile = key_, .cert_reqs = ClientCertificates::kRequired},
       {"--ssl-cert-reqs 2 needs --ssl-ca-certs"}},
      {{.certfile = cert_, .keyfile = key_, .ca_certs = key_}, {"--ssl-ca-certs", "no certificate"}},
      {{.certfile = cert_, .keyfile = key_, .ciphers = "NONSENSE"}, {"--ssl-ciphers NONSENSE"}},
  };
  for (const Case& c : cases) {
    const std::string message = error_of(c.settings);
    for (const std::string& word : c.words) EXPECT_THAT(message, HasSubstr(word));
  }
}

TEST_F(ServerContext, SaysWhoMayNotReadTheKey) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  ::chmod(key_.c_str(), 0);
  EXPECT_THAT(error_of({.certfile = cert_, .keyfile = key_}), HasSubstr("may not read it"));
}

}  // namespace
}  // namespace vllm::tls
