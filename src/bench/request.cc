#include "bench/request.h"

#include <charconv>

namespace vllm::bench {
namespace {

void add_headers(std::string& out, const Target& target, const Headers& headers) {
  out += " HTTP/1.1\r\nHost: " + target.host_header + "\r\nUser-Agent: vllm-bench\r\nAccept: */*\r\n";
  for (const auto& [name, value] : headers) out += name + ": " + value + "\r\n";
}

std::string trimmed(std::string_view text) {
  size_t first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t");
  return first == std::string_view::npos ? std::string() : std::string(text.substr(first, last - first + 1));
}

bool is_port(std::string_view text) {
  int value = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  return ec == std::errc() && end == text.data() + text.size() && value > 0 && value < 65536;
}

}  // namespace

Result<Target> parse_base_url(std::string_view url) {
  const bool tls = url.starts_with("https://");
  if (!tls && !url.starts_with("http://"))
    return invalid_argument("--base-url {}: expected http://host:port or https://host:port", url);
  std::string_view rest = url.substr(tls ? 8 : 7);
  size_t slash = std::min(rest.find('/'), rest.size());
  std::string_view authority = rest.substr(0, slash), prefix = rest.substr(slash);
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  Target out{
      .port = tls ? "443" : "80", .prefix = std::string(prefix), .host_header = std::string(authority), .tls = tls};
  size_t colon = authority.rfind(':');
  if (authority.starts_with('[')) {
    size_t close = authority.find(']');
    if (close == std::string_view::npos) return invalid_argument("--base-url {}: a bracket is missing", url);
    out.host = authority.substr(1, close - 1);
    if (colon < close) colon = std::string_view::npos;
  } else {
    out.host = authority.substr(0, colon);
  }
  if (colon != std::string_view::npos) out.port = authority.substr(colon + 1);
  if (out.host.empty() || !is_port(out.port) || url.find_first_of(" \r\n") != std::string_view::npos)
    return invalid_argument("--base-url {}: expected http://host:port", url);
  return out;
}

Target make_target(const std::string& host, int64_t port) {
  std::string text = std::to_string(port);
  return {.host = host,
          .port = text,
          .host_header = (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + text};
}

Result<Headers> parse_pairs(std::string_view flag, const std::vector<std::string>& items) {
  Headers out;
  for (const std::string& item : items) {
    size_t equals = item.find('=');
    if (equals == std::string::npos || item.find_first_of("\r\n") != std::string::npos)
      return invalid_argument("--{} {}: expected KEY=VALUE", flag, item);
    out.emplace_back(trimmed(std::string_view(item).substr(0, equals)),
                     trimmed(std::string_view(item).substr(equals + 1)));
  }
  return out;
}

std::string request_body(const RequestPlan& plan, const Sample& sample) {
  json::object body;
  body["model"] = plan.model;
  if (plan.api == Api::kChat) {
    json::object part{{"type", "text"}, {"text", sample.text}};
    body["messages"] = json::array{json::object{{"role", "user"}, {"content", json::array{std::move(part)}}}};
    body["max_completion_tokens"] = sample.output_len;
  } else {
    if (sample.ids.empty()) {
      body["prompt"] = sample.text;
    } else {
      body["prompt"] = json::array(sample.ids.begin(), sample.ids.end());
    }
    body["repetition_penalty"] = 1.0;
    body["max_tokens"] = sample.output_len;
  }
  body["stream"] = true;
  body["stream_options"] = json::object{{"include_usage", true}};
  for (const auto& field : plan.fields) body[field.key()] = field.value();
  return json::serialize(body);
}

std::string post_request(const RequestPlan& plan, const Sample& sample, std::string_view request_id) {
  std::string body = request_body(plan, sample);
  std::string out = "POST " + plan.target.prefix + plan.path;
  add_headers(out, plan.target, plan.headers);
  if (!request_id.empty()) out += "x-request-id: " + std::string(request_id) + "\r\n";
  out += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  return out + body;
}

std::string empty_post(const Target& target, std::string_view path, const Headers& headers) {
  std::string out = "POST " + target.prefix + std::string(path);
  add_headers(out, target, headers);
  return out + "Content-Length: 0\r\n\r\n";
}

std::string get_request(const Target& target, std::string_view path, const Headers& headers) {
  std::string out = "GET " + target.prefix + std::string(path);
  add_headers(out, target, headers);
  return out + "\r\n";
}

}  // namespace vllm::bench
