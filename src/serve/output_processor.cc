#include "serve/output_processor.h"

#include <algorithm>
#include <iterator>

namespace vllm::serve {

OutputProcessor::OutputProcessor(std::shared_ptr<const text::Tokenizer> tokenizer, OutputOptions options,
                                 const std::vector<TokenId>& prompt_tail)
    : detokenizer_(std::move(tokenizer),
                   text::DetokenizerOptions{options.skip_special_tokens, options.spaces_between_special_tokens},
                   prompt_tail),
      options_(std::move(options)) {
  for (const std::string& stop : options_.stop) longest_stop_ = std::max(longest_stop_, stop.size());
}

std::optional<OutputProcessor::Match> OutputProcessor::find_stop(size_t num_new_bytes) const {
  std::optional<Match> best;
  const std::string_view text = text_;
  for (size_t i = 0; i < options_.stop.size(); ++i) {
    const std::string& stop = options_.stop[i];
    const size_t reach = num_new_bytes + stop.size() - 1;  // a match must end in the new bytes
    const size_t from = std::max(unchecked_, text.size() > reach ? text.size() - reach : 0);
    const size_t at = text.find(stop, from);
    // The one that completes first; among equals the first of the list.
    if (at != std::string_view::npos && (!best || at + stop.size() < best->end)) best = Match{at, at + stop.size(), i};
  }
  return best;
}

size_t OutputProcessor::num_held_back() const {
  if (options_.stop.empty() || options_.include_stop_str_in_output) return 0;
  const std::string_view text = text_;
  const size_t longest = std::min(longest_stop_ - 1, text.size() - std::max(sent_, std::min(unchecked_, text.size())));
  for (size_t length = longest; length > 0; --length) {
    const std::string_view tail = text.substr(text.size() - length);
    for (const std::string& stop : options_.stop) {
      if (length < stop.size() && std::string_view(stop).starts_with(tail)) return length;
    }
  }
  return 0;
}

void OutputProcessor::take(size_t end, std::string& out) {
  end = std::max(end, sent_);
  out.append(text_, sent_, end - sent_);
  sent_ = end;
  // Forget what no later match can reach.
  const size_t keep = longest_stop_;
  if (const size_t drop = sent_ > keep ? sent_ - keep : 0; drop > 4096) {
    text_.erase(0, drop);
    sent_ -= drop;
    unchecked_ -= std::min(unchecked_, drop);
  }
}

// Tokens into text_, up to the one that completes a stop string; `used` counts it.
std::optional<OutputProcessor::Match> OutputProcessor::read(const std::vector<TokenId>& tokens, bool hide_last,
                                                            size_t& used) {
  std::optional<Match> match;
  while (used < tokens.size() && !match) {
    const size_t before = text_.size();
    const bool hidden = hide_last && used + 1 == tokens.size();
    if (!hidden) detokenizer_.add(tokens[used], text_);
    ++used, ++num_tokens_;
    if (num_tokens_ <= options_.min_tokens) {
      unchecked_ = text_.size();
    } else if (text_.size() > before) {
      match = find_stop(text_.size() - before);
    }
  }
  return match;
}

size_t OutputProcessor::process(EngineOutput&& output, OutputDelta& delta) {
  delta.finish_reason = output.finish_reason;
  if (output.stop_token) delta.stop_reason = *output.stop_token;
  const size_t count = output.new_token_ids.size();
  // The token that made the engine stop (EOS or a stop id) is reported, but its text is not part of the answer.
  const bool hide_last = output.finish_reason == FinishReason::kStop && !options_.include_stop_str_in_output;
  size_t used = 0;
  if (options_.stop.empty()) {  // nothing to look for, nothing to hold back
    for (; used < count; ++used) {
      if (!hide_last || used + 1 < count) detokenizer_.add(output.new_token_ids[used], delta.text);
    }
    if (delta.finish_reason) delta.text += detokenizer_.finish();
  } else if (const std::optional<Match> match = read(output.new_token_ids, hide_last, used)) {
    delta.finish_reason = FinishReason::kStop;
    delta.stop_reason = options_.stop[match->index];
    delta.stopped_by_string = true;
    take(options_.include_stop_str_in_output ? match->end : match->begin, delta.text);
  } else if (delta.finish_reason) {
    text_ += detokenizer_.finish();
    take(text_.size(), delta.text);
  } else {
    take(text_.size() - num_held_back(), delta.text);
  }
  const auto last = output.new_token_ids.begin() + static_cast<std::ptrdiff_t>(used);
  delta.token_ids.insert(delta.token_ids.end(), output.new_token_ids.begin(), last);
  if (output.logprobs.size() > used) output.logprobs.resize(used);
  std::move(output.logprobs.begin(), output.logprobs.end(), std::back_inserter(delta.logprobs));
  return used;
}

}  // namespace vllm::serve
