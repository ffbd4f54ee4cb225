#pragma once
// Response heads and the error bodies that the server itself answers with.
#include <string>
#include <string_view>

#include "api/error.h"
#include "serve/http.h"

namespace vllm::server {

/// How the end of a body is told to the client.
enum class Framing { kLength, kChunked, kClose };

/// The status line and all fields, with the blank line. `body_bytes` is used with kLength only.
std::string response_head(const serve::HttpResponse& response, Framing framing, size_t body_bytes, bool close,
                          bool say_keep_alive);
std::string_view reason_phrase(int status);
/// One chunk of a chunked body; `bytes` must not be empty.
void append_chunk(std::string& out, std::string_view bytes);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

serve::HttpResponse to_response(const api::ApiError& error);
/// An error of the protocol: the type is the status' reason phrase.
serve::HttpResponse error_response(int status, std::string message);
/// {"detail": "Not Found"}, as FastAPI answers what no route takes.
serve::HttpResponse detail_response(int status);
serve::HttpResponse text_response(int status, std::string_view text);

}  // namespace vllm::server
