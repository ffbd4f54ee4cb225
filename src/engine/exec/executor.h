#pragma once
// Where steps run. The engine thread is the only caller; results come back through take_done.
#include <functional>
#include <memory>
#include <vector>

#include "engine/step.h"

namespace vllm::engine {

class Executor {
 public:
  virtual ~Executor() = default;
  /// Steps that may be in flight: 1 on the CPU, 2 on a GPU, pipeline stages + 1.
  virtual int phases() const = 0;
  /// Launch the forward pass. Never blocks for the result.
  virtual void forward(StepInput input) = 0;
  /// Launch sampling of a step whose forward was launched.
  virtual void sample(SampleInput input) = 0;
  /// Results that have arrived since the last call, in step order.
  virtual std::vector<StepResult> take_done() = 0;
  /// Called from any thread when a result has arrived; set once before the first forward.
  virtual void set_wakeup(std::function<void()> wakeup) = 0;
};

}  // namespace vllm::engine
