#include "text/detokenizer.h"

#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

// Moves from `pending` to `out` what is certain: whole characters and parts that are ill-formed whatever follows.
void take_certain(std::string& pending, std::string& out) {
  std::string_view rest = pending;
  while (!rest.empty()) {
    const size_t good = valid_utf8_prefix(rest);
    out += rest.substr(0, good);
    rest.remove_prefix(good);
    if (rest.empty()) break;
    const Utf8Step step = next_utf8(rest);
    if (step.state == Utf8State::kUnfinished) break;
    out += kReplacement;
    rest.remove_prefix(step.length);
  }
  pending.erase(0, pending.size() - rest.size());
}

}  // namespace

Detokenizer::Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, DetokenizerOptions options,
                         const std::vector<TokenId>& prompt_tail)
    : tokenizer_(std::move(tokenizer)), options_(options) {
  for (const TokenId token : prompt_tail) add(token);  // leaves the bytes of a character that the prompt began
}

void Detokenizer::add(TokenId token, std::string& out) {
  if (options_.skip_special_tokens && tokenizer_->is_special(token)) return;
  std::string_view bytes = tokenizer_->token_bytes(token);
  if (bytes.empty()) return;
  if (at_start_ && tokenizer_->strips_leading_space() && bytes.starts_with(' ')) bytes.remove_prefix(1);
  at_start_ = false;
  if (pending_.empty() && is_utf8(bytes)) {
    out += bytes;
    return;
  }
  pending_ += bytes;
  take_certain(pending_, out);
}

std::string Detokenizer::finish() {
  std::string out = repair_utf8(pending_);
  pending_.clear();
  return out;
}

}  // namespace vllm::text
