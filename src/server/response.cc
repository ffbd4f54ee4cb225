#include "server/response.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <charconv>
#include <ctime>
#include <iterator>

namespace vllm::server {
namespace {

struct StatusRow {
  int status;
  std::string_view reason;
};
constexpr StatusRow kReasons[] = {{100, "Continue"},
                                  {200, "OK"},
                                  {204, "No Content"},
                                  {307, "Temporary Redirect"},
                                  {400, "Bad Request"},
                                  {401, "Unauthorized"},
                                  {403, "Forbidden"},
                                  {404, "Not Found"},
                                  {405, "Method Not Allowed"},
                                  {408, "Request Timeout"},
                                  {409, "Conflict"},
                                  {413, "Request Entity Too Large"},
                                  {414, "Request-URI Too Long"},
                                  {415, "Unsupported Media Type"},
                                  {422, "Unprocessable Entity"},
                                  {429, "Too Many Requests"},
                                  {431, "Request Header Fields Too Large"},
                                  {499, "Client Closed Request"},
                                  {500, "Internal Server Error"},
                                  {501, "Not Implemented"},
                                  {502, "Bad Gateway"},
                                  {503, "Service Unavailable"},
                                  {504, "Gateway Timeout"}};

// Formatted once a second and thread.
const std::string& http_date() {
  thread_local std::time_t at = 0;
  thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now != at) {
    at = now;
    text = fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(now));
  }
  return text;
}

// A value may come from a client (X-Request-Id): nothing in it may end the line.
void append_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  for (char c : value) {
    if (c != '\r' && c != '\n' && c != '\0') out.push_back(c);
  }
  out += "\r\n";
}

}  // namespace

std::string_view reason_phrase(int status) {
  for (const StatusRow& row : kReasons) {
    if (row.status == status) return row.reason;
  }
  return "Unknown";
}

std::string response_head(const serve::HttpResponse& response, Framing framing, size_t body_bytes, bool close,
                          bool say_keep_alive) {
  std::string out;
  out.reserve(256);
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", response.status, reason_phrase(response.status));
  append_field(out, "date", http_date());
  append_field(out, "server", "vllm.cpp");
  for (const auto& [name, value] : response.headers) append_field(out, name, value);
  if (framing == Framing::kLength) append_field(out, "content-length", fmt::to_string(body_bytes));
  if (!response.content_type.empty() && (framing != Framing::kLength || body_bytes > 0)) {
    append_field(out, "content-type", response.content_type);
  }
  if (framing == Framing::kChunked) out += "transfer-encoding: chunked\r\n";
  if (close)
    out += "connection: close\r\n";
  else if (say_keep_alive)
    out += "connection: keep-alive\r\n";
  out += "\r\n";
  return out;
}

void append_chunk(std::string& out, std::string_view bytes) {
  char digits[2 * sizeof(size_t)];
  const auto end = std::to_chars(digits, digits + sizeof digits, bytes.size(), 16).ptr;
  out.append(digits, end);
  out += "\r\n";
  out += bytes;
  out += "\r\n";
}

serve::HttpResponse to_response(const api::ApiError& error) {
  serve::HttpResponse out;
  out.status = error.status;
  out.body = error.body();
  return out;
}

serve::HttpResponse error_response(int status, std::string message) {
  api::ApiError error;
  error.status = status;
  error.type = reason_phrase(status);
  error.message = std::move(message);
  return to_response(error);
}

serve::HttpResponse detail_response(int status) {
  api::ApiError error;
  error.status = status;
  error.message = reason_phrase(status);
  error.detail_only = true;
  return to_response(error);
}

serve::HttpResponse text_response(int status, std::string_view text) {
  serve::HttpResponse out;
  out.status = status;
  out.content_type = "text/plain; charset=utf-8";
  out.body = text;
  return out;
}

}  // namespace vllm::server
