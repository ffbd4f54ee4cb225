#pragma once
// Requests as bytes, ready to be written to a socket.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "bench/args.h"
#include "bench/dataset.h"
#include "bench/stream_chunk.h"

namespace vllm::bench {

/// Where a server is.
struct Target {
  std::string host;  // without brackets
  std::string port = "80";
  std::string prefix;       // of every path; no slash at its end
  std::string host_header;  // host:port as in a URL
  bool tls = false;
  bool verify = true;  // the certificate's name and signature
};
/// kInvalidArgument for anything but http(s)://host[:port][/prefix].
Result<Target> parse_base_url(std::string_view url);
Target make_target(const std::string& host, int64_t port);

using Headers = std::vector<std::pair<std::string, std::string>>;
/// "KEY=VALUE" items. kInvalidArgument names the flag.
Result<Headers> parse_pairs(std::string_view flag, const std::vector<std::string>& items);

/// What all requests of a run share.
struct RequestPlan {
  Target target;
  Api api = Api::kCompletions;
  std::string path, model;
  Headers headers;
  json::object fields;  // sampling parameters, ignore_eos, --extra-body
};
/// The JSON body: prompt or messages, length limit, streaming with usage, then `fields`.
std::string request_body(const RequestPlan& plan, const Sample& sample);
/// The whole POST request.
std::string post_request(const RequestPlan& plan, const Sample& sample, std::string_view request_id);
/// A POST without a body.
std::string empty_post(const Target& target, std::string_view path, const Headers& headers);
std::string get_request(const Target& target, std::string_view path, const Headers& headers);

}  // namespace vllm::bench
