#pragma once
// For tests and benches of the device sampler: sequences in slots, their history on the device, and what the host's
// sampler makes of the same logits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "engine/sample/cuda/sampler_cuda.h"
#include "engine/sample/philox.h"
#include "engine/sample/sampler.h"
#include "tensor/cuda/testing.h"

namespace vllm::engine {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct TestSequence {
  SamplingParams params;
  std::vector<TokenId> tokens;  // the prompt, then the output
  int64_t num_prompt = 0;
  std::vector<uint32_t> mask;  // of the next step; empty: none
};

/// What the host makes of a row. `perturbed` holds the scores that a random choice compares.
struct HostRow {
  TokenId token = 0;
  PositionLogprobs logprobs;
  std::vector<float> edited;
};
inline HostRow sample_on_host(const TestSequence& sequence, std::vector<float> logits) {
  auto vocab = static_cast<int>(logits.size());
  SamplerScratch scratch(vocab);
  SamplingState state(sequence.params, sequence.tokens, sequence.num_prompt, vocab);
  HostRow out;
  out.edited = logits;
  state.adjust_logits(out.edited, sequence.tokens, sequence.num_prompt, sequence.mask);
  auto position = static_cast<int64_t>(sequence.tokens.size()) - sequence.num_prompt;
  out.token = sample_token(out.edited, sequence.params, position, scratch);
  if (sequence.params.logprobs) out.logprobs = row_logprobs(logits, out.token, *sequence.params.logprobs, {}, scratch);
  return out;
}

/// A sampler with its history, logits and results. Row r of a batch is the sequence in slots[r], or padding.
class SamplerRig {
 public:
  SamplerRig(int num_slots, int vocab, int max_rows, int stride = 256)
      : vocab_(vocab),
        row_stride_(vocab),
        max_rows_(max_rows),
        stride_(stride),
        sequences(static_cast<size_t>(num_slots)),
        sampler(CudaSampler::create(num_slots, vocab, max_rows, 2).value()),
        stream(CudaStream::create().value()),
        logits(static_cast<size_t>(max_rows) * static_cast<size_t>(vocab)),
        tokens(static_cast<size_t>(num_slots * stride)),
        num_tokens(static_cast<size_t>(num_slots)),
        num_prompt(static_cast<size_t>(num_slots)),
        slots(static_cast<size_t>(max_rows)),
        mask_rows(static_cast<size_t>(max_rows)),
        masks(static_cast<size_t>(max_rows) * words()),
        out(PinnedBuffer::allocate(static_cast<size_t>(max_rows) * sizeof(SampledRow), "test rows").value()),
        top(PinnedBuffer::allocate(static_cast<size_t>(max_rows) * kMaxDeviceLogprobs * sizeof(TokenLogprob), "top")
                .value()) {}

  size_t words() const { return static_cast<size_t>(vocab_ + 31) / 32; }

  Status start(SlotId slot, TestSequence sequence) {
    auto s = static_cast<size_t>(slot);
    copy(tokens.data() + slot * stride_, sequence.tokens);
    copy(num_tokens.data() + slot, std::vector<int32_t>{static_cast<int32_t>(sequence.tokens.size())});
    copy(num_prompt.data() + slot, std::vector<int32_t>{static_cast<int32_t>(sequence.num_prompt)});
    RETURN_IF_ERROR(
        sampler->start(slot, sequence.params, sequence.tokens, sequence.num_prompt, StreamRef{stream.get()}));
    sequences[s] = std::move(sequence);
    return {};
  }

  SampleCudaBatch batch(int num_rows, bool with_masks) {
    SampleCudaBatch b{
        .num_rows = num_rows, .slots = slots.data(), .out = out.as<SampledRow>(), .top = top.as<TokenLogprob>()};
    b.logits = TensorView<float, 2>(logits.data(), {num_rows, vocab_});
    if (with_masks) b.mask_rows = mask_rows.data(), b.masks = masks.data();
    return b;
  }
  DeviceHistory history() const { return {tokens.data(), stride_, num_tokens.data(), num_prompt.data()}; }

  /// Upload a step's rows (rows of -1 are padding); true if any has a mask.
  bool upload(const std::vector<SlotId>& rows, const std::vector<float>& values) {
    copy(logits.data(), values);
    copy(slots.data(), rows);
    std::vector<int32_t> which(rows.size(), -1);
    std::vector<uint32_t> bits;
    int32_t count = 0;
    for (size_t r = 0; r < rows.size(); ++r) {
      if (rows[r] < 0) continue;
      const std::vector<uint32_t>& mask = sequences[static_cast<size_t>(rows[r])].mask;
      if (mask.empty()) continue;
      bits.insert(bits.end(), mask.begin(), mask.end());
      which[r] = count++;
    }
    copy(mask_rows.data(), which);
    if (count > 0) copy(masks.data(), bits);
    return count > 0;
  }
  uint32_t features(const std::vector<SlotId>& rows) const {
    uint32_t all = 0;
    for (SlotId slot : rows) {
      if (slot >= 0) all |= sampler->features(sequences[static_cast<size_t>(slot)].params);
    }
    return all;
  }
  /// Sample and wait. The tokens are appended to `sequences` by check(), not here.
  void sample(const std::vector<SlotId>& rows, const std::vector<float>& values) {
    bool masked = upload(rows, values);
    std::fill_n(out.as<SampledRow>(), rows.size(), SampledRow{-7, -7, -7, -7});
    Status status = sampler->sample(batch(static_cast<int>(rows.size()), masked), history(), features(rows), stream);
    ASSERT_TRUE(status) << status.error().message;
    ASSERT_TRUE(stream.synchronize());
    ASSERT_EQ(cudaGetLastError(), cudaSuccess);
  }
  SampledRow row(size_t r) const { return out.as<SampledRow>()[r]; }

  /// Compare with the host and append. Returns how many tokens differ by a near tie, which is printed.
  int check(const std::vector<SlotId>& rows, const std::vector<float>& values) {
    int near_ties = 0;
    std::vector<int32_t> lengths = num_tokens.host();
    std::vector<int32_t> device_tokens = tokens.host();
    auto v = static_cast<size_t>(vocab_);
    for (size_t r = 0; r < rows.size(); ++r) {
      if (rows[r] < 0) {
        EXPECT_EQ(row(r).token, -1) << "padded row " << r;
        continue;
      }
      auto s = static_cast<size_t>(rows[r]);
      TestSequence& sequence = sequences[s];
      HostRow host = sample_on_host(sequence, {values.begin() + static_cast<std::ptrdiff_t>(r * v),
                                               values.begin() + static_cast<std::ptrdiff_t>((r + 1) * v)});
      if (row(r).token != host.token) {
        if (is_near_tie(sequence, host, row(r).token)) {
          ++near_ties;
          continue;  // its logprobs are another token's
        }
        ADD_FAILURE() << "row " << r << " slot " << rows[r] << ": token " << row(r).token << ", host " << host.token
                      << "; " << describe(sequence.params);
      }
      if (sequence.params.logprobs) check_logprobs(r, host.logprobs);
      EXPECT_EQ(lengths[s], static_cast<int32_t>(sequence.tokens.size()) + 1) << "row " << r;
      EXPECT_EQ(device_tokens[s * static_cast<size_t>(stride_) + sequence.tokens.size()], row(r).token) << "row " << r;
      sequence.tokens.push_back(row(r).token);
    }
    EXPECT_TRUE(logits.guard_intact() && masks.guard_intact());
    if (near_ties > 0) printf("%d near ties\n", near_ties);
    return near_ties;
  }

  static std::string describe(const SamplingParams& p) {
    return fmt::format(
        "temperature {} top_k {} top_p {} min_p {} presence {} frequency {} repetition {} seed {} min_tokens {} bias "
        "{} "
        "allowed {} bad {} logprobs {}",
        p.temperature, p.top_k, p.top_p, p.min_p, p.presence_penalty, p.frequency_penalty, p.repetition_penalty, p.seed,
        p.min_tokens, p.logit_bias.size(), p.allowed_token_ids.size(), p.bad_words.size(), p.logprobs.value_or(-9));
  }

 private:
  template <typename T>
  static void copy(T* to, const std::vector<T>& from) {
    ASSERT_EQ(cudaMemcpy(to, from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);  // a copy from pageable memory may still be on its way
  }

  // The last bit of a double logarithm may differ: two scores within two units of the last place may swap.
  static bool is_near_tie(const TestSequence& sequence, const HostRow& host, TokenId other) {
    if (sequence.params.temperature < 1e-5f || other < 0 || static_cast<size_t>(other) >= host.edited.size())
      return false;
    auto position = static_cast<int64_t>(sequence.tokens.size()) - sequence.num_prompt;
    auto score = [&](TokenId id) {
      auto words = random_words(sequence.params.seed, position, static_cast<uint32_t>(id / 4), RandomStream::kSample);
      return host.edited[static_cast<size_t>(id)] * (1.0f / sequence.params.temperature) +
             gumbel(words[static_cast<size_t>(id % 4)]);
    };
    float a = score(host.token), b = score(other), ulp = std::nextafter(std::abs(a), kInfinity) - std::abs(a);
    return std::abs(a - b) <= 2 * ulp;
  }

  void check_logprobs(size_t r, const PositionLogprobs& host) const {
    SampledRow got = row(r);
    EXPECT_EQ(got.rank, host[0].rank) << "row " << r;
    expect_close(got.logprob, host[0].logprob, r, -1);
    ASSERT_EQ(got.num_top, static_cast<int>(host.size()) - 1) << "row " << r;
    for (int i = 0; i < got.num_top; ++i) {
      TokenLogprob entry = top.as<TokenLogprob>()[r * kMaxDeviceLogprobs + static_cast<size_t>(i)];
      const TokenLogprob& expected = host[static_cast<size_t>(i) + 1];
      EXPECT_EQ(entry.token, expected.token) << "row " << r << " place " << i;
      EXPECT_EQ(entry.rank, expected.rank) << "row " << r << " place " << i;
      expect_close(entry.logprob, expected.logprob, r, i);
    }
  }
  static void expect_close(float got, float expected, size_t r, int place) {
    if (got == expected || (std::isnan(got) && std::isnan(expected))) return;
    EXPECT_LE(std::abs(got - expected), 1e-5f * std::max(1.0f, std::abs(expected)))
        << "row " << r << " place " << place << ": " << got << ", host " << expected;
  }

  int vocab_, row_stride_, max_rows_;
  int64_t stride_;

 public:
  std::vector<TestSequence> sequences;  // by slot
  std::unique_ptr<CudaSampler> sampler;
  CudaStream stream;
  DeviceArray<float> logits;
  DeviceArray<int32_t> tokens, num_tokens, num_prompt, slots, mask_rows;
  DeviceArray<uint32_t> masks;
  PinnedBuffer out, top;
};

/// Rows of logits of several kinds: spread as a model's are, few levels (ties), equal, and with NaN and infinities.
enum class RowKind { kNormal, kLevels, kEqual, kBroken, kAllMasked, kNumRowKinds };
inline void fill_row(float* row, int vocab, RowKind kind, std::mt19937& random) {
  std::normal_distribution<float> normal(0, 3);
  for (int i = 0; i < vocab; ++i) {
    row[i] = kind == RowKind::kEqual ? 1.5f : kind == RowKind::kAllMasked ? -kInfinity : normal(random);
    if (kind == RowKind::kLevels) row[i] = std::round(row[i] * 2) / 2;
  }
  if (kind != RowKind::kBroken) return;
  auto any = [&] { return static_cast<int>(random() % static_cast<unsigned>(vocab)); };
  for (int i = 0; i < vocab / 8 + 1; ++i) row[any()] = std::nanf("");
  for (int i = 0; i < vocab / 8 + 1; ++i) row[any()] = -kInfinity;
  if (random() % 2 == 0) row[any()] = kInfinity;
}

}  // namespace vllm::engine
