#pragma once
// The tiny checkpoints of tests/golden/models (make.py there) and what transformers computes with them.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <memory>

#include "base/mapped_file.h"
#include "model/model.h"
#include "model/parity/token_runner.h"
#include "model/testing/memory_checkpoint.h"

namespace vllm::model::testing {

inline const std::filesystem::path kGoldens = "tests/golden/models";

struct Golden {
  ModelConfig config;
  std::shared_ptr<MemoryCheckpoint> weights = std::make_shared<MemoryCheckpoint>();
  std::vector<int32_t> token_ids;
  std::vector<float> logits;  // [token_ids, vocab]
};

template <typename Fn>
void each_tensor(const std::filesystem::path& path, Fn fn) {
  auto bytes = read_file(path);
  ASSERT_TRUE(bytes) << bytes.error().message;
  auto tensors = parse_safetensors(std::as_bytes(std::span(bytes.value())));
  ASSERT_TRUE(tensors) << tensors.error().message;
  for (const CheckpointTensor& t : tensors.value()) fn(t);
}

inline Golden load_golden(const std::string& name) {
  Golden g;
  auto config = load_config(kGoldens / name);
  EXPECT_TRUE(config) << config.error().message;
  if (config) g.config = config.value();
  each_tensor(kGoldens / name / "model.safetensors",
              [&](const CheckpointTensor& t) { g.weights->add(std::string(t.name), t); });
  each_tensor(kGoldens / name / "expected.safetensors", [&](const CheckpointTensor& t) {
    if (t.name == "token_ids")
      g.token_ids.resize(t.data.size() / 4), std::memcpy(g.token_ids.data(), t.data.data(), t.data.size());
    if (t.name == "logits")
      g.logits.resize(t.data.size() / 4), std::memcpy(g.logits.data(), t.data.data(), t.data.size());
  });
  return g;
}

/// The largest |difference| of our logits from the golden ones; infinite if anything is NaN or the model does not load.
inline double largest_difference(const Golden& g, const ModelConfig& config, std::shared_ptr<const Checkpoint> weights,
                                 DType dtype) {
  ThreadPool pool(2);
  auto model = load_model(config, std::move(weights), {.dtype = dtype, .kv_dtype = dtype}, pool);
  EXPECT_TRUE(model) << model.error().message;
  if (!model) return INFINITY;
  TokenRunner runner(*model.value(), pool, {.chunk = 13});
  auto rows = runner.run({g.token_ids}).front();
  EXPECT_EQ(rows.size() * static_cast<size_t>(config.vocab_size), g.logits.size());
  double largest = 0;
  for (size_t t = 0; t < rows.size(); ++t) {
    for (size_t i = 0; i < rows[t].size(); ++i) {
      double difference = std::abs(double{rows[t][i]} - double{g.logits[t * rows[t].size() + i]});
      largest = std::isnan(difference) ? INFINITY : std::max(largest, difference);
    }
  }
  return largest;
}

}  // namespace vllm::model::testing
