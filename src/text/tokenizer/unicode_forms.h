#pragma once
// Unicode normalization forms and simple case mapping over whole texts.
#include <string>
#include <string_view>

namespace vllm::text {

/// NFC, NFD, NFKC or NFKD of well-formed text; utf8proc's data, but runs of marks are sorted in n log n (utf8proc's own
/// sort is quadratic, which a hostile prompt could use).
std::string normalize_unicode(std::string_view text, bool compose, bool compatibility);
/// True if NFC surely leaves the text as it is (never wrong; may be false for text that is in NFC).
bool is_surely_nfc(std::string_view text);
/// Each character's lower case, without context (as Rust's char::to_lowercase).
std::string lowercase(std::string_view text);

}  // namespace vllm::text
