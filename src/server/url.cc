#include "server/url.h"

namespace vllm::server {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_unreserved(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
         c == '-' || c == '~';
}

// "http://host/x" → "/x". Only this much of the absolute form matters: the authority is not checked, as with Host.
std::string_view origin_form(std::string_view target) {
  for (std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    target.remove_prefix(scheme.size());
    size_t slash = target.find_first_of("/?");
    if (slash == std::string_view::npos) return "/";
    return target.substr(slash);
  }
  return target;
}

}  // namespace

std::string percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      int hi = hex_digit(text[i + 1]), lo = hex_digit(text[i + 2]);
      if (hi >= 0 && lo >= 0) {
        out.push_back(static_cast<char>(hi * 16 + lo));
        i += 2;
        continue;
      }
    }
    out.push_back(text[i]);
  }
  return out;
}

std::string percent_quote(std::string_view text, std::string_view safe) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (unsigned char c : text) {
    if (is_unreserved(c) || safe.find(static_cast<char>(c)) != std::string_view::npos) {
      out.push_back(static_cast<char>(c));
    } else {
      out.push_back('%');
      out.push_back(kHex[c >> 4]);
      out.push_back(kHex[c & 15]);
    }
  }
  return out;
}

Target parse_target(std::string_view target, std::string_view root_path) {
  target = origin_form(target);
  Target out;
  size_t question = target.find('?');
  if (question != std::string_view::npos) out.query = target.substr(question + 1);
  out.path = percent_decode(target.substr(0, question));
  out.logged = percent_quote(out.path);
  // The query is logged as sent, but a byte that isn't ASCII must not reach the log as it is.
  if (question != std::string_view::npos) {
    out.logged += "?" + percent_quote(out.query, "/%?#=@[]!$&'()*+,;:|^`{}<>\\");
  }
  while (root_path.ends_with('/')) root_path.remove_suffix(1);
  if (!root_path.empty() && out.path.starts_with(root_path)) {
    if (out.path.size() == root_path.size())
      out.path = "/";
    else if (out.path[root_path.size()] == '/')
      out.path.erase(0, root_path.size());
  }
  return out;
}

}  // namespace vllm::server
