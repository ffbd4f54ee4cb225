// Every built family against transformers, on tiny random checkpoints in both formats.
#include "model/testing/golden.h"

namespace vllm::model::testing {
namespace {

TEST(Golden, EveryFamilyMatchesTransformers) {
  int cases = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kGoldens)) {
    if (!entry.is_directory()) continue;
    std::string name = entry.path().filename().string();
    Golden g = load_golden(name);
    double difference = largest_difference(g, g.config, g.weights, DType::kFloat32);
    EXPECT_LT(difference, 1e-4) << name;  // both sum in float32; logits have a standard deviation of 1.7
    double rounded = largest_difference(g, g.config, g.weights, DType::kBFloat16);
    EXPECT_LT(rounded, 0.3) << name;
    EXPECT_GT(rounded, 1e-4) << name << ": bfloat16 was not used";
    RecordProperty(name, std::to_string(difference));
    ++cases;
  }
  EXPECT_EQ(cases, 30);
}

// The same checkpoints through llama.cpp's converter (make_gguf.py): its names, orders and metadata.
TEST(Golden, GgufFilesOfLlamaCppMatchTransformers) {
  int cases = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kGoldens)) {
    if (!std::filesystem::exists(entry.path() / "model.gguf")) continue;
    const std::string name = entry.path().filename().string();
    SCOPED_TRACE(name);
    Golden g = load_golden(name);
    auto opened = open_checkpoint(entry.path() / "model.gguf");
    ASSERT_TRUE(opened) << opened.error().message;
    std::shared_ptr<const Checkpoint> file = std::move(*opened);
    auto config = config_from_gguf(*file->gguf());
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->architecture, g.config.architecture);
    EXPECT_EQ(config->vocab_size, g.config.vocab_size);
    // What the format has no field for.
    if (g.config.rope.type == RopeType::kDynamic || g.config.rope.type == RopeType::kQwenNtk) {
      config->rope = config->rope_local = g.config.rope;
      config->log_n_attention_length = g.config.log_n_attention_length;
    }
    if (name == "gemma2") config->attention_scale = g.config.attention_scale;
    EXPECT_LT(largest_difference(g, *config, file, DType::kFloat32), 1e-4);
    ++cases;
  }
  EXPECT_EQ(cases, 16);
}

}  // namespace
}  // namespace vllm::model::testing
