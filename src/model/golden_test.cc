// Every built family against transformers, on tiny random checkpoints.
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

}  // namespace
}  // namespace vllm::model::testing
