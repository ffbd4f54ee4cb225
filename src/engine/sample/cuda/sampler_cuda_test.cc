// The device's sampler against the host's, token for token. Without a device only the packing is tested.
#include "engine/sample/cuda/sampler_cuda.h"

#include <map>

#include "engine/sample/cuda/sampler_rig.h"
#include "engine/sample/cuda/slot_params.h"

namespace vllm::engine {
namespace {

template <typename T>
T pick(std::mt19937& random, std::initializer_list<T> values) {
  return values.begin()[random() % values.size()];
}

// What a request may ask for, alone and mixed.
struct Wants {
  bool random = false, filters = false, edits = false, penalties = false, logprobs = false, mask = false;
};

TestSequence make_sequence(int vocab, Wants wants, std::mt19937& random) {
  TestSequence s;
  SamplingParams& p = s.params;
  auto any_token = [&] { return static_cast<TokenId>(random() % static_cast<unsigned>(vocab)); };
  auto some = [&](bool wanted) { return wanted && random() % 2 == 0; };
  int length = 1 + static_cast<int>(random() % 100);
  for (int i = 0; i < length; ++i) s.tokens.push_back(random() % 4 ? any_token() : static_cast<TokenId>(random() % 5));
  for (TokenId& t : s.tokens) t = std::min(t, vocab - 1);
  s.num_prompt = 1 + static_cast<int64_t>(random() % static_cast<unsigned>(length));
  p.seed = random() + (uint64_t{random()} << 32);
  p.temperature = wants.random ? pick(random, {0.1f, 0.3f, 0.7f, 1.0f, 1.5f, 2.0f}) : pick(random, {0.0f, 1e-6f});
  if (some(wants.filters)) p.top_k = pick(random, {1, 2, 5, 20, 50, 1000, vocab - 1, vocab, vocab + 1});
  if (some(wants.filters)) p.top_p = pick(random, {0.999f, 0.95f, 0.9f, 0.5f, 0.1f, 1e-4f});
  if (some(wants.filters)) p.min_p = pick(random, {0.001f, 0.05f, 0.3f, 1.0f});
  if (some(wants.edits)) {
    p.min_tokens = pick(random, {1, 20, 1000});
    p.eos_token_ids = {0, vocab - 1}, p.stop_token_ids = {any_token(), vocab + 7, -3};
  }
  if (some(wants.edits)) {
    for (int i = 0; i < 10; ++i) p.bad_words.push_back({any_token()});
    p.bad_words.push_back({s.tokens.back(), any_token()});
    p.bad_words.push_back({s.tokens.front(), any_token()});
    for (TokenId t = 0; t < std::min(vocab, 200); ++t) p.bad_words.push_back({any_token(), s.tokens.back(), t});
    p.bad_words.push_back({});
  }
  if (some(wants.edits)) {
    std::map<TokenId, float> bias;
    for (int i = 0; i < 40; ++i) bias[any_token()] = pick(random, {-100.0f, -1.5f, 3.0f, 7.25f, 100.0f});
    bias[vocab] = 100;
    p.logit_bias = {bias.begin(), bias.end()};
  }
  if (random() % 4 == 0 && wants.edits) {
    for (int i = 0; i < 300; ++i) p.allowed_token_ids.push_back(any_token());
    p.allowed_token_ids.push_back(vocab), p.allowed_token_ids.push_back(-1);
  }
  if (some(wants.penalties)) p.repetition_penalty = pick(random, {0.5f, 1.1f, 1.3f, 2.0f});
  if (some(wants.penalties)) p.frequency_penalty = pick(random, {-1.0f, 0.3f, 2.0f});
  if (some(wants.penalties)) p.presence_penalty = pick(random, {-2.0f, 0.7f, 1.1f});
  if (some(wants.logprobs)) p.logprobs = pick(random, {0, 1, 5, 20});
  if (some(wants.mask)) {
    s.mask.resize(static_cast<size_t>(vocab + 31) / 32);
    for (uint32_t& word : s.mask) word = static_cast<uint32_t>(random());
    if (random() % 8 == 0) std::fill(s.mask.begin(), s.mask.end(), 0u);
  }
  return s;
}

struct MixCase {
  const char* name;
  int vocab, rows, steps;
  Wants wants;
  bool ordinary = false;  // logits as a model's, only
};
const MixCase kMixes[] = {
    {"greedy_17", 17, 9, 3, {}},
    {"greedy_1000", 1000, 300, 2, {}},
    {"greedy_32000", 32000, 70, 2, {}},
    {"greedy_151936", 151936, 130, 1, {}, true},
    {"greedy_151936_few", 151936, 3, 4, {}},
    {"random_17", 17, 40, 4, {.random = true}},
    {"random_1000", 1000, 120, 3, {.random = true}},
    {"random_151936", 151936, 12, 2, {.random = true}},
    {"filters_17", 17, 200, 4, {.random = true, .filters = true}},
    {"filters_1000", 1000, 200, 3, {.random = true, .filters = true}},
    {"filters_32001", 32001, 40, 2, {.random = true, .filters = true}},
    {"filters_151936", 151936, 24, 1, {.random = true, .filters = true}},
    {"edits_17", 17, 64, 4, {.edits = true}},
    {"edits_1000", 1000, 64, 4, {.edits = true}},
    {"edits_151936", 151936, 8, 2, {.edits = true}},
    {"penalties_1000", 1000, 64, 6, {.penalties = true}},
    {"penalties_151936", 151936, 8, 3, {.random = true, .penalties = true}},
    {"logprobs_17", 17, 64, 3, {.logprobs = true}},
    {"logprobs_1003", 1003, 64, 3, {.random = true, .logprobs = true}},
    {"logprobs_151936", 151936, 8, 1, {.random = true, .logprobs = true}},
    {"masks_1000", 1000, 64, 3, {.random = true, .mask = true}},
    {"all_17", 17, 100, 4, {true, true, true, true, true, true}},
    {"all_1000", 1000, 300, 2, {true, true, true, true, true, true}},
    {"all_151936", 151936, 12, 2, {true, true, true, true, true, true}},
};
void PrintTo(const MixCase& c, std::ostream* out) { *out << c.name; }

class SamplerMix : public testing::TestWithParam<MixCase> {};

TEST_P(SamplerMix, GivesTheHostsTokens) {
  REQUIRE_GPU();
  const MixCase& c = GetParam();
  std::mt19937 random(static_cast<unsigned>(c.vocab + c.rows));
  SamplerRig rig(c.rows, c.vocab, c.rows + 2);
  std::vector<SlotId> rows;
  for (SlotId slot = 0; slot < c.rows; ++slot) {
    TestSequence sequence = make_sequence(c.vocab, c.wants, random);
    ASSERT_TRUE(rig.sampler->on_device(sequence.params)) << SamplerRig::describe(sequence.params);
    ASSERT_TRUE(rig.start(slot, std::move(sequence)));
    rows.push_back(slot);
  }
  std::shuffle(rows.begin(), rows.end(), random);
  rows.insert(rows.begin() + c.rows / 2, -1), rows.push_back(-1);
  auto v = static_cast<size_t>(c.vocab);
  std::vector<float> values(rows.size() * v);
  int near_ties = 0;
  for (int step = 0; step < c.steps; ++step) {
    for (size_t r = 0; r < rows.size(); ++r) {
      unsigned kinds = c.ordinary ? 1u : static_cast<unsigned>(RowKind::kNumRowKinds);
      // Half are ordinary.
      auto kind = static_cast<RowKind>(random() % 2 ? 0u : random() % kinds);
      fill_row(values.data() + r * v, c.vocab, kind, random);
    }
    rig.sample(rows, values);
    near_ties += rig.check(rows, values);
    if (near_ties > 0 || HasFailure()) break;  // a sequence has lost its track
  }
  EXPECT_EQ(near_ties, 0) << "expected once in many millions of draws";
}

INSTANTIATE_TEST_SUITE_P(Cases, SamplerMix, testing::ValuesIn(kMixes),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(CudaSampler, GivesARowTheSameTokenAloneAndInABatch) {
  REQUIRE_GPU();
  const int vocab = 32000, num_rows = 256;
  std::mt19937 random(5);
  SamplerRig rig(num_rows, vocab, num_rows);
  std::vector<SlotId> rows;
  for (SlotId slot = 0; slot < num_rows; ++slot) {
    ASSERT_TRUE(rig.start(slot, make_sequence(vocab, {true, true, true, true, true, false}, random)));
    rows.push_back(slot);
  }
  std::vector<float> values(size_t{num_rows} * vocab);
  for (int r = 0; r < num_rows; ++r) fill_row(values.data() + size_t{vocab} * r, vocab, RowKind::kLevels, random);
  rig.sample(rows, values);
  std::vector<SampledRow> together(rig.out.as<SampledRow>(), rig.out.as<SampledRow>() + num_rows);
  for (SlotId slot = 0; slot < num_rows; slot += 17) {
    ASSERT_TRUE(rig.start(slot, rig.sequences[static_cast<size_t>(slot)]));
    rig.sample({slot}, {values.begin() + std::ptrdiff_t{slot} * vocab, values.begin() + (slot + 1) * vocab});
    const SampledRow& expected = together[static_cast<size_t>(slot)];
    EXPECT_EQ(rig.row(0).token, expected.token);
    if (rig.sequences[static_cast<size_t>(slot)].params.logprobs) {
      EXPECT_EQ(rig.row(0).logprob, expected.logprob) << "bit for bit";
      EXPECT_EQ(rig.row(0).rank, expected.rank);
    }
  }
}

TEST(CudaSampler, DrawsFromTheDistribution) {
  REQUIRE_GPU();
  const int vocab = 17, num_rows = 128, steps = 100;
  std::mt19937 random(6);
  SamplerRig rig(num_rows, vocab, num_rows);
  std::vector<SlotId> rows;
  for (SlotId slot = 0; slot < num_rows; ++slot) {
    ASSERT_TRUE(rig.start(slot, {.params = {.temperature = 0.8f, .seed = random()}, .tokens = {1}, .num_prompt = 1}));
    rows.push_back(slot);
  }
  std::vector<float> values(num_rows * vocab);
  std::vector<double> p(vocab);
  double total = 0;
  for (int i = 0; i < vocab; ++i) total += p[static_cast<size_t>(i)] = std::exp(0.1 * i / 0.8);
  for (size_t i = 0; i < values.size(); ++i) values[i] = 0.1f * static_cast<float>(i % vocab);
  std::vector<int> counts(vocab);
  for (int step = 0; step < steps; ++step) {
    rig.sample(rows, values);
    for (size_t r = 0; r < rows.size(); ++r) ++counts.at(static_cast<size_t>(rig.row(r).token));
  }
  double chi = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    double e = p[i] / total * num_rows * steps;
    chi += (counts[i] - e) * (counts[i] - e) / e;
  }
  EXPECT_LT(chi, 62) << "16 degrees of freedom: 2e-7 of all runs lie above, and the seed is fixed";
}

TEST(CudaSampler, ReplaysInAGraphWhileSlotsChangeHands) {
  REQUIRE_GPU();
  const int vocab = 1000;
  std::mt19937 random(7);
  SamplerRig rig(4, vocab, 4);
  std::vector<SlotId> rows = {2, 0, -1, 1};
  const Wants all = {true, true, true, true, true, false};
  for (SlotId slot : {0, 1, 2}) ASSERT_TRUE(rig.start(slot, make_sequence(vocab, all, random)));
  CudaGraph graph = CudaGraph::capture(rig.stream, [&](StreamRef s) {
                      return rig.sampler->sample(rig.batch(4, false), rig.history(), ~0u, s);
                    }).value();
  std::vector<float> values(4 * vocab);
  for (int step = 0; step < 12; ++step) {
    if (step % 3 == 2) {  // another sequence in slot 1; the others go on
      rig.sampler->end(1);
      ASSERT_TRUE(rig.start(1, make_sequence(vocab, all, random)));
    }
    for (int r = 0; r < 4; ++r) fill_row(values.data() + r * vocab, vocab, RowKind::kLevels, random);
    rig.upload(rows, values);
    ASSERT_TRUE(graph.launch(rig.stream));
    ASSERT_TRUE(rig.stream.synchronize());
    ASSERT_EQ(rig.check(rows, values), 0);
  }
}

TEST(CudaSampler, RunsStepsInARowWithoutWaiting) {
  REQUIRE_GPU();
  const int vocab = 32000, num_rows = 16, steps = 40;
  std::mt19937 random(8);
  SamplerRig rig(num_rows, vocab, num_rows);
  std::vector<SlotId> rows;
  for (SlotId slot = 0; slot < num_rows; ++slot) {
    ASSERT_TRUE(rig.start(slot, make_sequence(vocab, {true, true, true, true, true, false}, random)));
    rows.push_back(slot);
  }
  std::vector<float> values(size_t{num_rows} * vocab);
  for (int r = 0; r < num_rows; ++r) fill_row(values.data() + r * vocab, vocab, RowKind::kNormal, random);
  rig.upload(rows, values);
  for (int step = 0; step < steps; ++step) {
    ASSERT_TRUE(rig.sampler->sample(rig.batch(num_rows, false), rig.history(), ~0u, rig.stream));
  }
  ASSERT_TRUE(rig.stream.synchronize());
  std::vector<int32_t> tokens = rig.tokens.host(), lengths = rig.num_tokens.host();
  for (SlotId slot = 0; slot < num_rows; ++slot) {
    TestSequence& sequence = rig.sequences[static_cast<size_t>(slot)];
    ASSERT_EQ(lengths[static_cast<size_t>(slot)], static_cast<int>(sequence.tokens.size()) + steps);
    std::vector<float> logits(values.begin() + std::ptrdiff_t{slot} * vocab, values.begin() + (slot + 1) * vocab);
    for (int step = 0; step < steps; ++step) {
      TokenId expected = sample_on_host(sequence, logits).token;
      ASSERT_EQ(tokens[static_cast<size_t>(slot) * 256 + sequence.tokens.size()], expected)
          << "slot " << slot << " step " << step << "; " << SamplerRig::describe(sequence.params);
      sequence.tokens.push_back(expected);
    }
  }
}

TEST(CudaSampler, FilteringKeepsWhatTheHostKeepsUpToTheLastId) {
  REQUIRE_GPU();
  // Few levels of logits and many tokens at each: top-p cuts through ties, which go by id. Every kept token turns up.
  const int vocab = 1000, num_rows = 64;
  std::mt19937 random(9);
  SamplerRig rig(num_rows, vocab, num_rows);
  std::vector<SlotId> rows;
  for (SlotId slot = 0; slot < num_rows; ++slot) {
    float p = 0.01f + 0.0154f * static_cast<float>(slot);
    SamplingParams params{.temperature = 1.0f, .top_p = p, .seed = random()};
    if (slot % 3 == 0) params.top_k = 100;
    ASSERT_TRUE(rig.start(slot, {.params = params, .tokens = {1}, .num_prompt = 1}));
    rows.push_back(slot);
  }
  std::vector<float> values(size_t{num_rows} * vocab);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(random() % 3) * 0.5f;
  for (int step = 0; step < 60; ++step) {
    rig.sample(rows, values);
    ASSERT_EQ(rig.check(rows, values), 0);
    ASSERT_FALSE(HasFailure());
  }
}

TEST(CudaSampler, SaysWhatItLeavesToTheHost) {
  REQUIRE_GPU();
  SamplerRig rig(2, 1000, 2);
  CudaSampler& sampler = *rig.sampler;
  EXPECT_TRUE(sampler.on_device({}));
  EXPECT_TRUE(sampler.on_device({.logprobs = 20}));
  EXPECT_FALSE(sampler.on_device({.logprobs = 21}));
  EXPECT_FALSE(sampler.on_device({.logprobs = -1}));
  EXPECT_FALSE(sampler.on_device({.prompt_logprobs = 0}));
  EXPECT_EQ(sampler.features({.temperature = 0}), 0u);
  EXPECT_EQ(sampler.features({.temperature = 1}), kSampleRandom);
  EXPECT_EQ(sampler.features({.temperature = 0, .top_p = 0.5f, .logprobs = 1}), kSampleLogprobs);
  EXPECT_EQ(sampler.features({.temperature = 1, .top_k = 5}), kSampleRandom | kSampleFilters);
  EXPECT_EQ(sampler.features({.temperature = 0, .presence_penalty = 1}), kSampleEdits);
  EXPECT_FALSE(sampler.start(2, {}, {}, 0, rig.stream));
  EXPECT_FALSE(sampler.start(0, {.logprobs = -1}, {}, 0, rig.stream));
  EXPECT_FALSE(sampler.sample(rig.batch(3, false), rig.history(), 0, rig.stream));
  // Tables of penalty counts come back when a slot ends or starts again.
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(sampler.start(i % 2, {.presence_penalty = 1}, {}, 0, rig.stream));
  }
  EXPECT_FALSE(sampler.on_device({.presence_penalty = 1}));
  sampler.end(1);
  EXPECT_TRUE(sampler.on_device({.presence_penalty = 1}));
  EXPECT_TRUE(rig.stream.synchronize());
  EXPECT_GT(sampler.device_bytes(), 2u * 1000 * 4);
}

TEST(SlotParams, PacksListsOneBehindTheOther) {
  PackedSlot slot;
  SamplingParams params{
      .temperature = 0.5f, .min_p = 0.25f, .min_tokens = 2, .eos_token_ids = {7}, .stop_token_ids = {8}};
  params.logit_bias = {{3, 1.5f}, {2, -1.0f}};
  params.allowed_token_ids = {1, 2, 3};
  params.bad_words = {{4}, {}, {5, 6}};
  ASSERT_TRUE(pack_slot(params, slot));
  const SlotParams& p = slot.params;
  EXPECT_EQ(p.inverse_temperature, 2.0f);
  EXPECT_EQ(p.log_min_p, std::log(0.25f));
  std::vector<int32_t> words(slot.lists, slot.lists + p.num_words);
  EXPECT_EQ(words, (std::vector<int32_t>{1, 2, 3, 7, 8, 3, 2, 0x3fc00000, static_cast<int32_t>(0xbf800000u), 0, 1, 1, 3,
                                         4, 5, 6}));
  EXPECT_EQ(words[static_cast<size_t>(p.bad_offsets())], 0);
  EXPECT_EQ(words[static_cast<size_t>(p.bad_tokens())], 4);
  EXPECT_EQ(words[static_cast<size_t>(p.stop_begin())], 7);
}

TEST(SlotParams, LeavesLongAndDoubledListsToTheHost) {
  PackedSlot slot;
  SamplingParams params;
  params.allowed_token_ids.assign(kSlotListWords, 1);
  EXPECT_TRUE(pack_slot(params, slot));
  params.allowed_token_ids.push_back(1);
  EXPECT_FALSE(pack_slot(params, slot));
  EXPECT_FALSE(pack_slot({.logit_bias = {{1, 2.0f}, {3, 1.0f}, {1, 2.0f}}}, slot));
  EXPECT_FALSE(pack_slot({.bad_words = std::vector<std::vector<TokenId>>(100, std::vector<TokenId>(50, 1))}, slot));
  EXPECT_FALSE(pack_slot({.logprobs = 1, .logprob_token_ids = {1}}, slot));
  EXPECT_TRUE(pack_slot({.temperature = 0, .top_p = 1}, slot));
  EXPECT_EQ(slot.params.inverse_temperature, 0);
}

}  // namespace
}  // namespace vllm::engine
