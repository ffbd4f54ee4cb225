// The kernels against the same functions on the host, word for word.
#include "engine/exec/cuda/slot_kernels.h"

#include <numeric>
#include <random>

#include "tensor/cuda/testing.h"

namespace vllm::engine {
namespace {

constexpr int kSlots = 40, kGroups = 2, kBlock = 16, kMaxSeqs = 40;
constexpr int64_t kMaxLen = 3000, kMaxTokens = 4096;

// Where the arrays lie in one vector of int32 words.
BatchArrays arrays_at(int32_t* ints, int64_t* mapping) {
  BatchArrays a;
  a.max_tokens = kMaxTokens, a.max_seqs = kMaxSeqs;
  a.token_ids = ints, ints += kMaxTokens;
  a.positions = ints, ints += kMaxTokens;
  a.logits_rows = ints, ints += kMaxTokens;
  a.row_slots = ints, ints += kMaxTokens;
  a.query_start = ints, ints += kMaxSeqs + 1;
  a.seq_lens = ints, ints += kMaxSeqs;
  a.block_tables = ints;
  a.slot_mapping = mapping;
  return a;
}

TEST(SlotKernels, DoAsOnTheHost) {
  REQUIRE_GPU();
  const SlotLayout layout = SlotLayout::make(kSlots, kGroups, kMaxLen, kBlock, kMaxSeqs);
  std::mt19937 random(1);
  auto pick = [&](int low, int high) {
    return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
  };
  for (bool decode : {true, false}) {
    // A state, and the work of a step as the planner writes it.
    std::vector<int32_t> words(static_cast<size_t>(layout.total), 0);
    std::vector<int32_t> payload;
    std::vector<CopyRun> runs;
    auto add = [&](int64_t to, const std::vector<int32_t>& values) {
      for (size_t at = 0; at < values.size(); at += kMaxRunWords) {
        const size_t count = std::min<size_t>(kMaxRunWords, values.size() - at);
        runs.push_back(
            {to + static_cast<int64_t>(at), static_cast<int32_t>(payload.size()), static_cast<int32_t>(count)});
        payload.insert(payload.end(), values.begin() + static_cast<std::ptrdiff_t>(at),
                       values.begin() + static_cast<std::ptrdiff_t>(at + count));
      }
    };
    const int num_seqs = 33;
    std::vector<int32_t> work(kWorkHeaderWords + num_seqs * kWorkRowWords);
    WorkHeader header{.num_seqs = num_seqs};
    for (int s = 0; s < num_seqs; ++s) {
      const int slot = (s * 7) % kSlots, known = pick(60, static_cast<int>(kMaxLen) - 1);
      const int run = decode ? 1 : s == 5 ? 57 : pick(1, 50), computed = decode ? known - 1 : pick(0, known - run);
      std::vector<int32_t> tokens(static_cast<size_t>(known));
      for (int32_t& t : tokens) t = pick(0, 150000);
      add(layout.token(slot, 0), tokens);
      add(layout.num_tokens + slot, {known});
      add(layout.num_computed + slot, {computed});
      for (int g = 0; g < kGroups; ++g) {
        std::vector<int32_t> table(static_cast<size_t>((known + kBlock - 1) / kBlock));
        for (int32_t& page : table) page = pick(1, 100000);
        add(layout.table(g, slot), table);
      }
      WorkRow row{.slot = slot,
                  .num_tokens = run,
                  .query_start = header.num_tokens,
                  .first_logit = header.num_logits,
                  .num_prompt_rows = decode ? 0 : pick(0, run - 1),
                  .last_row = decode ? pick(kLogitsRow, kSampledRow) : pick(kNoRow, kSampledRow)};
      std::memcpy(work.data() + kWorkHeaderWords + s * kWorkRowWords, &row, sizeof row);
      header.num_tokens += run;
      header.num_logits += row.num_prompt_rows + (row.last_row != kNoRow);
    }
    std::memcpy(work.data(), &header, sizeof header);
    add(layout.work, work);
    BatchShape shape{.num_seqs = num_seqs, .num_tokens = header.num_tokens, .num_logits = header.num_logits};
    if (decode) shape = {.num_seqs = kMaxSeqs, .num_tokens = kMaxSeqs, .num_logits = kMaxSeqs};

    const size_t num_ints =
        static_cast<size_t>(4 * kMaxTokens + 2 * kMaxSeqs + 1 + kGroups * kMaxSeqs * layout.max_blocks);
    std::vector<int32_t> ints(num_ints, -1);
    std::vector<int64_t> mapping(static_cast<size_t>(kGroups * kMaxTokens), -1);
    DeviceArray<int32_t> device_words(words), device_ints(ints);
    DeviceArray<int64_t> device_mapping(mapping);
    PinnedBuffer staged =
        PinnedBuffer::allocate((runs.size() + 1) * sizeof(CopyRun) + payload.size() * 4, "test").value();
    std::memcpy(staged.data(), runs.data(), runs.size() * sizeof(CopyRun));
    auto* staged_payload = reinterpret_cast<int32_t*>(staged.data() + runs.size() * sizeof(CopyRun));
    std::memcpy(staged_payload, payload.data(), payload.size() * 4);
    PinnedBuffer appended = PinnedBuffer::allocate(3 * sizeof(HostToken), "test").value();
    const HostToken tokens[3] = {{0, 11}, {7, 12}, {14, 13}};
    std::memcpy(appended.data(), tokens, sizeof tokens);

    CudaStream stream = CudaStream::create().value();
    ASSERT_TRUE(
        apply_runs(device_words.data(), staged.as<CopyRun>(), static_cast<int>(runs.size()), staged_payload, stream));
    ASSERT_TRUE(prepare_batch(device_words.data(), layout, arrays_at(device_ints.data(), device_mapping.data()), shape,
                              stream));
    ASSERT_TRUE(append_tokens(device_words.data(), layout, appended.as<HostToken>(), 3, stream));
    ASSERT_TRUE(stream.synchronize());

    const BatchArrays host = arrays_at(ints.data(), mapping.data());
    for (const CopyRun& run : runs) copy_run(words.data(), run, payload.data(), 0, 1);
    for (int s = 0; s < shape.num_seqs; ++s) prepare_sequence(words.data(), layout, host, s, 0, 1);
    prepare_padding(words.data(), layout, host, shape, 0, 1);
    for (int s = 0; s < shape.num_seqs; ++s) finish_sequence(words.data(), layout, s);
    for (const HostToken& t : tokens)
      words[static_cast<size_t>(layout.token(t.slot, words[static_cast<size_t>(layout.num_tokens + t.slot)]++))] =
          t.token;
    EXPECT_TRUE(device_words.host() == words) << "decode " << decode;
    EXPECT_TRUE(device_ints.host() == ints) << "decode " << decode;
    EXPECT_TRUE(device_mapping.host() == mapping) << "decode " << decode;
    EXPECT_GT(std::accumulate(ints.begin(), ints.end(), int64_t{0}), 0);
  }
}

// Few runs take another way to the device than many: both sides of the limits of either, in runs and in words.
TEST(SlotKernels, ApplyFewAndManyRuns) {
  REQUIRE_GPU();
  CudaStream stream = CudaStream::create().value();
  for (auto [num_runs, length] : {std::pair{1, 1}, {48, 13}, {49, 13}, {2, 320}, {2, 321}, {3, 1000}}) {
    std::vector<int32_t> words(8192, -1), payload(static_cast<size_t>(num_runs * length));
    std::iota(payload.begin(), payload.end(), 100);
    std::vector<CopyRun> runs;
    for (int i = 0; i < num_runs; ++i) runs.push_back({int64_t{i} * (length + 3), i * length, length});
    DeviceArray<int32_t> device_words(words);
    PinnedBuffer staged_runs = PinnedBuffer::allocate(runs.size() * sizeof(CopyRun), "test").value();
    PinnedBuffer staged_payload = PinnedBuffer::allocate(payload.size() * sizeof(int32_t), "test").value();
    std::memcpy(staged_runs.data(), runs.data(), staged_runs.size());
    std::memcpy(staged_payload.data(), payload.data(), staged_payload.size());
    ASSERT_TRUE(
        apply_runs(device_words.data(), staged_runs.as<CopyRun>(), num_runs, staged_payload.as<int32_t>(), stream));
    ASSERT_TRUE(stream.synchronize());
    for (const CopyRun& run : runs) copy_run(words.data(), run, payload.data(), 0, 1);
    EXPECT_TRUE(device_words.host() == words) << num_runs << " runs of " << length;
  }
}

}  // namespace
}  // namespace vllm::engine
