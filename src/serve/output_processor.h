#pragma once
// From the engine's tokens to the text of one choice: detokenizing, stop strings, and holding back what may become one.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/responses.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"
#include "types/types.h"

namespace vllm::serve {

struct OutputOptions {
  std::vector<std::string> stop = {};
  bool include_stop_str_in_output = false;
  bool skip_special_tokens = true;
  bool spaces_between_special_tokens = true;
  int min_tokens = 0;  // stop strings count only in what comes after this many tokens
};

/// What engine outputs add to a choice. Tokens and logprobs end at the token that completed a stop string.
struct OutputDelta {
  std::string text;  // certain by now: never part of a stop string, never half a character
  std::vector<TokenId> token_ids;
  std::vector<PositionLogprobs> logprobs;
  std::optional<FinishReason> finish_reason;
  api::StopReason stop_reason;
  bool stopped_by_string = false;  // the engine does not know: it wants an abort
};

class OutputProcessor {
 public:
  OutputProcessor(std::shared_ptr<const text::Tokenizer> tokenizer, OutputOptions options,
                  const std::vector<TokenId>& prompt_tail = {});
  /// Add what `output` says to `delta`; returns the number of new tokens. Not to be called again once it has a
  /// finish_reason.
  size_t process(EngineOutput&& output, OutputDelta& delta);

 private:
  struct Match {
    size_t begin, end, index;  // of options_.stop
  };
  std::optional<Match> find_stop(size_t num_new_bytes) const;
  size_t num_held_back() const;             // bytes at the end of text_ that may begin a stop string
  void take(size_t end, std::string& out);  // text_[sent_, end), now sent
  std::optional<Match> read(const std::vector<TokenId>& tokens, bool hide_last, size_t& used);

  text::Detokenizer detokenizer_;
  OutputOptions options_;
  size_t longest_stop_ = 0;
  std::string text_;      // what is still of interest: not yet sent, or needed to find a stop string
  size_t sent_ = 0;       // bytes of text_ that went out
  size_t unchecked_ = 0;  // bytes of text_ before this are exempt from stop strings (min_tokens)
  int num_tokens_ = 0;
};

}  // namespace vllm::serve
