#pragma once
// Random requests for the toy model, and the judge of what an engine answers to them. For GoogleTest tests; one thread.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "engine/testing/fake_device.h"
#include "types/types.h"

namespace vllm::engine::testing {

class Oracle {
 public:
  static constexpr int kVocab = 60;
  struct Open {
    EngineRequest request;
    std::vector<TokenId> got;
    bool aborted = false;
  };

  explicit Oracle(uint64_t seed) : rng_(seed) {}
  const std::map<RequestId, Open>& open() const { return open_; }
  int64_t num_finished() const { return num_finished_; }
  int64_t num_cached_tokens() const { return num_cached_; }

  /// From now on outputs of this request are awaited.
  void expect(const EngineRequest& r) { open_[r.id] = {.request = r, .got = {}}; }
  /// An open request that is to be aborted: it may end with kAbort then.
  RequestId choose_abort() {
    auto it = std::next(open_.begin(), pick(0, static_cast<int>(open_.size()) - 1));
    it->second.aborted = true;
    return it->first;
  }

  EngineRequest make(RequestId id) {
    EngineRequest r;
    r.id = id;
    r.priority = pick(-2, 2);
    // Prompts share beginnings: a few families, each with its own tokens. Different seeds give different outputs after
    // one prompt, which the prefix cache must keep apart.
    const int family = pick(0, 2), length = pick(1, 50);
    for (int i = 0; i < length; ++i) r.prompt_token_ids.push_back((family * 17 + i) % kVocab);
    if (pick(0, 1)) r.prompt_token_ids.back() = pick(0, kVocab - 1);
    r.cache_salt = pick(0, 2) == 0 ? "tenant" : "";
    r.sampling.seed = static_cast<uint64_t>(pick(0, 2));
    r.sampling.max_tokens = pick(1, 30);
    r.sampling.min_tokens = pick(0, 1) ? pick(0, r.sampling.max_tokens) : 0;
    r.sampling.ignore_eos = pick(0, 1);
    r.sampling.eos_token_ids = {3};
    if (pick(0, 1)) r.sampling.stop_token_ids = {5, 9};
    if (pick(0, 2) == 0) r.sampling.logprobs = 0;
    if (pick(0, 5) == 0) r.sampling.prompt_logprobs = 0;
    return r;
  }

  void take(const EngineOutput& o) {
    auto found = open_.find(o.id);
    ASSERT_NE(found, open_.end()) << "output for a finished sequence";
    Open& seq = found->second;
    if (!seq.request.sampling.logprobs)
      EXPECT_TRUE(o.logprobs.empty());
    else
      EXPECT_EQ(o.logprobs.size(), o.new_token_ids.size());
    if (!o.new_token_ids.empty() && seq.request.sampling.prompt_logprobs) {
      EXPECT_EQ(o.prompt_logprobs.size(), seq.got.empty() ? seq.request.prompt_token_ids.size() - 1 : 0);
      for (size_t i = 0; i < o.prompt_logprobs.size(); ++i)
        EXPECT_EQ(o.prompt_logprobs[i].at(0).token, seq.request.prompt_token_ids[i + 1]);
      EXPECT_EQ(o.num_cached_tokens, 0);
    }
    seq.got.insert(seq.got.end(), o.new_token_ids.begin(), o.new_token_ids.end());
    if (!o.finish_reason) return;
    check_end(seq, o);
    num_cached_ += o.num_cached_tokens;
    ++num_finished_;
    open_.erase(found);
  }

  void check_end(const Open& seq, const EngineOutput& o) {
    const SamplingParams& p = seq.request.sampling;
    const auto expected = toy_tokens(seq.request.prompt_token_ids, p.max_tokens, p.seed, kVocab);
    ASSERT_LE(seq.got.size(), expected.size());
    EXPECT_TRUE(std::equal(seq.got.begin(), seq.got.end(), expected.begin())) << "sequence " << o.id;
    const auto stops = [&](size_t n) {
      const TokenId t = expected[n - 1];
      return n >= static_cast<size_t>(p.min_tokens) &&
             ((t == 3 && !p.ignore_eos) || std::count(p.stop_token_ids.begin(), p.stop_token_ids.end(), t));
    };
    for (size_t n = 1; n < seq.got.size(); ++n) EXPECT_FALSE(stops(n)) << "ran past a stop";
    if (o.finish_reason == FinishReason::kAbort) {
      EXPECT_TRUE(seq.aborted);
      return;
    }
    ASSERT_FALSE(seq.got.empty());
    EXPECT_EQ(o.finish_reason == FinishReason::kStop, stops(seq.got.size()));
  }

 private:
  int pick(int low, int high) { return low + static_cast<int>(rng_() % static_cast<uint64_t>(high - low + 1)); }

  std::mt19937_64 rng_;
  std::map<RequestId, Open> open_;
  int64_t num_finished_ = 0, num_cached_ = 0;
};

}  // namespace vllm::engine::testing
