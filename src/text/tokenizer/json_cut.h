#pragma once
// The two big lists of tokenizer.json, read straight from its text: a document tree of a quarter of a million strings
// costs ten times what the strings themselves do. What is not plain here is left to the JSON library, errors included.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer/vocabulary.h"

namespace vllm::text {

struct CutTokenizerJson {
  std::string rest;                      // the document with empty `vocab` and `merges`
  std::vector<Vocabulary::Entry> vocab;  // views into the document, or into `unescaped`
  std::vector<std::pair<std::string_view, std::string_view>> merges;
  std::vector<std::unique_ptr<std::string>> unescaped;
};
/// Cut `model.vocab` (an object of integers) and `model.merges` (a list of "left right" or ["left", "right"]) out of
/// the document. Nullopt if the text is not UTF-8, either is missing or holds anything else: then nothing is known.
/// `document` must outlive the result.
std::optional<CutTokenizerJson> cut_tokenizer_json(std::string_view document);

}  // namespace vllm::text
