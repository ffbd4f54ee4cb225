#include "hub/testing/fake_hub.h"

#include <algorithm>

#include "base/json.h"
#include "hub/sha.h"

namespace vllm::testing {

FakeHub::FakeHub(std::map<std::string, File> contents)
    : files(std::move(contents)), server_([this](const TestRequest& request) { return answer(request); }) {}

int FakeHub::count(const std::string& method, const std::string& part) const {
  auto all = requests();
  return static_cast<int>(std::count_if(all.begin(), all.end(), [&](const TestRequest& request) {
    return request.method == method && request.target.find(part) != request.target.npos;
  }));
}

std::string FakeHub::etag_of(const File& file) {
  Digest digest = file.large ? Digest::sha256() : Digest::git_blob(file.content.size());
  digest.update(file.content);
  return digest.hex();
}

TestResponse with_range(const TestRequest& request, const std::string& body) {
  std::string range = request.header("range");
  if (range.empty()) return {.body = body};
  size_t begin = std::stoull(range.substr(range.find('=') + 1));
  if (begin >= body.size()) return {.status = 416};
  std::string text =
      "bytes " + std::to_string(begin) + "-" + std::to_string(body.size() - 1) + "/" + std::to_string(body.size());
  return {.status = 206, .headers = {{"Content-Range", text}}, .body = body.substr(begin)};
}

TestResponse FakeHub::answer(const TestRequest& request) {
  TestResponse response = answer_well(request);
  std::lock_guard lock(fault_mutex_);
  fault_(request, response);
  return response;
}

void FakeHub::set_fault(Fault fault) {
  std::lock_guard lock(fault_mutex_);
  fault_ = std::move(fault);
}

TestResponse FakeHub::answer_well(const TestRequest& request) {
  const std::string& target = request.target;
  if (target.starts_with("/cdn/")) {
    for (const auto& [path, file] : files) {
      if (target.substr(5) == etag_of(file)) return with_range(request, file.content);
    }
    return {.status = 404};
  }
  if (!needed_token.empty() && request.header("authorization") != "Bearer " + needed_token) {
    bool known = request.header("authorization").empty();
    if (gated)
      return {.status = known ? 401 : 403,
              .headers = {{"X-Error-Code", "GatedRepo"}, {"X-Error-Message", "Access to model is restricted."}}};
    if (known)
      return {.status = 401,
              .headers = {{"X-Error-Code", "RepoNotFound"}, {"X-Error-Message", "Repository not found"}}};
    return {.status = 401, .headers = {{"X-Error-Message", "Invalid credentials in Authorization header"}}};
  }
  std::string api = "/api/models/" + repo_id + "/revision/", raw = "/" + repo_id + "/resolve/" + kCommit + "/";
  if (target.starts_with(api)) {
    std::string revision = target.substr(api.size(), target.find('?') - api.size());
    if (revision == "main" || revision == "v1%2Fbeta" || revision == kCommit) return list_files();
    return {.status = 404, .headers = {{"X-Error-Code", "RevisionNotFound"}}};
  }
  if (target.starts_with(raw)) return resolve(request, target.substr(raw.size()));
  return {.status = 401, .headers = {{"X-Error-Code", "RepoNotFound"}, {"X-Error-Message", "Repository not found"}}};
}

TestResponse FakeHub::list_files() {
  json::array siblings;
  for (const auto& [path, file] : files) siblings.push_back({{"rfilename", path}, {"size", file.content.size()}});
  return {.body = json::serialize(json::object{{"id", repo_id}, {"sha", kCommit}, {"siblings", siblings}})};
}

TestResponse FakeHub::resolve(const TestRequest& request, const std::string& path) {
  auto found = files.find(path);
  if (found == files.end()) return {.status = 404, .headers = {{"X-Error-Code", "EntryNotFound"}}};
  const File& file = found->second;
  TestResponse response = file.large ? TestResponse{.status = 302} : with_range(request, file.content);
  response.headers["X-Repo-Commit"] = kCommit;
  if (file.large) {
    response.headers["Location"] = server_.url("localhost") + "/cdn/" + etag_of(file);
    response.headers["ETag"] = "\"pointer\"";
    response.headers["X-Linked-Etag"] = "\"" + etag_of(file) + "\"";
    response.headers["X-Linked-Size"] = std::to_string(file.content.size());
  } else {
    response.headers["ETag"] = "W/\"" + etag_of(file) + "\"";
  }
  return response;
}

}  // namespace vllm::testing
