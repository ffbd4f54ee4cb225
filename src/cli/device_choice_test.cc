#include "cli/device_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vllm::cli {
namespace {

enum class Gpu { kNotBuilt, kAbsent, kThere };

struct Case {
  const char *flag, *target;
  Gpu gpu;
  const char* answer;  // "cuda", "cpu", "cpu, warned" or "stop"
};

std::string answer(const Case& c) {
  int asked = 0;
  auto choice =
      choose_device({.flag = c.flag, .target = c.target, .built_with_cuda = c.gpu != Gpu::kNotBuilt, .why_no_gpu = [&] {
                       ++asked;
                       return c.gpu == Gpu::kThere ? "" : "GPU not found: a reason";
                     }});
  EXPECT_LE(asked, 1);
  if (!choice) {
    EXPECT_EQ(choice.error().message, "GPU not found: a reason");
    EXPECT_EQ(choice.error().code, ErrorCode::kUnavailable);
    return "stop";
  }
  if (choice->cuda) return "cuda";
  EXPECT_TRUE(choice->warning.empty() || choice->warning.find("GPU not found") != std::string::npos);
  return choice->warning.empty() ? "cpu" : "cpu, warned";
}

TEST(DeviceChoice, FollowsFlagVariableAndMachine) {
  for (const Case& c : {
           Case{"auto", "", Gpu::kThere, "cuda"},
           {"auto", "", Gpu::kAbsent, "cpu, warned"},
           {"auto", "", Gpu::kNotBuilt, "cpu"},
           {"auto", "cuda", Gpu::kThere, "cuda"},
           {"auto", "cuda", Gpu::kAbsent, "stop"},
           {"auto", "cuda", Gpu::kNotBuilt, "stop"},
           {"auto", "cpu", Gpu::kThere, "cpu"},
           {"cuda", "", Gpu::kThere, "cuda"},
           {"cuda", "cpu", Gpu::kThere, "cuda"},
           {"cuda", "", Gpu::kAbsent, "stop"},
           {"cuda", "", Gpu::kNotBuilt, "stop"},
           {"cpu", "cuda", Gpu::kThere, "cpu"},
           {"cpu", "", Gpu::kNotBuilt, "cpu"},
       }) {
    EXPECT_EQ(answer(c), c.answer) << c.flag << " " << c.target << " " << static_cast<int>(c.gpu);
  }
}

TEST(DeviceChoice, NamesGpuFlagsThatTheCpuIgnores) {
  auto line = read_serve_command_line({"--enforce-eager", "--gpu-memory-utilization", "0.9", "--port", "1"});
  ASSERT_TRUE(line);
  EXPECT_THAT(gpu_only_settings(line->args),
              testing::ElementsAre(testing::HasSubstr("--gpu-memory-utilization 0.9 (command line)"),
                                   testing::HasSubstr("--enforce-eager")));
}

}  // namespace
}  // namespace vllm::cli
