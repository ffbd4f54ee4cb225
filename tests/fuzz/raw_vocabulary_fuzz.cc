// Any bytes as a vocabulary in its maker's own file; the first byte picks the reader. An error with a reason, or a
// tokenizer that survives a text and its own ids.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/check.h"
#include "base/utf8.h"
#include "text/tokenizer/raw_vocabularies.h"

namespace {

using namespace vllm::text;

vllm::Result<std::shared_ptr<const Tokenizer>> read(uint8_t kind, std::string_view bytes) {
  if (kind == 'v') {  // vocab.json, a null byte, merges.txt
    const size_t end = std::min(bytes.find('\0'), bytes.size());
    auto joined = join_vocab_and_merges(bytes.substr(0, end), bytes.substr(std::min(end + 1, bytes.size())),
                                        "Qwen2TokenizerFast", end % 2 == 0);
    if (!joined) return std::move(joined).error();
    return parse_tokenizer_json(*joined, "");
  }
  auto parts = kind == 's'   ? parse_sentencepiece(bytes, true)
               : kind == 'p' ? parse_sentencepiece(bytes, false)
               : kind == 't' ? parse_tiktoken(bytes)
                             : parse_tekken(bytes);
  if (!parts) return std::move(parts).error();
  return SubwordTokenizer::make(*std::move(parts));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  constexpr std::string_view kText =
      "Hello, w\xC3\xB6rld  1234\n\n\xE4\xB8\xAD\xE6\x96\x87 <s>\xF0\x9F\x98\x80\xFF </s> ab";
  const auto tokenizer = read(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  if (!tokenizer) {
    CHECK(!tokenizer.error().message.empty());
    return 0;
  }
  const auto ids = (*tokenizer)->encode(kText);
  if (!ids) return 0;
  for (const auto id : *ids) CHECK((*tokenizer)->id_to_token(id).has_value());
  CHECK(vllm::is_utf8((*tokenizer)->decode(*ids)));
  return 0;
}
