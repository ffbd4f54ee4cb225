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
    starts_[static_cast<unsigned char>(token.content[0])] = true;
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
  while (pos < text.size() && !starts_[static_cast<unsigned char>(text[pos])]) ++pos;
  return pos;
}

// The corner cases (a discarded single_word match still hides what it covers; rstrip may run over the next match) are
// Hugging Face's own.
void AddedTokenMatcher::split(std::string_view text, std::vector<TextPart>& parts) const {
  size_t done = 0;
  size_t blanks_end = 0;  // of the run of blanks that rstrip last walked: a run is walked once
  for (size_t pos = 0; pos < text.size() && !tokens_.empty();) {
    pos = next_start(text, pos);
    if (pos == text.size()) break;
    const ByteTrie::Match found = trie_.longest_prefix(text.substr(pos));
    if (found.value < 0) {
      ++pos;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(found.value)];
    size_t start = pos, stop = pos + found.length;
    pos = stop;
    if (token.single_word && (ends_with_word(text.substr(0, start)) || starts_with_word(text.substr(stop)))) continue;
    if (token.lstrip) start = std::max(trim_end(text, start, std::min(done, start)), done);
    if (token.rstrip) stop = blanks_end = stop < blanks_end ? blanks_end : skip_blanks(text, stop);
    if (done < start) parts.push_back({text.substr(done, start - done), -1});
    parts.push_back({text.substr(std::min(start, stop), stop - std::min(start, stop)), token.id});
    done = stop;
  }
  if (done != text.size()) parts.push_back({text.substr(done), -1});
}

}  // namespace vllm::text
