#include "engine/exec/cpu_executor.h"

#include <sys/mman.h>

#include <mutex>
#include <thread>
#include <variant>

#include "base/log.h"
#include "base/queue.h"
#include "engine/exec/cpu_binding.h"
#include "engine/exec/cpu_model_runner.h"
#include "engine/spec/model_drafter.h"
#include "profile/phases.h"
#include "tensor/cpu_info.h"

namespace vllm::engine {
namespace {

// Zeroed on first touch: a page nobody uses costs no memory.
class LazyMemory {
 public:
  static Result<LazyMemory> allocate(size_t bytes) {
    void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) {
      return error(ErrorCode::kResourceExhausted,
                   "Out of memory: the KV cache of {:.2f} GiB cannot be reserved; set VLLM_CPU_KVCACHE_SPACE to fewer "
                   "GiB or lower --max-model-len",
                   static_cast<double>(bytes) / (1 << 30));
    }
    ::madvise(data, bytes, MADV_HUGEPAGE);  // where the system has them: a step touches every page of a context
    LazyMemory memory;
    memory.data_ = static_cast<std::byte*>(data), memory.bytes_ = bytes;
    return memory;
  }
  LazyMemory() = default;
  LazyMemory(LazyMemory&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}
  LazyMemory& operator=(LazyMemory&& other) noexcept {
    std::swap(data_, other.data_), std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~LazyMemory() {
    if (data_) ::munmap(data_, bytes_);
  }
  std::byte* data() const { return data_; }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

class CpuExecutor : public Executor {
 public:
  CpuExecutor(std::unique_ptr<model::Model> model, const CpuExecutorOptions& options, SpeculationOptions speculation,
              LazyMemory kv, LazyMemory draft_kv)
      : kv_(std::move(kv)), draft_kv_(std::move(draft_kv)), launches_(8) {
    thread_ = std::thread([this, model = std::move(model), speculation = std::move(speculation), options]() mutable {
      work(std::move(model), options, std::move(speculation));
    });
  }
  ~CpuExecutor() override {
    launches_.close();
    thread_.join();
  }

  int phases() const override { return 1; }
  void forward(StepInput input) override { CHECK(launches_.push(std::move(input))); }
  void sample(SampleInput input) override { CHECK(launches_.push(std::move(input))); }
  std::vector<StepResult> take_done() override {
    std::lock_guard lock(mutex_);
    return std::exchange(done_, {});
  }
  void set_wakeup(std::function<void()> wakeup) override { wakeup_ = std::move(wakeup); }

 private:
  using Launch = std::variant<StepInput, SampleInput>;

  void work(std::unique_ptr<model::Model> model, const CpuExecutorOptions& options, SpeculationOptions speculation) {
    if (Status bound = bind_to_cpus(options.cpus); !bound) LOG_WARNING("{}", bound.error().message);
    ThreadPool pool(options.num_threads, !has_cpu_quota());
    std::unique_ptr<Drafter> drafter;
    if (speculation.draft_model) {
      drafter =
          std::make_unique<ModelDrafter>(std::move(speculation.draft_model), options.engine, draft_kv_.data(), pool);
    } else if (speculation.ngram) {
      drafter = std::make_unique<NgramDrafter>(*speculation.ngram);
    }
    CpuModelRunner runner(std::move(model), options.engine, kv_.data(), pool, std::move(drafter));
    bool dead = false;
    while (auto launch = launches_.pop()) {
      if (dead) continue;
      Result<StepResult> result = run(runner, *launch);
      if (result && result->step == kNoResult) continue;
      dead = !result;
      push(result ? std::move(*result) : StepResult{.step = step_of(*launch), .error = result.error().message});
    }
  }

  // A worker never throws out of its thread: what a library throws ends the engine with its text.
  static Result<StepResult> run(CpuModelRunner& runner, const Launch& launch) {
    const auto step = static_cast<int64_t>(step_of(launch));
    try {
      if (const auto* input = std::get_if<StepInput>(&launch)) {
        profile::PhaseScope phase("forward", step);
        phase.set_batch(input->work.size(), num_tokens(*input));
        RETURN_IF_ERROR(runner.forward(*input));
        return StepResult{.step = kNoResult};
      }
      profile::PhaseScope phase("sample", step);
      return runner.sample(std::get<SampleInput>(launch));
    } catch (const std::exception& e) {
      return error(ErrorCode::kInternal, "the CPU worker failed: {}", e.what());
    }
  }
  static StepId step_of(const Launch& launch) {
    return std::visit([](const auto& input) { return input.step; }, launch);
  }
  void push(StepResult result) {
    {
      std::lock_guard lock(mutex_);
      done_.push_back(std::move(result));
    }
    if (wakeup_) wakeup_();
  }

  static constexpr StepId kNoResult = ~StepId{0};  // a forward gives no result of its own
  LazyMemory kv_, draft_kv_;
  Queue<Launch> launches_;
  std::function<void()> wakeup_;
  std::mutex mutex_;  // guards done_
  std::vector<StepResult> done_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Executor>> make_cpu_executor(std::unique_ptr<model::Model> model,
                                                    const CpuExecutorOptions& options, SpeculationOptions speculation) {
  auto pool_bytes = [&](const model::Model& m) {
    return static_cast<size_t>(options.engine.num_blocks) *
           static_cast<size_t>(m.kv_spec().bytes_per_block(options.engine.block_size));
  };
  ASSIGN_OR_RETURN(LazyMemory kv, LazyMemory::allocate(pool_bytes(*model)));
  LazyMemory draft_kv;
  if (speculation.draft_model) {
    RETURN_IF_ERROR(check_draft_model(*model, *speculation.draft_model, options.engine.max_model_len));
    ASSIGN_OR_RETURN(draft_kv, LazyMemory::allocate(pool_bytes(*speculation.draft_model)));
  }
  return std::unique_ptr<Executor>(std::make_unique<CpuExecutor>(std::move(model), options, std::move(speculation),
                                                                 std::move(kv), std::move(draft_kv)));
}

}  // namespace vllm::engine
