#include "text/tokenizer/vocabulary.h"

#include <algorithm>
#include <limits>

#include "base/hash.h"

namespace vllm::text {

uint64_t hash_seed() {
  static const uint64_t seed = random_key().lo;
  return seed;
}

Result<Vocabulary> Vocabulary::build(const std::vector<Entry>& entries) {
  const int64_t limit =
      std::min<int64_t>(2 * static_cast<int64_t>(entries.size()) + 65536, std::numeric_limits<TokenId>::max());
  int64_t size = 0;
  size_t bytes = 1;
  for (const Entry& entry : entries) {
    if (entry.id < 0 || entry.id >= limit) {
      return invalid_argument("token \"{:.40}\" has id {}, which is out of range for {} tokens", entry.text, entry.id,
                              entries.size());
    }
    size = std::max(size, entry.id + 1);
    bytes += entry.text.size();
  }
  Vocabulary out;
  out.arena_.resize(bytes);  // never moved again: texts_ and map_ point into it
  out.texts_.resize(static_cast<size_t>(size));
  out.map_.reserve(entries.size(), out.texts_.data());
  char* at = out.arena_.data();
  constexpr size_t kAhead = 16;
  StringMap::Query waiting[kAhead];
  TokenId ids[kAhead];
  size_t count = 0;
  for (const Entry& entry : entries) {
    std::string_view& slot = out.texts_[static_cast<size_t>(entry.id)];
    if (slot.data() != nullptr)
      return invalid_argument("tokens \"{:.40}\" and \"{:.40}\" share id {}", slot, entry.text, entry.id);
    slot = {at, entry.text.size()};
    at = std::copy(entry.text.begin(), entry.text.end(), at);
    // The table is larger than the caches: each text waits a little for its slot.
    StringMap::Query& place = waiting[count % kAhead];
    if (count >= kAhead && !out.map_.insert(place, ids[count % kAhead])) out.has_equal_texts_ = true;
    place = out.map_.query(slot);
    ids[count++ % kAhead] = static_cast<TokenId>(entry.id);
    out.map_.prefetch(place);
  }
  for (size_t i = count > kAhead ? count - kAhead : 0; i < count; ++i) {
    if (!out.map_.insert(waiting[i % kAhead], ids[i % kAhead])) out.has_equal_texts_ = true;
  }
  return out;
}

}  // namespace vllm::text
