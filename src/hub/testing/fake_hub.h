#pragma once
// A model hub of one repository on loopback: the list, the files, large ones on "another host" (localhost in place of
// 127.0.0.1), with ranges, tokens and gates. What is public is set before the first request; a fault at any time.
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "hub/testing/http_test_server.h"

namespace vllm::testing {

class FakeHub {
 public:
  static constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";

  struct File {
    std::string content;
    bool large = false;  // named by SHA-256 and served by the other host
  };

  explicit FakeHub(std::map<std::string, File> files);

  std::string repo_id = "acme/tiny";
  std::map<std::string, File> files;
  std::string needed_token;  // empty: public
  bool gated = false;

  using Fault = std::function<void(const TestRequest&, TestResponse&)>;
  /// Let `fault` change any answer from now on; none that is under way still uses the one before.
  void set_fault(Fault fault);

  std::string url() const { return server_.url(); }
  std::vector<TestRequest> requests() const { return server_.requests(); }
  /// How many requests had this method and a target that holds `part`.
  int count(const std::string& method, const std::string& part) const;
  static std::string etag_of(const File& file);

 private:
  TestResponse answer(const TestRequest& request);
  TestResponse answer_well(const TestRequest& request);
  TestResponse list_files();
  TestResponse resolve(const TestRequest& request, const std::string& path);

  std::mutex fault_mutex_;
  Fault fault_ = [](const TestRequest&, TestResponse&) {};
  HttpTestServer server_;
};

/// The body, or the part of it that a Range header asks for: 200, 206 or 416.
TestResponse with_range(const TestRequest& request, const std::string& body);

}  // namespace vllm::testing
