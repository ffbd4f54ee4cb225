#include "bench/reply_reader.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>

#include "base/json.h"

namespace vllm::bench {
namespace http = boost::beast::http;
namespace {
constexpr size_t kMaxPlainBody = size_t{16} << 20;  // of an error or a list of models
}

ReplyReader::ReplyReader(Api api, Outcome& outcome, bool is_stream)
    : api_(api), is_stream_(is_stream), outcome_(outcome) {
  eager(true);
  body_limit(boost::none);  // a stream may be as long as it likes
}

Result<size_t> ReplyReader::feed(std::string_view bytes, double now) {
  now_ = now;
  size_t used = 0;
  while (used < bytes.size() && !is_done()) {
    Code ec;
    size_t step = put(boost::asio::buffer(bytes.data() + used, bytes.size() - used), ec);
    used += step;
    if (ec == http::error::need_more) break;
    if (ec) return error(ErrorCode::kUnavailable, "the server's reply is no HTTP: {}", ec.message());
    if (step == 0) break;
  }
  return used;
}

Status ReplyReader::end() {
  if (is_done()) return {};
  Code ec;
  if (got_some()) put_eof(ec);
  if (is_done() && !ec) return {};
  return error(ErrorCode::kUnavailable, "the server closed the connection before its reply was complete");
}

void ReplyReader::on_response_impl(int code, Text reason, int, Code&) {
  status_ = code;
  reason_ = std::string(reason);
}

std::size_t ReplyReader::on_body_impl(Text body, Code& ec) {
  take_body({body.data(), body.size()}, ec);
  return body.size();
}

std::size_t ReplyReader::on_chunk_body_impl(std::uint64_t, Text body, Code& ec) {
  take_body({body.data(), body.size()}, ec);
  return body.size();
}

void ReplyReader::take_body(std::string_view bytes, Code& ec) {
  if (is_stream_ && status_ == 200) {
    if (!events_.feed(bytes, [this](std::string_view data) { take_event(data); })) ec = http::error::body_limit;
  } else if (body_.size() + bytes.size() > kMaxPlainBody) {
    ec = http::error::body_limit;
  } else {
    body_ += bytes;
  }
}

void ReplyReader::take_event(std::string_view data) {
  if (data == "[DONE]") return;
  StreamChunk chunk = scan_chunk(data, api_);
  if (!chunk.has_choice || chunk.has_usage) {
    LastChunk last = parse_last_chunk(data);
    if (last.completion_tokens) outcome_.output_tokens = *last.completion_tokens;
    if (last.prompt_tokens) outcome_.prompt_len = *last.prompt_tokens;
    if (!last.error.empty()) stream_error_ = std::move(last.error);
    if (!chunk.has_choice) return;
  }
  if (!first_seen_ && chunk.is_role_only) return;
  if (!first_seen_) {
    first_seen_ = true;
    outcome_.ttft = now_ - outcome_.start_time;
  } else {
    outcome_.itls.push_back(now_ - last_);
  }
  last_ = now_;
  raw_text_ += chunk.raw_text;
}

void ReplyReader::finish() {
  outcome_.generated_text = unescape(raw_text_);
  if (first_seen_) outcome_.latency = last_ - outcome_.start_time;
  if (status_ != 200) {
    std::string told = parse_last_chunk(body_).error;
    outcome_.error = fmt::format("HTTP {} {}{}{}", status_, reason_, told.empty() ? "" : ": ", told);
  } else if (!stream_error_.empty()) {
    outcome_.error = stream_error_;
  } else if (!first_seen_) {
    outcome_.error = "the reply held no token";
  } else {
    outcome_.success = true;
  }
}

}  // namespace vllm::bench
