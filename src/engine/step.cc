#include "engine/step.h"

#include "engine/step_codec.h"

namespace vllm::engine {
namespace {

// The one list of fields of each value; reading and writing both go through it. Order is the byte form: a change here
// (or in a struct) needs a new kStepVersion.
template <typename T, typename V>
concept Is = std::same_as<std::remove_const_t<T>, V>;

template <typename Io, Is<TokenLogprob> T>
void fields(Io& io, T& v) {
  io(v.token, v.logprob, v.rank);
}

template <typename Io, Is<SamplingParams> T>
void fields(Io& io, T& v) {
  io(v.temperature, v.top_p, v.top_k, v.min_p, v.presence_penalty, v.frequency_penalty, v.repetition_penalty, v.seed,
     v.max_tokens, v.min_tokens, v.ignore_eos, v.eos_token_ids, v.stop_token_ids, v.logit_bias, v.allowed_token_ids,
     v.bad_words, v.logprobs, v.prompt_logprobs, v.logprob_token_ids);
}
template <typename Io, Is<SlotStart> T>
void fields(Io& io, T& v) {
  io(v.slot, v.token_ids, v.num_prompt_tokens, v.num_computed_tokens, v.sampling);
}
template <typename Io, Is<BlockDelta> T>
void fields(Io& io, T& v) {
  io(v.slot, v.group, v.first_index, v.block_ids);
}
template <typename Io, Is<SlotWork> T>
void fields(Io& io, T& v) {
  io(v.slot, v.num_tokens, v.samples, v.prompt_logprobs);
}
template <typename Io, Is<StepInput> T>
void fields(Io& io, T& v) {
  io(v.step, v.ended, v.starts, v.block_deltas, v.work);
}
template <typename Io, Is<GrammarMask> T>
void fields(Io& io, T& v) {
  io(v.slot, v.position, v.bits);
}
template <typename Io, Is<SampleInput> T>
void fields(Io& io, T& v) {
  io(v.step, v.masks);
}
template <typename Io, Is<SlotResult> T>
void fields(Io& io, T& v) {
  io(v.slot, v.token_ids, v.logprobs, v.prompt_logprobs, v.num_drafts);
}
template <typename Io, Is<StepResult> T>
void fields(Io& io, T& v) {
  io(v.step, v.slots, v.error);
}

struct Fields {
  template <typename Io, typename T>
  void operator()(Io& io, T& value) const {
    fields(io, value);
  }
};

enum Kind : uint16_t { kInput = 1, kSample = 2, kResult = 3 };

template <typename T>
std::string encode_as(Kind kind, const T& value) {
  StepWriter<Fields> writer;
  writer(kStepVersion, static_cast<uint16_t>(kind), value);
  return std::move(writer.bytes);
}

template <typename T>
Result<T> decode_as(Kind kind, const char* name, std::string_view bytes) {
  StepReader<Fields> reader{bytes};
  uint16_t version = 0, found = 0;
  T value;
  reader(version, found);
  if (reader.ok() && version != kStepVersion)
    return invalid_argument("{}: byte form version {}, this build reads {}", name, version, kStepVersion);
  if (reader.ok() && found != kind) return invalid_argument("{}: bytes hold another kind of value ({})", name, found);
  if (reader.ok()) reader(value);
  if (!reader.ok())
    return invalid_argument("{}: {} at byte {} of {}", name, reader.problem, reader.position, bytes.size());
  if (reader.position != bytes.size())
    return invalid_argument("{}: {} bytes too many", name, bytes.size() - reader.position);
  return value;
}

}  // namespace

std::string encode(const StepInput& v) { return encode_as(kInput, v); }
std::string encode(const SampleInput& v) { return encode_as(kSample, v); }
std::string encode(const StepResult& v) { return encode_as(kResult, v); }
Result<StepInput> decode_step_input(std::string_view bytes) { return decode_as<StepInput>(kInput, "StepInput", bytes); }
Result<SampleInput> decode_sample_input(std::string_view bytes) {
  return decode_as<SampleInput>(kSample, "SampleInput", bytes);
}
Result<StepResult> decode_step_result(std::string_view bytes) {
  return decode_as<StepResult>(kResult, "StepResult", bytes);
}

}  // namespace vllm::engine
