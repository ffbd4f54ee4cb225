#include "server/request_parser.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <limits>

namespace vllm::server {
namespace {

namespace http = boost::beast::http;
using boost::system::error_code;
using BeastView = boost::beast::string_view;

std::string_view view(BeastView text) { return {text.data(), text.size()}; }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return out;
}

}  // namespace

struct RequestParser::Impl final : http::basic_parser<true> {
  explicit Impl(const Limits& given) : limits(given) {
    header_limit(static_cast<uint32_t>(std::min<size_t>(given.max_header_bytes, std::numeric_limits<uint32_t>::max())));
    body_limit(boost::none);  // counted here: the key is checked before a large body is refused
  }

  Limits limits;
  State state = State::kHead;
  RequestHead head;
  std::string body;
  uint64_t body_bytes = 0;
  bool discard = false;
  Failure failure{0, {}};
  int content_lengths = 0, transfer_encodings = 0, hosts = 0;
  std::string transfer_encoding;

  void refuse(error_code& ec, int status, std::string message) {
    if (failure.status == 0) failure = {status, std::move(message)};
    ec = http::error::bad_value;
  }

  void on_request_impl(http::verb, BeastView method, BeastView target, int version, error_code&) override {
    head.method = view(method);
    head.target = view(target);
    head.version = version;
  }

  void on_field_impl(http::field name, BeastView text, BeastView value, error_code& ec) override {
    if (state != State::kHead) return;  // a trailer: nothing here reads any
    if (head.headers.size() >= limits.max_header_count) {
      return refuse(ec, 431, fmt::format("more than {} header fields", limits.max_header_count));
    }
    if (name == http::field::content_length) ++content_lengths;
    if (name == http::field::host) ++hosts;
    if (name == http::field::transfer_encoding) {
      ++transfer_encodings;
      transfer_encoding = lower(view(value));
    }
    if (name == http::field::expect && lower(view(value)) == "100-continue") head.expect_continue = true;
    head.headers.emplace_back(lower(view(text)), view(value));
  }

  void on_header_impl(error_code& ec) override {
    // RFC 9112 6: whoever frames a body in two ways, or in a way an intermediary may read otherwise, is refused.
    if (content_lengths > 1) return refuse(ec, 400, "several Content-Length fields");
    if (content_lengths > 0 && transfer_encodings > 0)
      return refuse(ec, 400, "Content-Length beside Transfer-Encoding");
    if (transfer_encodings > 0 && head.version < 11) return refuse(ec, 400, "Transfer-Encoding in HTTP/1.0");
    if (transfer_encodings > 1) return refuse(ec, 400, "several Transfer-Encoding fields");
    if (transfer_encodings > 0 && transfer_encoding != "chunked") {
      return refuse(ec, 501, fmt::format("Transfer-Encoding other than chunked is not supported"));
    }
    if (hosts > 1 || (hosts == 0 && head.version >= 11)) return refuse(ec, 400, "exactly one Host field is needed");
    head.keep_alive = keep_alive();
    head.chunked = chunked();
    if (content_length()) head.content_length = *content_length();
    if (head.version < 11) head.expect_continue = false;
  }

  void on_body_init_impl(const boost::optional<uint64_t>&, error_code&) override {}

  size_t keep(BeastView bytes, error_code& ec) {
    body_bytes += bytes.size();
    if (!discard) {
      if (body_bytes > limits.max_body_bytes) {
        refuse(ec, 413, fmt::format("the body is larger than {} bytes", limits.max_body_bytes));
        return 0;
      }
      body.append(bytes.data(), bytes.size());
    }
    return bytes.size();
  }
  size_t on_body_impl(BeastView bytes, error_code& ec) override { return keep(bytes, ec); }
  size_t on_chunk_body_impl(uint64_t, BeastView bytes, error_code& ec) override { return keep(bytes, ec); }
  void on_chunk_header_impl(uint64_t, BeastView extensions, error_code& ec) override {
    // "0x3": Beast takes the digits before the x and calls the rest an extension.
    const size_t first = extensions.find_first_not_of(" \t");
    if (first != BeastView::npos && extensions[first] != ';') refuse(ec, 400, "a malformed chunk size");
  }
  void on_response_impl(int, BeastView, int, error_code&) override {}
  void on_finish_impl(error_code&) override {}
};

RequestParser::RequestParser(const Limits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestParser::~RequestParser() = default;

size_t RequestParser::feed(std::string_view bytes) {
  Impl& p = *impl_;
  size_t total = 0;
  while (p.state == State::kHead || p.state == State::kBody) {
    if (bytes.empty()) break;
    error_code ec;
    const size_t used = p.put(boost::asio::const_buffer(bytes.data(), bytes.size()), ec);
    total += used;
    bytes.remove_prefix(used);
    if (ec == http::error::need_more) {
      // What can't be taken yet must still fit: chunk headers and trailers have no limit of their own in Beast.
      if (p.state == State::kBody && bytes.size() > p.limits.max_header_bytes) {
        p.failure = {400, "an endless chunk header or trailer"};
        p.state = State::kError;
      }
      break;
    }
    if (ec) {
      if (p.failure.status == 0) {
        if (ec == http::error::header_limit) {
          const bool line_ended = bytes.substr(0, p.limits.max_header_bytes).find('\n') != std::string_view::npos;
          p.failure = line_ended || !p.head.method.empty() ? Failure{431, "the header is too large"}
                                                           : Failure{414, "the request line is too long"};
        } else {
          p.failure = {400, ec.message()};
        }
      }
      p.state = State::kError;
      break;
    }
    if (p.state == State::kHead && p.is_header_done()) {
      p.state = p.is_done() ? State::kDone : State::kBody;
      p.eager(true);
      break;
    }
    if (p.is_done()) p.state = State::kDone;
  }
  return total;
}

RequestParser::State RequestParser::state() const { return impl_->state; }
const RequestHead& RequestParser::head() const { return impl_->head; }
RequestHead& RequestParser::head() { return impl_->head; }
std::string& RequestParser::body() { return impl_->body; }
void RequestParser::discard_body() {
  impl_->discard = true;
  impl_->body.clear();
}
const RequestParser::Failure& RequestParser::failure() const { return impl_->failure; }

}  // namespace vllm::server
