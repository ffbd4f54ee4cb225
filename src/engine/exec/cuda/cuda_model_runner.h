#pragma once
// Runs steps on a GPU: uploads what changed, launches the forward pass (from a graph where there is one) and sampling,
// and reads results from mapped memory. Everything goes through one stream, in order; nothing waits for the device
// except rows that the host has to see.
//
// Threads: collect() belongs to the thread that waits for events, everything else to the worker.
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "engine/exec/cuda/host_rows.h"
#include "engine/exec/cuda/slot_kernels.h"
#include "engine/exec/cuda/step_planner.h"
#include "engine/sample/cuda/sampler_cuda.h"
#include "model/cuda/cuda_model.h"
#include "tensor/cuda/buffer.h"
#include "tensor/cuda/handles.h"

namespace vllm::engine {

struct CudaRunnerOptions {
  EngineConfig engine;  // num_blocks is not read: set_kv
  int phases = 2;
  int max_graph_batch = 512;  // 0 = no graphs
  bool use_cublaslt = true;
  bool batch_invariant = false;
};

class CudaModelRunner {
 public:
  /// Allocates everything but the KV pool.
  static Result<std::unique_ptr<CudaModelRunner>> create(std::unique_ptr<model::CudaModel> model,
                                                         const CudaRunnerOptions& options);
  ~CudaModelRunner();

  /// The pool of pages, in device memory that outlives the runner's steps.
  Status set_kv(std::byte* base, int64_t num_blocks);
  /// Run small steps with no meaning, so that modules and workspaces are loaded; slots are free afterwards.
  Status warm_up();

  /// A step on its way. Valid until collect().
  struct Ticket;
  /// First launch. An error means that the step made no sense or that the device failed.
  Status forward(const StepInput& input);
  /// Second launch, of the step whose forward was the last one; the ticket's event is recorded.
  Result<Ticket*> sample(const SampleInput& input);
  /// True when the device is through with the step.
  static Result<bool> is_done(const Ticket& ticket);
  static StepId step_of(const Ticket& ticket);
  /// What the step gave; it must be done.
  StepResult collect(Ticket& ticket);

  /// Sizes that ran without a graph and may have one.
  bool wants_capture() const { return !wanted_.empty(); }
  /// Capture the smallest of them. Costs a few ms of the worker; a failure is logged once and stays eager.
  void capture_one();
  int64_t num_graph_steps() const { return num_graph_steps_; }
  /// Those of them that prefilled.
  int64_t num_mixed_graph_steps() const { return num_mixed_graph_steps_; }

  const model::CudaModel& model() const { return *model_; }
  size_t device_bytes() const;
  /// "model 145.2, sampler 15.7, ..." in MiB.
  std::string describe_memory() const;
  StreamRef stream() const { return stream_; }
  Status synchronize() const { return stream_.synchronize(); }

 private:
  CudaModelRunner(std::unique_ptr<model::CudaModel> model, const CudaRunnerOptions& options);
  Status allocate();
  Result<SamplingPlace> start_slot(const SlotStart& start);
  Status upload(Ticket& ticket);
  // What a graph is captured for: a decode, or a step that prefills.
  struct GraphKey {
    MixedBucket mixed;  // of a step that prefills
    int logits = 0;     // padded; a decode's sequences
    bool lopsided = false;
    bool is_mixed() const { return mixed.num_tokens > 0; }
    auto operator<=>(const GraphKey&) const = default;
  };
  // What the worker knows of a step, beside its shape.
  struct Known {
    bool decode = false, lopsided = false;
    int decodes = -1;                                // of a step that prefills from a graph
    std::span<const int32_t> query_start, seq_lens;  // of one without
    int phase = 0;
  };
  std::optional<GraphKey> graph_key(const StepPlan& plan) const;
  bool want(const GraphKey& key);
  bool is_lopsided(const StepPlan& plan) const;
  Status launch_forward(const BatchShape& shape, const Known& known, StreamRef stream);
  Status launch_logits(int64_t begin, int64_t end, StreamRef stream);
  Status sample_tile(Ticket& ticket, const SampleInput& input, int64_t begin, int64_t end);
  Status finish_host_rows(Ticket& ticket, const SampleInput& input, int64_t begin, int64_t end);
  Result<std::span<float>> fetch_row(int64_t row);
  TensorView<void, 2> hidden_rows(int64_t begin, int64_t end) const;
  DeviceHistory history() const;

  std::unique_ptr<model::CudaModel> model_;
  const CudaRunnerOptions options_;
  const int vocab_size_;
  const SlotLayout layout_;
  const int64_t max_seqs_, max_tokens_;  // padded
  int64_t logits_rows_ = 0;              // of logits_; more are sampled in turns
  StepPlanner planner_;
  HostRows host_rows_;
  std::vector<bool> sampled_on_device_;  // [slot]
  model::KvCacheView kv_;

  CudaStream stream_;
  std::unique_ptr<CudaSampler> sampler_;
  DeviceBuffer words_, batch_;
  float* logits_ = nullptr;      // [logits_rows_, vocab]: these two lie in the model's tail
  std::byte* hidden_ = nullptr;  // [max_tokens, hidden]
  BatchArrays arrays_;           // inside batch_
  PinnedBuffer logits_row_;      // one row on the host
  std::vector<std::unique_ptr<Ticket>> ring_;
  size_t next_ = 0;
  Ticket* open_ = nullptr;  // forward launched, sampling not yet

  std::map<GraphKey, CudaGraph> graphs_;
  std::map<GraphKey, int> mixed_uses_;  // of those that have no graph
  int num_mixed_graphs_ = 0;
  std::set<GraphKey> wanted_, failed_;
  std::atomic<int64_t> num_graph_steps_{0}, num_mixed_graph_steps_{0};
};

}  // namespace vllm::engine
