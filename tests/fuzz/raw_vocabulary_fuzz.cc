// Any bytes as a vocabulary in its maker's own file; the first byte picks the reader. An error with a reason, or a
// tokenizer that survives a text and its own ids.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/utf8.h"
#include "text/tokenizer/raw_vocabularies.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vllm::text;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr std::string_view kText =
      "Hello, w\xC3\xB6rld  1234\n\n\xE4\xB8\xAD\xE6\x96\x87 <s>\xF0\x9F\x98\x80\xFF </s> ab";
  auto parts = data[0] == 's'   ? parse_sentencepiece(bytes, true)
               : data[0] == 'p' ? parse_sentencepiece(bytes, false)
               : data[0] == 't' ? parse_tiktoken(bytes)
                                : parse_tekken(bytes);
  if (!parts) {
    CHECK(!parts.error().message.empty());
    return 0;
  }
  const auto tokenizer = SubwordTokenizer::make(*std::move(parts));
  if (!tokenizer) return 0;
  const auto ids = (*tokenizer)->encode(kText);
  if (!ids) return 0;
  for (const auto id : *ids) CHECK((*tokenizer)->id_to_token(id).has_value());
  CHECK(vllm::is_utf8((*tokenizer)->decode(*ids)));
  return 0;
}
