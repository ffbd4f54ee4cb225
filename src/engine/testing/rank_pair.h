#pragma once
// Two ranks that know of each other and of the engine only what the bytes on their sockets say.
#include <memory>

#include "engine/testing/fake_device.h"
#include "engine/testing/fake_executor.h"

namespace vllm::engine::testing {

/// A step function that sends the step's bytes to two rank threads over socket pairs, and takes their answers, which
/// must be equal byte for byte. Destroying the last copy ends the threads.
StepFunction make_rank_pair(const FakeDeviceOptions& options);

}  // namespace vllm::engine::testing
