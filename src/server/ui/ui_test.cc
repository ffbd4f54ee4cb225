#include "server/ui/ui.h"

#include <gtest/gtest.h>

#include "base/mapped_file.h"

namespace vllm::server {
namespace {

TEST(Ui, HoldsTheFilesAsTheyAre) {
  for (auto [path, file] : {std::pair{"/", "index.html"}, {"/ui/app.js", "app.js"}, {"/ui/style.css", "style.css"}}) {
    auto text = read_file(std::string("src/server/ui/") + file);
    ASSERT_TRUE(text) << "run from the repository's root";
    ASSERT_NE(find_ui_file(path), nullptr);
    EXPECT_EQ(find_ui_file(path)->body, *text);
  }
  EXPECT_EQ(find_ui_file("/ui/nope"), nullptr);
}

// The policy forbids everything inline; tests/e2e/ui_test.py runs the page under it.
TEST(Ui, KeepsToItsPolicy) {
  std::string_view page = find_ui_file("/")->body;
  for (const char* inline_code : {"onclick", "onload", "javascript:", "<style", "style=", "http://", "https://"}) {
    EXPECT_EQ(page.find(inline_code), std::string_view::npos) << inline_code;
  }
  for (const char* sink : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "localStorage"}) {
    EXPECT_EQ(find_ui_file("/ui/app.js")->body.find(sink), std::string_view::npos) << sink;
  }
  EXPECT_EQ(kUiContentSecurityPolicy.find("unsafe"), std::string_view::npos);
}

}  // namespace
}  // namespace vllm::server
