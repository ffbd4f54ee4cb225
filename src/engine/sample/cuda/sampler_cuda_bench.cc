// Microseconds of the device's sampler by graph replay: ten launches in a graph, each on fresh history.
//   sampler_cuda_bench [--out FILE]     FILE gets a JSON line per case
// `of_read` is the share of the time that reading the logits once at 4.5 TB/s takes (few rows lie in the L2 cache).
#include <cstdio>
#include <string>

#include "engine/sample/cuda/sampler_rig.h"

namespace vllm::engine {
namespace {

constexpr int kVocab = 151936, kLaunches = 10;

struct BenchCase {
  const char* name;
  SamplingParams params;
};
const BenchCase kCases[] = {
    {"greedy", {.temperature = 0}},
    {"random", {.temperature = 1}},
    {"top_k_top_p", {.temperature = 0.6f, .top_p = 0.95f, .top_k = 20}},
    {"top_p", {.temperature = 1, .top_p = 0.9f}},
    {"min_p", {.temperature = 1, .min_p = 0.05f}},
    {"greedy_logprobs_0", {.temperature = 0, .logprobs = 0}},
    {"greedy_logprobs_5", {.temperature = 0, .logprobs = 5}},
    {"random_logprobs_20", {.temperature = 1, .logprobs = 20}},
    {"random_penalties", {.temperature = 1, .presence_penalty = 0.5f, .repetition_penalty = 1.1f}},
    {"all_qwen", {.temperature = 0.7f, .top_p = 0.8f, .top_k = 20, .repetition_penalty = 1.05f}},
};

// As a model's: most far below, some dozens in reach of the best.
std::vector<float> model_like_logits(int rows) {
  std::mt19937 random(1);
  std::vector<float> values(static_cast<size_t>(rows) * kVocab);
  std::normal_distribution<float> normal(0, 2.5f);
  std::vector<float> pool(1 << 16);
  for (float& v : pool) v = normal(random);
  for (size_t i = 0; i < values.size(); ++i) values[i] = pool[(i * 40503u + i / 65536u * 7919u) % pool.size()];
  for (int r = 0; r < rows; ++r) {
    for (int i = 0; i < 60; ++i) {
      values[static_cast<size_t>(r) * kVocab + random() % kVocab] = 16 - 0.15f * static_cast<float>(i);
    }
  }
  return values;
}

int run(FILE* out) {
  Result<CudaDevice> device = open_cuda_device(0);
  if (!device) {
    fprintf(stderr, "%s\n", device.error().message.c_str());
    return 1;
  }
  printf("%s, vocabulary %d\n%-22s %5s %9s %8s %8s\n", to_string(*device).c_str(), kVocab, "case", "rows", "us", "GB/s",
         "of_read");
  for (int rows : {1, 8, 64, 256}) {
    SamplerRig rig(rows, kVocab, rows, 4096);
    std::vector<SlotId> slots;
    for (int r = 0; r < rows; ++r) slots.push_back(r);
    std::vector<float> values = model_like_logits(rows);
    rig.upload(slots, values);
    for (const BenchCase& c : kCases) {
      for (SlotId slot : slots) {
        TestSequence sequence{.params = c.params, .num_prompt = 512};
        sequence.params.seed = static_cast<uint64_t>(slot) + 1;
        for (int i = 0; i < 600; ++i) sequence.tokens.push_back((i * 7919 + slot) % kVocab);
        if (Status status = rig.start(slot, std::move(sequence)); !status) {
          fprintf(stderr, "%s: %s\n", c.name, status.error().message.c_str());
          return 1;
        }
      }
      float ms = time_graph_ms([&](StreamRef stream) -> Status {
        for (int i = 0; i < kLaunches; ++i) {
          RETURN_IF_ERROR(rig.sampler->sample(rig.batch(rows, false), rig.history(), rig.features(slots), stream));
        }
        return {};
      });
      double us = 1e3 * static_cast<double>(ms) / kLaunches;
      double bytes = 4.0 * kVocab * rows;
      printf("%-22s %5d %9.2f %8.0f %7.0f%%\n", c.name, rows, us, bytes / us / 1e3, 100 * bytes / 4.5e6 / us);
      if (out) {
        fprintf(out,
                R"({"bench":"sampler","case":"%s","vocab":%d,"rows":%d,"us":%.3f})"
                "\n",
                c.name, kVocab, rows, us);
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace vllm::engine

int main(int argc, char** argv) {
  FILE* out = nullptr;
  if (argc == 3 && std::string(argv[1]) == "--out") out = fopen(argv[2], "w");
  if (argc != 1 && !out) {
    fprintf(stderr, "usage: %s [--out FILE]\n", argv[0]);
    return 2;
  }
  int code = vllm::engine::run(out);
  if (out) fclose(out);
  return code;
}
