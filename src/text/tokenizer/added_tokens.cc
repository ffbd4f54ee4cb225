#include "text/tokenizer/added_tokens.h"

#include <algorithm>
#include <cstring>

#include "text/tokenizer/unicode.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

bool ends_with_word(std::string_view text) {
  if (text.empty()) return false;
  size_t pos = previous_char(text, text.size());
  return CharClasses::get().is(read_char(text, pos), kWord);
}
bool starts_with_word(std::string_view text) {
  size_t pos = 0;
  return !text.empty() && CharClasses::get().is(read_char(text, pos), kWord);
}
// Where the blanks at the end of text[floor, end) start.
size_t trim_end(std::string_view text, size_t end, size_t floor) {
  while (end > floor) {
    const size_t begin = previous_char(text, end);
    size_t pos = begin;
    if (!CharClasses::get().is(read_char(text, pos), kSpace)) break;
    end = begin;
  }
  return end;
}
size_t skip_blanks(std::string_view text, size_t pos) {
  while (pos < text.size()) {
    size_t next = pos;
    if (!CharClasses::get().is(read_char(text, next), kSpace)) break;
    pos = next;
  }
  return pos;
}

}  // namespace

void AddedTokenMatcher::finish() {
  std::erase_if(tokens_, [](const AddedToken& token) { return token.content.empty(); });
  std::vector<ByteTrie::Entry> entries;
  entries.reserve(tokens_.size());
  for (const AddedToken& token : tokens_) {
    const auto first = static_cast<unsigned char>(token.content[0]);
    starts_[first] = true;
    if (first_two_.empty()) first_two_.resize(65536 / 64);
    const bool single = token.content.size() == 1;
    const size_t pair = static_cast<size_t>(first) << 8 | static_cast<unsigned char>(token.content[single ? 0 : 1]);
    if (single)
      std::fill_n(first_two_.begin() + first * 4, 4, ~uint64_t{0});
    else
      first_two_[pair / 64] |= uint64_t{1} << pair % 64;
    entries.push_back({token.content, static_cast<int32_t>(entries.size())});
  }
  trie_.build(std::move(entries));
  if (std::count(std::begin(starts_), std::end(starts_), true) == 1)
    only_start_ = static_cast<int>(std::find(std::begin(starts_), std::end(starts_), true) - std::begin(starts_));
}

size_t AddedTokenMatcher::next_start(std::string_view text, size_t pos) const {
  if (only_start_ >= 0) {
    const void* found = std::memchr(text.data() + pos, only_start_, text.size() - pos);
    return found ? static_cast<size_t>(static_cast<const char*>(found) - text.data()) : text.size();
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  for (; pos + 1 < text.size(); ++pos) {
    if (may_start(bytes[pos], bytes[pos + 1])) return pos;
  }
  return pos < text.size() && starts_[bytes[pos]] ? pos : text.size();
}

// The corner cases (a discarded single_word match still hides what it covers; rstrip may run over the next match) are
// Hugging Face's own.
bool AddedTokenMatcher::find_next(std::string_view text, Search& search, Found& found) const {
  while (search.pos < text.size() && !tokens_.empty()) {
    const size_t pos = next_start(text, search.pos);
    if (pos == text.size()) break;
    const ByteTrie::Match match = trie_.longest_prefix(text.substr(pos));
    if (match.value < 0) {
      search.pos = pos + 1;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(match.value)];
    size_t start = pos, stop = pos + match.length;
    search.pos = stop;
    if (token.single_word && (ends_with_word(text.substr(0, start)) || starts_with_word(text.substr(stop)))) continue;
    const size_t done = search.done;
    if (token.lstrip) start = std::max(trim_end(text, start, std::min(done, start)), done);
    if (token.rstrip) stop = search.blanks_end = stop < search.blanks_end ? search.blanks_end : skip_blanks(text, stop);
    found = {start, stop, token.id};
    search.done = stop;
    return true;
  }
  search.pos = text.size();
  return false;
}

void AddedTokenMatcher::split(std::string_view text, std::vector<TextPart>& parts) const {
  Search search;
  Found found;
  for (size_t done = 0;; done = search.done) {
    if (!find_next(text, search, found)) {
      if (done != text.size()) parts.push_back({text.substr(done), -1});
      return;
    }
    if (done < found.begin) parts.push_back({text.substr(done, found.begin - done), -1});
    const size_t begin = std::min(found.begin, found.end);
    parts.push_back({text.substr(begin, found.end - begin), found.id});
  }
}

bool AddedTokenMatcher::any_contains(std::string_view part) const {
  return std::any_of(tokens_.begin(), tokens_.end(),
                     [&](const AddedToken& token) { return token.content.find(part) != std::string::npos; });
}

}  // namespace vllm::text
