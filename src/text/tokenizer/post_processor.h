#pragma once
// The `post_processor` of tokenizer.json for one sequence: ids that go before and after it.
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "types/types.h"

namespace vllm::text {

struct PostProcessor {
  std::vector<TokenId> before, after;
  bool decides =
      false;  // a template says which special tokens there are (perhaps none): tokenizer_config.json is not asked

  /// kUnimplemented names a type that is not supported. `value` may be null. Ids are not checked against the
  /// vocabulary.
  static Result<PostProcessor> from_json(const json::value& value);
};

}  // namespace vllm::text
