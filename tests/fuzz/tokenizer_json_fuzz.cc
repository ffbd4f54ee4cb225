// Any bytes as tokenizer.json: an error with a reason, or a tokenizer that survives a text and its own ids.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/utf8.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vllm::text;
  constexpr std::string_view kText =
      "Hello, w\xC3\xB6rld  it's 1234\n\n\xE4\xB8\xAD\xE6\x96\x87 e\xCC\x81 <s>\xF0\x9F\x98\x80\xFF </s> \xE2\x96\x81 "
      "ab";
  const auto tokenizer = parse_tokenizer_json({reinterpret_cast<const char*>(data), size}, "");
  if (!tokenizer) {
    CHECK(!tokenizer.error().message.empty());
    return 0;
  }
  const auto ids = (*tokenizer)->encode(kText);
  if (!ids) return 0;
  Detokenizer stream(*tokenizer, {});
  std::string joined;
  for (const auto id : *ids) {
    CHECK((*tokenizer)->id_to_token(id).has_value());
    joined += stream.add(id);
  }
  joined += stream.finish();
  CHECK(joined == (*tokenizer)->decode(*ids, true));
  CHECK(vllm::is_utf8(joined));
  return 0;
}
