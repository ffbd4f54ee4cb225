// BERT's rule for kana and fullwidth forms, which go through a table, against its long way.
#include "text/tokenizer/normalizer.h"

#include <gtest/gtest.h>

#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

TEST(Normalizer, KanaAndFullwidthFormsAreAsInARunOfOtherCharacters) {
  for (int flags = 0; flags < 16; ++flags) {
    json::object rule = {{"type", "BertNormalizer"}};
    rule["clean_text"] = (flags & 1) != 0;
    rule["handle_chinese_chars"] = (flags & 2) != 0;
    rule["lowercase"] = (flags & 4) != 0;
    rule["strip_accents"] = (flags & 8) != 0;
    const Normalizer normalizer = *Normalizer::from_json(rule);
    for (char32_t code = 0x3000; code < 0x10000; code = code == 0x30FF ? 0xFF00 : code + 1) {
      std::string character;
      append_char(character, code);
      for (const std::string_view mark : {"", "\xCC\x81", "\xE3\x82\x99", "\xE3\x80\xAE"}) {
        std::string text = character + std::string(mark), in_run = "\xC3\x9F" + text;  // U+00DF starts a run
        ASSERT_TRUE(normalizer.apply(text));
        ASSERT_TRUE(normalizer.apply(in_run));
        ASSERT_EQ("\xC3\x9F" + text, in_run) << static_cast<uint32_t>(code) << ", flags " << flags;
      }
    }
  }
}

}  // namespace
}  // namespace vllm::text
