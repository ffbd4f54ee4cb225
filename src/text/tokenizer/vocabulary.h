#pragma once
// The tokens of a model by id and by spelling, checked so that memory stays in proportion to the file.
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer/hash_map.h"
#include "types/types.h"

namespace vllm::text {

class Vocabulary {
 public:
  Vocabulary() = default;
  Vocabulary(const Vocabulary&) = delete;  // the map points into the arena
  Vocabulary& operator=(const Vocabulary&) = delete;
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  struct Entry {
    std::string_view text;
    int64_t id;
  };
  /// Copies the texts. Ids must lie below twice the number of entries plus 65536 (holes stay small); two entries may
  /// not share an id. The first of two equal texts is found by find().
  static Result<Vocabulary> build(const std::vector<Entry>& entries);

  int size() const { return static_cast<int>(texts_.size()); }  // highest id + 1
  bool has(TokenId id) const { return id >= 0 && id < size() && texts_[static_cast<size_t>(id)].data() != nullptr; }
  /// The spelling; empty for an unknown id.
  std::string_view text(TokenId id) const { return has(id) ? texts_[static_cast<size_t>(id)] : std::string_view(); }
  /// The id, or -1.
  TokenId find(std::string_view text) const { return map_.find(text); }
  StringMap::Query query(std::string_view text) const { return map_.query(text); }
  void prefetch(const StringMap::Query& query) const { map_.prefetch(query); }
  TokenId find(const StringMap::Query& query) const { return map_.find(query); }
  bool has_equal_texts() const { return has_equal_texts_; }

 private:
  std::vector<char> arena_;
  std::vector<std::string_view> texts_;  // by id; a null pointer marks a hole
  StringMap map_;
  bool has_equal_texts_ = false;
};

}  // namespace vllm::text
