#pragma once
// One HTTP response with a stream of tokens: bytes and the times they were read in, an Outcome out. Knows no socket.
#include <boost/beast/http/basic_parser.hpp>

#include <string>
#include <string_view>

#include "base/result.h"
#include "bench/outcome.h"
#include "bench/sse_parser.h"
#include "bench/stream_chunk.h"

namespace vllm::bench {

/// Beast's HTTP/1.1 parser, with each piece of the body given to `on_body` as it arrives.
class ReplyReader : private boost::beast::http::basic_parser<false> {
 public:
  /// `outcome` is filled in as the reply comes; its start_time and prompt_len are set already. `is_stream` false: the
  /// body is kept as text (GET /v1/models).
  ReplyReader(Api api, Outcome& outcome, bool is_stream = true);

  /// Take bytes that were read at `now`. The count of bytes used: the rest must be given again with more behind them.
  /// kUnavailable: no HTTP, or more than can be.
  Result<size_t> feed(std::string_view bytes, double now);
  /// The connection ended. kUnavailable if the reply had not.
  Status end();
  /// After the last byte: success, text, error.
  void finish();

  bool done() { return is_done(); }
  bool keeps_connection() { return is_done() && keep_alive(); }
  int status() const { return status_; }
  const std::string& body() const { return body_; }

 private:
  using Text = boost::beast::string_view;
  using Code = boost::beast::error_code;
  void on_request_impl(boost::beast::http::verb, Text, Text, int, Code&) override {}
  void on_response_impl(int code, Text reason, int version, Code& ec) override;
  void on_field_impl(boost::beast::http::field, Text, Text, Code&) override {}
  void on_header_impl(Code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Code&) override {}
  std::size_t on_body_impl(Text body, Code& ec) override;
  void on_chunk_header_impl(std::uint64_t, Text, Code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t remain, Text body, Code& ec) override;
  void on_finish_impl(Code&) override {}

  void take_body(std::string_view bytes, Code& ec);
  void take_event(std::string_view data);

  const Api api_;
  const bool is_stream_;
  Outcome& outcome_;
  int status_ = 0;
  std::string reason_, body_;  // body_: of errors, and of what is no stream
  std::string raw_text_;       // the answer, JSON escapes as they are
  std::string stream_error_;
  SseParser events_;
  double now_ = 0, last_ = 0;
  bool first_seen_ = false;
};

}  // namespace vllm::bench
