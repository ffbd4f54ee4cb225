#pragma once
// Sampling on the device: the semantics of engine/sample/sampler.h (adjust_logits, sample_token, row_logprobs), one
// token per row, with the same counter RNG, so that a seed gives the same token wherever logits agree.
//
// State per slot (parameters, penalty counts where used) lives on the device and is changed by stream-ordered uploads.
// What the device does not do itself (`on_device` says so: whole-vocabulary logprobs and other rare things) is for the
// caller to sample on the host from the row's logits.
//
// Where it may differ from the host: a Gumbel variate comes from two logarithms in double, which host and device round
// differently in the last bit; about one in 2^27 variates is then a neighbouring float, and a token differs only if its
// score and the next one's are neighbours, too. Logprobs agree to 1e-5; everything else is equal, ranks included.
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "engine/step.h"
#include "tensor/cuda/stream_ref.h"
#include "tensor/tensor_view.h"

namespace vllm::engine {

/// The device's token history, owned by the executor; sampling appends to it.
struct DeviceHistory {
  int32_t* tokens = nullptr;  // [num_slots, stride]
  int64_t stride = 0;
  int32_t* num_tokens = nullptr;        // [num_slots] known tokens, prompt and sampled
  const int32_t* num_prompt = nullptr;  // [num_slots]
};

/// What one row gave, in mapped host memory; complete when the stream has passed the launch.
struct SampledRow {
  int32_t token = -1;  // -1: a padded row
  int32_t rank = 0;    // of the token, 1-based, if its slot asks for logprobs
  float logprob = 0;
  int32_t num_top = 0;
};
inline constexpr int kMaxDeviceLogprobs = 20;  // top alternatives per row on the device

struct SampleCudaBatch {
  int num_rows = 0;                // padded
  TensorView<float, 2> logits;     // device [num_rows, vocab]; only read
  const int32_t* slots = nullptr;  // device [num_rows]; -1 = padding: no token
  SampledRow* out = nullptr;       // mapped host memory [num_rows]
  TokenLogprob* top = nullptr;     // mapped host memory [num_rows, kMaxDeviceLogprobs]
  // Grammar masks of this step, or none: mask_rows[r] >= 0 is the row of `masks` for row r.
  const int32_t* mask_rows = nullptr;  // device [num_rows]
  const uint32_t* masks = nullptr;     // device [., ceil(vocab / 32)]
};

/// What sample() has to do beyond each row's argmax.
enum SampleFeature : uint32_t {
  kSampleRandom = 1,   // temperature above zero
  kSampleFilters = 2,  // top_k, top_p, min_p
  kSampleEdits = 4,    // penalties, bias, allowed ids, bad words, min_tokens
  kSampleLogprobs = 8,
};

class CudaSampler {
 public:
  /// Nothing is kept per step in flight, so the number of phases is not used.
  static Result<std::unique_ptr<CudaSampler>> create(int num_slots, int vocab_size, int max_rows, int num_phases);
  virtual ~CudaSampler() = default;
  /// True if a sequence with these parameters may start() now and sample() covers them whole. Ask once per sequence,
  /// before start(). False for: logprobs of the prompt, of the whole vocabulary, of more than kMaxDeviceLogprobs or of
  /// named tokens; one token with two biases; lists of more than kSlotListWords (slot_params.h) words together;
  /// penalties when all tables of counts are in use (256 MiB of them, or one per slot); anything but plain greedy where
  /// the vocabulary is larger than 400,000.
  virtual bool on_device(const SamplingParams& params) const = 0;
  /// A sequence enters a slot (tokens: prompt and earlier outputs; the device reads them in its history, which must be
  /// there before sample()). Stream-ordered, without waiting; copies what it needs at once. An error if not on_device.
  virtual Status start(SlotId slot, const SamplingParams& params, std::span<const TokenId> tokens,
                       int64_t num_prompt_tokens, StreamRef stream) = 0;
  virtual void end(SlotId slot) = 0;
  /// Launch (one kernel): adjust, sample, append to the history, write `out`. `features` is the union of what the rows'
  /// slots need (see features()), chosen by the caller so that a graph per feature set can be captured; 0 = all rows
  /// greedy and plain.
  virtual Status sample(const SampleCudaBatch& batch, const DeviceHistory& history, uint32_t features,
                        StreamRef stream) = 0;
  /// Bits that a slot's parameters need: kRandom, kTopKP, kEdits (penalties, bias, masks), kLogprobs, ...
  virtual uint32_t features(const SamplingParams& params) const = 0;
  virtual size_t device_bytes() const = 0;
};

}  // namespace vllm::engine
