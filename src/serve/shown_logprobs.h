#pragma once
// Engine logprobs as the API shows them: ids to texts, order and number of alternatives as vLLM's.
#include <string>
#include <vector>

#include "api/responses.h"
#include "text/tokenizer.h"
#include "types/types.h"

namespace vllm::serve {

struct LogprobStyle {
  bool tokens_as_ids = false;  // token_id:N in place of texts
  int num_top = 0;             // alternatives listed; -1 = all there are
  bool chat = false;           // chat lists num_top entries, completions the sampled token and num_top more
  bool list_all = false;       // logprob_token_ids: everything the engine returned
};

api::ShownPosition show_position(const PositionLogprobs& position, const LogprobStyle& style,
                                 const text::Tokenizer& tokenizer);
/// A prompt's first token: no logprob.
api::ShownPosition show_unknown(TokenId token, const LogprobStyle& style, const text::Tokenizer& tokenizer);

/// [null, {"<id>": {"logprob", "rank", "decoded_token"}}, …] for the prompt's tokens from the second on.
api::WrittenJson write_prompt_logprobs(const std::vector<PositionLogprobs>& positions,
                                       const text::Tokenizer& tokenizer);

}  // namespace vllm::serve
