#include "serve/output_processor.h"

#include <algorithm>

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

std::string OutputProcessor::take(size_t end) {
  end = std::max(end, sent_);
  std::string out = text_.substr(sent_, end - sent_);
  sent_ = end;
  // Forget what no later match can reach.
  const size_t keep = longest_stop_;
  if (const size_t drop = sent_ > keep ? sent_ - keep : 0; drop > 4096) {
    text_.erase(0, drop);
    sent_ -= drop;
    unchecked_ -= std::min(unchecked_, drop);
  }
  return out;
}

OutputDelta OutputProcessor::process(EngineOutput&& output) {
  OutputDelta delta;
  delta.finish_reason = output.finish_reason;
  if (output.stop_token) delta.stop_reason = *output.stop_token;
  const size_t count = output.new_token_ids.size();
  // The token that made the engine stop (EOS or a stop id) is reported, but its text is not part of the answer.
  const bool hide_last = output.finish_reason == FinishReason::kStop && !options_.include_stop_str_in_output;
  size_t used = 0;
  std::optional<Match> match;
  while (used < count && !match) {
    const bool hidden = hide_last && used + 1 == count;
    std::string piece = hidden ? std::string() : detokenizer_.add(output.new_token_ids[used]);
    ++used, ++num_tokens_;
    text_ += piece;
    if (num_tokens_ <= options_.min_tokens && num_tokens_ > 0 && options_.min_tokens > 0) {
      unchecked_ = text_.size();
    } else if (!piece.empty()) {
      match = find_stop(piece.size());
    }
  }
  if (match) {
    delta.finish_reason = FinishReason::kStop;
    delta.stop_reason = options_.stop[match->index];
    delta.stopped_by_string = true;
    delta.text = take(options_.include_stop_str_in_output ? match->end : match->begin);
  } else if (delta.finish_reason) {
    text_ += detokenizer_.finish();
    delta.text = take(text_.size());
  } else {
    delta.text = take(text_.size() - num_held_back());
  }
  output.new_token_ids.resize(used);
  if (output.logprobs.size() > used) output.logprobs.resize(used);
  delta.token_ids = std::move(output.new_token_ids);
  delta.logprobs = std::move(output.logprobs);
  return delta;
}

}  // namespace vllm::serve
