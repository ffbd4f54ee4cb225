#include "profile/profiler.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "base/json.h"

namespace vllm::profile {
namespace {

class FakeGpu : public GpuTracer {
 public:
  Status start() override { return {}; }
  Result<GpuTrace> stop() override {
    const int64_t t = now_ns();
    // Two that overlap on one stream.
    return GpuTrace{.activities = {{.stream = 7, .begin_ns = t, .end_ns = t + 10, .step = 1},
                                   {.stream = 7, .begin_ns = t + 5, .end_ns = t + 20, .step = 1}},
                    .names = {"void vllm::kernel(int)"}};
  }
};

std::string text_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

TEST(Profiler, WritesPhasesOfAllThreadsAndTheGpu) {
  const auto dir = std::filesystem::path(testing::TempDir()) / "vllm-profile-test";
  Profiler profiler(dir, std::make_unique<FakeGpu>());
  {
    PhaseScope before("not recorded");
  }
  ASSERT_TRUE(profiler.start());
  EXPECT_FALSE(profiler.start());
  std::thread([] {
    PhaseScope phase("launch", 1);
    phase.set_batch(2, 2);
  }).join();
  {
    PhaseScope nothing("cancelled");
    nothing.cancel();
  }
  {
    PhaseScope phase("plan", 2);
  }
  auto report = profiler.stop();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(profiler.stop());
  EXPECT_EQ(report->summary.decode.num_steps, 1);
  EXPECT_EQ(report->num_activities, 2u);

  const json::value file = parse_json(text_of(report->file)).value();
  std::vector<std::string> names;
  std::vector<int64_t> tracks;
  for (const json::value& event : file.at("traceEvents").as_array()) {
    if (event.at("ph").as_string() != "X") continue;
    names.emplace_back(event.at("name").as_string());
    tracks.push_back(event.at("tid").to_number<int64_t>());
  }
  EXPECT_EQ(names, (std::vector<std::string>{"launch", "plan", "kernel", "kernel"}));
  EXPECT_NE(tracks[0], tracks[1]);
  EXPECT_NE(tracks[2], tracks[3]);  // slices of a track must not overlap
  EXPECT_EQ(file.at("otherData").at("decode").at("steps").as_int64(), 1);
  std::filesystem::remove_all(dir);
}

TEST(Profiler, SaysWhereItCannotWrite) {
  Profiler profiler("/proc/nowhere", nullptr);
  Status status = profiler.start();
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("/proc/nowhere"), std::string::npos);
}

}  // namespace
}  // namespace vllm::profile
