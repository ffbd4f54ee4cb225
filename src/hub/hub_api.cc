#include "hub/hub_api.h"

#include <algorithm>
#include <charconv>

#include "base/env.h"
#include "base/json.h"
#include "hub/repo_id.h"

namespace vllm {
namespace {

constexpr size_t kMaxListBytes = 32 << 20;
constexpr size_t kMaxFiles = 50'000;

std::optional<uint64_t> number_of(std::string_view text) {
  uint64_t value = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The tag inside `W/"tag"`; empty if it could not be a file's name.
std::string normalized_etag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  while (!etag.empty() && etag.front() == '"') etag.remove_prefix(1);
  while (!etag.empty() && etag.back() == '"') etag.remove_suffix(1);
  bool safe = etag.size() <= 128 && !etag.starts_with('.') &&
              std::all_of(etag.begin(), etag.end(),
                          [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; });
  return safe ? std::string(etag) : std::string();
}

Result<RepoInfo> parse_repo_info(const std::string& body) {
  ASSIGN_OR_RETURN(json::value document, parse_json(body));
  if (!document.is_object()) return invalid_argument("no JSON object");
  const json::object& object = document.get_object();
  RepoInfo info;
  info.commit = get_string(object, "sha").value_or("");
  if (!is_commit_hash(info.commit)) return invalid_argument("\"sha\" is no commit");
  const json::array* siblings = get_array(object, "siblings");
  if (!siblings) return invalid_argument("no list of files");
  if (siblings->size() > kMaxFiles)
    return invalid_argument("{} files; at most {} are allowed", siblings->size(), kMaxFiles);
  for (const json::value& sibling : *siblings) {
    auto name = sibling.is_object() ? get_string(sibling.get_object(), "rfilename") : std::nullopt;
    if (!name || !is_safe_repo_path(*name)) return invalid_argument("it lists a file whose name is not safe to use");
    auto size = get_int(sibling.get_object(), "size");
    info.files.push_back({*std::move(name), size && *size >= 0 ? std::optional<uint64_t>(*size) : std::nullopt});
  }
  std::sort(info.files.begin(), info.files.end(), [](const RepoFile& a, const RepoFile& b) { return a.path < b.path; });
  auto same = [](const RepoFile& a, const RepoFile& b) { return a.path == b.path; };
  info.files.erase(std::unique(info.files.begin(), info.files.end(), same), info.files.end());
  return info;
}

/// A server's words for our log: short, without control characters.
std::string quoted_message(const HttpResponse& response) {
  std::string text(response.header("x-error-message").substr(0, 300));
  std::replace_if(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

bool is_success(const HttpResponse& response) { return response.status >= 200 && response.status < 300; }

Error gated(const HubRepo& repo) {
  if (repo.token.empty()) {
    return error(ErrorCode::kPermissionDenied,
                 "{0} is gated: request access at {1}, then pass a token of your account in HF_TOKEN (or --hf-token)",
                 repo.repo_id, repo.page());
  }
  return error(ErrorCode::kPermissionDenied,
               "{0} is gated and the token in HF_TOKEN (or --hf-token) has no access to it: request access at {1} with "
               "the token's "
               "account, and give a fine-grained token the right to read gated repositories",
               repo.repo_id, repo.page());
}

}  // namespace

std::string hub_endpoint() {
  std::string endpoint = env("HF_ENDPOINT").value_or("https://huggingface.co");
  while (endpoint.ends_with('/')) endpoint.pop_back();
  return endpoint;
}

std::string HubRepo::file_url(std::string_view commit, std::string_view path) const {
  return page() + "/resolve/" + percent_encode(commit, false) + "/" + percent_encode(path, true);
}

Error explain_status(const HttpResponse& response, const HubRepo& repo) {
  std::string_view code = response.header("x-error-code");
  std::string message = quoted_message(response);
  if (code == "GatedRepo") return gated(repo);
  if (code == "RevisionNotFound") {
    return error(ErrorCode::kNotFound, "{} has no revision \"{}\"; see {}", repo.repo_id, repo.revision, repo.page());
  }
  if (code == "EntryNotFound")
    return error(ErrorCode::kNotFound, "a file is missing in {}; see {}", repo.repo_id, repo.page());
  if (response.status == 401 && message == "Invalid credentials in Authorization header") {
    return error(ErrorCode::kPermissionDenied,
                 "the hub refused the token in HF_TOKEN (or --hf-token, or the token file): it is wrong or expired");
  }
  if (code == "RepoNotFound" || response.status == 401 || response.status == 404) {
    return error(ErrorCode::kNotFound, "there is no model {} at {}, or it is private{}", repo.repo_id, repo.endpoint,
                 repo.token.empty() ? "; for a private one pass a token in HF_TOKEN (or --hf-token)"
                                    : " and the token in HF_TOKEN (or --hf-token) has no access to it");
  }
  if (response.status == 403) {
    return message.empty() ? gated(repo)
                           : error(ErrorCode::kPermissionDenied,
                                   "the hub refuses {}: {} (token in HF_TOKEN or --hf-token; page {})", repo.repo_id,
                                   message, repo.page());
  }
  bool again = response.status == 408 || response.status == 429 || response.status >= 500;
  return error(again ? ErrorCode::kUnavailable : ErrorCode::kInvalidArgument, "{} answered {}{}{}", repo.endpoint,
               response.status, message.empty() ? "" : ": ", message);
}

Result<RepoInfo> fetch_repo_info(HttpClient& client, const HubRepo& repo) {
  std::string url = repo.endpoint + "/api/models/" + repo.repo_id + "/revision/" +
                    percent_encode(repo.revision, false) + "?blobs=true";
  ASSIGN_OR_RETURN(HttpResponse response, client.fetch({.url = url, .token = repo.token}, kMaxListBytes));
  if (!is_success(response)) return explain_status(response, repo);
  return parse_repo_info(response.body)
      .with_context("the answer of {} about {} makes no sense", repo.endpoint, repo.repo_id);
}

Result<FileInfo> fetch_file_info(HttpClient& client, const HubRepo& repo, std::string_view commit,
                                 std::string_view path) {
  HttpRequest request{
      .url = repo.file_url(commit, path), .head = true, .token = repo.token, .follow_to_other_hosts = false};
  ASSIGN_OR_RETURN(HttpResponse response, client.fetch(request, 0));
  bool elsewhere =
      response.status >= 300 && response.status < 400;  // large files lie on another host; the headers are here
  if (!is_success(response) && !elsewhere) return explain_status(response, repo);
  FileInfo info;
  std::string_view linked = response.header("x-linked-etag");
  info.etag = normalized_etag(linked.empty() ? response.header("etag") : linked);
  if (info.etag.empty()) return invalid_argument("{} gives no usable ETag for {}", repo.endpoint, path);
  info.size = number_of(response.header("x-linked-size"));
  if (!info.size && !elsewhere) info.size = number_of(response.header("content-length"));
  return info;
}

}  // namespace vllm
