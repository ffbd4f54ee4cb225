#include "engine/sched/stop.h"

#include <gtest/gtest.h>

namespace vllm::engine {
namespace {

struct Case {
  const char* name;
  TokenId token;
  int num_outputs, max_outputs;
  int min_tokens;
  bool ignore_eos;
  std::optional<FinishReason> reason;
  std::optional<TokenId> stop_token;
};

TEST(Stop, Table) {
  constexpr TokenId kEos = 2, kStopId = 9, kBoth = 5;
  const auto kStop = FinishReason::kStop;
  const auto kLength = FinishReason::kLength;
  for (const Case& c : {
           Case{"nothing", 1, 1, 8, 0, false, {}, {}},
           Case{"eos names no stop token", kEos, 1, 8, 0, false, kStop, {}},
           Case{"eos is ignored", kEos, 1, 8, 0, true, {}, {}},
           Case{"stop id is named", kStopId, 1, 8, 0, false, kStop, kStopId},
           Case{"stop id counts with ignore_eos too", kStopId, 1, 8, 0, true, kStop, kStopId},
           Case{"an eos that is a stop id too is an eos", kBoth, 1, 8, 0, false, kStop, {}},
           Case{"with ignore_eos it is a stop id", kBoth, 1, 8, 0, true, kStop, kBoth},
           Case{"eos before min_tokens", kEos, 2, 8, 3, false, {}, {}},
           Case{"eos at min_tokens", kEos, 3, 8, 3, false, kStop, {}},
           Case{"stop id before min_tokens", kStopId, 2, 8, 3, false, {}, {}},
           Case{"length", 1, 8, 8, 0, false, kLength, {}},
           Case{"eos as the last token is a stop", kEos, 8, 8, 0, false, kStop, {}},
           Case{"length before min_tokens", kEos, 8, 8, 9, false, kLength, {}},
       }) {
    SamplingParams p;
    p.eos_token_ids = {kEos, kBoth};
    p.stop_token_ids = {kStopId, kBoth};
    p.min_tokens = c.min_tokens;
    p.ignore_eos = c.ignore_eos;
    auto got = check_stop(p, c.token, c.num_outputs, c.max_outputs);
    EXPECT_EQ(got.has_value(), c.reason.has_value()) << c.name;
    if (!got || !c.reason) continue;
    EXPECT_EQ(got->reason, *c.reason) << c.name;
    EXPECT_EQ(got->stop_token, c.stop_token) << c.name;
  }
}

}  // namespace
}  // namespace vllm::engine
