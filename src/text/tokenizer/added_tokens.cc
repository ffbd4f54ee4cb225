#include "text/tokenizer/added_tokens.h"

#include <algorithm>

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

void AddedTokenMatcher::add(const AddedToken& token) {
  if (token.content.empty()) return;
  uint32_t node = 0;
  for (const char c : token.content) {
    const uint64_t key = static_cast<uint64_t>(node) << 8 | static_cast<unsigned char>(c);
    const auto [it, added] = edges_.try_emplace(key, static_cast<uint32_t>(token_of_node_.size()));
    if (added) token_of_node_.push_back(kNone);
    node = it->second;
  }
  if (token_of_node_[node] != kNone) return;
  token_of_node_[node] = static_cast<int32_t>(tokens_.size());
  starts_[static_cast<unsigned char>(token.content[0])] = true;
  tokens_.push_back(token);
}

AddedTokenMatcher::Found AddedTokenMatcher::longest_at(std::string_view text, size_t pos) const {
  Found best{kNone, 0};
  uint32_t node = 0;
  for (size_t i = pos; i < text.size(); ++i) {
    const auto edge = edges_.find(static_cast<uint64_t>(node) << 8 | static_cast<unsigned char>(text[i]));
    if (edge == edges_.end()) break;
    node = edge->second;
    if (token_of_node_[node] != kNone) best = {token_of_node_[node], i + 1 - pos};
  }
  return best;
}

// The corner cases (a discarded single_word match still hides what it covers; rstrip may run over the next match) are
// Hugging Face's own.
void AddedTokenMatcher::split(std::string_view text, std::vector<TextPart>& parts) const {
  size_t done = 0;
  size_t blanks_end = 0;  // of the run of blanks that rstrip last walked: a run is walked once
  for (size_t pos = 0; pos < text.size() && !tokens_.empty();) {
    const Found found = starts_[static_cast<unsigned char>(text[pos])] ? longest_at(text, pos) : Found{kNone, 0};
    if (found.token == kNone) {
      ++pos;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(found.token)];
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
