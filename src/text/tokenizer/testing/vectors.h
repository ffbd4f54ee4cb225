#pragma once
// Compares a tokenizer with what Hugging Face's library does: the texts of tests/golden/tokenizer/corpus.json, or those
// that `make.py --vectors` writes, and the expected ids and decoded texts.
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "text/tokenizer.h"

namespace vllm::text::testing {

struct CorpusEntry {
  std::string name;
  std::string bytes;  // as they are given to encode(): may be no UTF-8
  std::string text;   // the same with ill-formed parts as U+FFFD
};

inline const std::filesystem::path kGoldens = "tests/golden/tokenizer";

json::value read_json(const std::filesystem::path& path);
/// The golden tokenizers by name (a folder each).
std::vector<std::string> golden_families();
std::shared_ptr<const Tokenizer> golden_tokenizer(const std::string& family);
std::vector<CorpusEntry> read_corpus(const json::value& entries);

/// FNV-1a, 64 bits, in hex: of ids as little-endian int32, and of a text.
std::string fnv_of_ids(const std::vector<TokenId>& ids);
std::string fnv_of_text(std::string_view text);

struct VectorReport {
  int texts = 0, texts_wrong = 0;
  int decodes = 0, decodes_wrong = 0;
  int streams_wrong = 0;  // the incremental detokenizer's pieces joined differ from decode()
  std::string first_difference;
};
/// Check encode(), decode() of the result, decode() of random streams, and the incremental detokenizer on all of them.
VectorReport check_vectors(const std::shared_ptr<const Tokenizer>& tokenizer, const std::vector<CorpusEntry>& corpus,
                           const json::value& expected);

}  // namespace vllm::text::testing
