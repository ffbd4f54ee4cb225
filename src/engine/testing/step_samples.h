#pragma once
// Step values with every field set to something telling, for codec tests and fuzz seeds.
#include <limits>

#include "engine/step.h"

namespace vllm::engine::testing {

inline StepInput sample_step_input() {
  SamplingParams sampling;
  sampling.temperature = 0.5f;
  sampling.seed = ~0ull;
  sampling.max_tokens = 7;
  sampling.ignore_eos = true;
  sampling.eos_token_ids = {2};
  sampling.stop_token_ids = {9, 8};
  sampling.logit_bias = {{5, -100.f}};
  sampling.bad_words = {{1}, {}, {2, 3}};
  sampling.logprobs = 0;
  sampling.logprob_token_ids = {4};
  StepInput v;
  v.step = 0x1122334455667788u;
  v.ended = {3, 1};
  v.starts.push_back(
      {.slot = 1, .token_ids = {1, 2, 3}, .num_prompt_tokens = 2, .num_computed_tokens = 1, .sampling = sampling});
  v.starts.push_back({.slot = 3, .token_ids = {7}, .num_prompt_tokens = 1, .num_computed_tokens = 0, .sampling = {}});
  v.block_deltas.push_back({.slot = 1, .group = 1, .first_index = 4, .block_ids = {0, 17}});
  v.work.push_back({.slot = 0, .num_tokens = 1, .samples = true, .prompt_logprobs = false});
  v.work.push_back({.slot = 1, .num_tokens = 2, .samples = false, .prompt_logprobs = true});
  return v;
}

inline SampleInput sample_sample_input() {
  return {.step = 5, .masks = {{.slot = 2, .position = 1ll << 40, .bits = {0xffffffffu, 1u}}}};
}

inline StepResult sample_step_result() {
  TokenLogprob best{.token = 4, .logprob = -0.25f, .rank = 1};
  TokenLogprob never{.token = 6, .logprob = -std::numeric_limits<float>::infinity(), .rank = 300};
  StepResult v;
  v.step = 5;
  v.slots.push_back({.slot = 2, .token_ids = {4, 6}, .logprobs = {{best, never}, {}}, .prompt_logprobs = {}});
  v.slots.push_back({.slot = 0, .token_ids = {}, .logprobs = {}, .prompt_logprobs = {{best}}});
  v.error = "worker 1: lost";
  return v;
}

}  // namespace vllm::engine::testing
