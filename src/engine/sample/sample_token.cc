#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "engine/sample/philox.h"
#include "engine/sample/sampler.h"
#include "engine/sample/token_scan.h"

namespace vllm::engine {
namespace {
using Candidate = SamplerScratch::Candidate;
constexpr float kGreedyTemperature = 1e-5f;  // vLLM's _SAMPLING_EPS: below it, greedy
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

bool by_logit(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

constexpr size_t kScanTokens = 1024;  // of a pass at a time; a multiple of 64

// The first of the largest.
TokenId argmax(std::span<const float> logits) {
  const TokenScanKernels& scan = token_scan();
  float best = kMinusInfinity;
  size_t begin = 0;
  for (size_t i = 0; i < logits.size(); i += kScanTokens) {
    float top = scan.largest(logits.data() + i, static_cast<int64_t>(std::min(kScanTokens, logits.size() - i)));
    if (top > best) best = top, begin = i;
  }
  if (best == kMinusInfinity) return 0;
  while (logits[begin] != best) ++begin;
  return static_cast<TokenId>(begin);
}

// Gumbel-max over all tokens but those of -infinity and NaN, starting from the likeliest: few others can then win.
TokenId gumbel_argmax(std::span<const float> logits, TokenId likeliest, float inverse, uint64_t seed,
                      int64_t position) {
  auto score_of = [&](TokenId id) {
    auto words = random_words(seed, position, static_cast<uint32_t>(id / 4), RandomStream::kSample);
    return logits[static_cast<size_t>(id)] * inverse + gumbel(words[static_cast<size_t>(id % 4)]);
  };
  TokenId best = likeliest;
  TokenScan scan{.logits = logits.data(),
                 .first = 0,
                 .count = 0,
                 .inverse_temperature = inverse,
                 .best_score = score_of(likeliest),
                 .seed = seed,
                 .position = position};
  std::array<int32_t, kScanTokens> ids;
  for (size_t first = 0; first < logits.size(); first += kScanTokens) {
    scan.first = static_cast<int32_t>(first);
    scan.count = static_cast<int32_t>(std::min(kScanTokens, logits.size() - first));
    const int32_t num_ids = token_scan().contenders(scan, ids.data());
    for (int32_t i = 0; i < num_ids; ++i) {
      const TokenId id = ids[static_cast<size_t>(i)];
      const float score = score_of(id);
      if (score > scan.best_score || (score == scan.best_score && id < best)) best = id, scan.best_score = score;
    }
  }
  return best;
}

// Gumbel-max over the candidates, which are in rising order of token id. The temperature is applied already.
TokenId gumbel_argmax(const std::vector<Candidate>& candidates, uint64_t seed, int64_t position) {
  TokenId best = candidates.front().token;
  float best_score = kMinusInfinity;
  std::array<uint32_t, 4> words{};
  int64_t block = -1;
  for (const Candidate& c : candidates) {
    if (c.logit + kMaxGumbel < best_score) continue;  // cannot win, whatever its number
    if (c.token / 4 != block) {
      block = c.token / 4;
      words = random_words(seed, position, static_cast<uint32_t>(block), RandomStream::kSample);
    }
    float score = c.logit + gumbel(words[static_cast<size_t>(c.token % 4)]);
    if (score > best_score) best = c.token, best_score = score;
  }
  return best;
}

// Keep the k best, and all that tie with the k-th.
void keep_top_k(std::vector<Candidate>& candidates, int k) {
  if (k <= 0 || static_cast<size_t>(k) >= candidates.size()) return;
  auto kth = candidates.begin() + (k - 1);
  std::nth_element(candidates.begin(), kth, candidates.end(), by_logit);
  float threshold = kth->logit;
  std::erase_if(candidates, [&](const Candidate& c) { return c.logit < threshold; });
}

// Keep the shortest run of best candidates whose probability reaches p, at least one. The probabilities are those of
// the candidates alone. `max_logit` is their largest.
void keep_top_p(std::vector<Candidate>& candidates, float p, float max_logit) {
  if (p >= 1) return;
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.token < b.token; });
  double total = 0;  // in the order of ids, so that the sum never depends on how candidates were found
  for (const Candidate& c : candidates) total += std::exp(static_cast<double>(c.logit - max_logit));
  // Sort only the candidates near the top: they nearly always suffice.
  float reach = 8;
  while (true) {
    auto head_end = std::partition(candidates.begin(), candidates.end(),
                                   [&](const Candidate& c) { return c.logit >= max_logit - reach; });
    std::sort(candidates.begin(), head_end, by_logit);
    double sum = 0;
    auto it = candidates.begin();
    for (; it != head_end && sum < static_cast<double>(p) * total; ++it)
      sum += std::exp(static_cast<double>(it->logit - max_logit));
    if (it != head_end || head_end == candidates.end()) {
      if (it == candidates.begin()) ++it;
      candidates.erase(it, candidates.end());
      return;
    }
    reach *= 2;
  }
}

}  // namespace

TokenId sample_token(std::span<const float> logits, const SamplingParams& params, int64_t position,
                     SamplerScratch& scratch) {
  TokenId greedy = argmax(logits);
  float max_logit = logits[static_cast<size_t>(greedy)];
  if (params.temperature < kGreedyTemperature || !(max_logit > kMinusInfinity) || std::isinf(max_logit)) return greedy;

  float inverse = 1.0f / params.temperature;
  float max_scaled = max_logit * inverse;
  // min-p: at least min_p times as likely as the best (Nguyen et al. 2024).
  float lowest = params.min_p > 0 ? max_scaled + std::log(params.min_p) : kMinusInfinity;
  const bool all = (params.top_k <= 0 || static_cast<size_t>(params.top_k) >= logits.size()) && params.top_p >= 1;
  if (all && !(params.min_p > 0)) return gumbel_argmax(logits, greedy, inverse, params.seed, position);
  std::vector<Candidate>& candidates = scratch.candidates;
  candidates.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    float scaled = logits[i] * inverse;
    if (scaled >= lowest && scaled > kMinusInfinity) candidates.push_back({scaled, static_cast<TokenId>(i)});
  }
  bool filtered = (params.top_k > 0 && static_cast<size_t>(params.top_k) < candidates.size()) || params.top_p < 1;
  keep_top_k(candidates, params.top_k);
  keep_top_p(candidates, params.top_p, max_scaled);
  if (filtered)
    std::sort(candidates.begin(), candidates.end(),
              [](const Candidate& a, const Candidate& b) { return a.token < b.token; });
  return gumbel_argmax(candidates, params.seed, position);
}

PositionLogprobs row_logprobs(std::span<const float> logits, TokenId token, int num_top, std::span<const TokenId> extra,
                              SamplerScratch& scratch) {
  float max_logit = kMinusInfinity;
  for (float l : logits) max_logit = l > max_logit ? l : max_logit;
  double total = 0;
  for (float l : logits) total += l > kMinusInfinity ? std::exp(static_cast<double>(l - max_logit)) : 0;
  double log_total = std::log(total) + static_cast<double>(max_logit);
  auto figure = [&](TokenId id) {
    float logit = logits[static_cast<size_t>(id)];
    int rank = 0;
    for (float l : logits) rank += l >= logit;
    return TokenLogprob{id, static_cast<float>(static_cast<double>(logit) - log_total), std::max(rank, 1)};
  };

  PositionLogprobs out{figure(token)};
  size_t count = num_top < 0 ? logits.size() : std::min(static_cast<size_t>(num_top), logits.size());
  if (count > 0) {
    std::vector<Candidate>& candidates = scratch.candidates;
    candidates.clear();
    for (size_t i = 0; i < logits.size(); ++i) {
      candidates.push_back({std::isnan(logits[i]) ? kMinusInfinity : logits[i], static_cast<TokenId>(i)});
    }
    std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(count), candidates.end(),
                      by_logit);
    for (size_t i = 0; i < count; ++i) {
      out.push_back({candidates[i].token, static_cast<float>(static_cast<double>(candidates[i].logit) - log_total),
                     static_cast<int>(i) + 1});
    }
  }
  for (TokenId id : extra) {
    if (id >= 0 && static_cast<size_t>(id) < logits.size()) out.push_back(figure(id));
  }
  return out;
}

}  // namespace vllm::engine
