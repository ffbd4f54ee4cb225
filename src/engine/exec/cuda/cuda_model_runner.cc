#include "engine/exec/cuda/cuda_model_runner.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "engine/exec/cuda/graph_buckets.h"
#include "tensor/cuda/error.h"

namespace vllm::engine {
namespace {

constexpr int64_t kLogitsTile = 256;       // rows of a compute_logits call
constexpr int kMixedUses = 3;              // of a size without a graph until it gets one
constexpr int kMaxMixedGraphs = 64;        // each takes memory of the device
constexpr size_t kStagedRuns = 8192;       // of one upload; more are uploaded in turns
constexpr size_t kStagedWords = 1u << 18;  // 1 MiB: 256k prompt tokens

// Hands out arrays of one allocation, 256-byte aligned; without memory it only counts.
struct Carver {
  std::byte* base = nullptr;
  size_t used = 0;
  template <typename T>
  T* take(int64_t count) {
    auto* at = base ? reinterpret_cast<T*>(base + used) : nullptr;
    used += (static_cast<size_t>(count) * sizeof(T) + 255) / 256 * 256;
    return at;
  }
};

}  // namespace

struct CudaModelRunner::Ticket {
  StepPlan plan;
  std::vector<SlotResult> slots;  // what the host has found itself
  std::atomic<bool> in_use{false};
  int phase = 0;
  CudaEvent event;
  // Mapped memory. The device reads runs, payload and host_tokens; it writes out and top.
  PinnedBuffer memory;
  CopyRun* runs = nullptr;
  int32_t* payload = nullptr;
  HostToken* host_tokens = nullptr;  // [max_seqs]
  SampledRow* out = nullptr;         // [max_tokens], by logits row
  TokenLogprob* top = nullptr;       // [max_tokens, kMaxDeviceLogprobs]
};

namespace {
// Decodes and prefills of a step are padded apart.
int layout_max_seqs(const CudaRunnerOptions& options) {
  return padded_batch(options.engine.max_num_seqs) + (options.max_graph_batch > 0 ? kMaxMixedPrefills : 0);
}
}  // namespace

CudaModelRunner::CudaModelRunner(std::unique_ptr<model::CudaModel> model, const CudaRunnerOptions& options)
    : model_(std::move(model)),
      options_(options),
      vocab_size_(static_cast<int>(model_->config().vocab_size)),
      layout_(SlotLayout::make(options.engine.max_num_seqs, static_cast<int>(model_->kv_spec().groups.size()),
                               options.engine.max_model_len, options.engine.block_size, layout_max_seqs(options))),
      max_seqs_(layout_max_seqs(options)),
      max_tokens_(std::max<int64_t>(options.engine.max_num_batched_tokens, max_seqs_)),
      planner_({.engine = options.engine,
                .num_groups = static_cast<int>(model_->kv_spec().groups.size()),
                .vocab_size = vocab_size_,
                .on_start = [this](const SlotStart& start) { return start_slot(start); },
                .on_end =
                    [this](SlotId slot) {
                      if (sampled_on_device_[static_cast<size_t>(slot)]) sampler_->end(slot);
                      host_rows_.end(slot);
                    }},
               layout_),
      host_rows_(vocab_size_),
      sampled_on_device_(static_cast<size_t>(options.engine.max_num_seqs)) {}

CudaModelRunner::~CudaModelRunner() {
  if (!stream_) return;
  if (Status status = stream_.synchronize(); !status) LOG_WARNING("{}", status.error().message);
}

Result<std::unique_ptr<CudaModelRunner>> CudaModelRunner::create(std::unique_ptr<model::CudaModel> model,
                                                                 const CudaRunnerOptions& options) {
  std::unique_ptr<CudaModelRunner> runner(new CudaModelRunner(std::move(model), options));
  RETURN_IF_ERROR(runner->allocate());
  return runner;
}

Status CudaModelRunner::allocate() {
  const EngineConfig& engine = options_.engine;
  logits_rows_ = std::min(kLogitsTile, max_tokens_);
  const auto row_floats = static_cast<size_t>(vocab_size_);
  const size_t logits_bytes = (static_cast<size_t>(logits_rows_) * row_floats * sizeof(float) + 255) / 256 * 256;
  const size_t hidden_bytes =
      static_cast<size_t>(max_tokens_) * row_bytes(model_->dtype(), model_->config().hidden_size);
  RETURN_IF_ERROR(model_->reserve({.max_tokens = max_tokens_,
                                   .max_seqs = static_cast<int>(max_seqs_),
                                   .max_logits = kLogitsTile,
                                   .max_model_len = engine.max_model_len,
                                   .block_size = engine.block_size,
                                   .num_phases = options_.phases,
                                   .use_cublaslt = options_.use_cublaslt,
                                   .tail_bytes = logits_bytes + hidden_bytes,
                                   .batch_invariant = options_.batch_invariant}));
  if (options_.max_graph_batch > 0 && model_->mixes(1)) planner_.pad_mixed_steps(max_tokens_, max_seqs_);
  ASSIGN_OR_RETURN(stream_, CudaStream::create());
  logits_ = reinterpret_cast<float*>(model_->tail());
  hidden_ = model_->tail() + logits_bytes;
  ASSIGN_OR_RETURN(
      sampler_, CudaSampler::create(engine.max_num_seqs, vocab_size_, static_cast<int>(logits_rows_), options_.phases));
  ASSIGN_OR_RETURN(words_,
                   DeviceBuffer::allocate(static_cast<size_t>(layout_.total) * sizeof(int32_t), "sequence state"));
  CUDA_RETURN_IF_ERROR(
      cudaMemsetAsync(words_.data(), 0, words_.size(), static_cast<cudaStream_t>(StreamRef(stream_).handle)));
  for (bool allocated : {false, true}) {
    Carver carver{.base = batch_.data()};
    for (int32_t** array : {&arrays_.token_ids, &arrays_.positions, &arrays_.logits_rows, &arrays_.row_slots})
      *array = carver.take<int32_t>(max_tokens_);
    arrays_.query_start = carver.take<int32_t>(max_seqs_ + 1);
    arrays_.seq_lens = carver.take<int32_t>(max_seqs_);
    arrays_.block_tables = carver.take<int32_t>(layout_.num_groups * max_seqs_ * layout_.max_blocks);
    arrays_.slot_mapping = carver.take<int64_t>(layout_.num_groups * max_tokens_);
    if (!allocated) {
      ASSIGN_OR_RETURN(batch_, DeviceBuffer::allocate(carver.used, "a step's batch"));
    }
  }
  arrays_.max_tokens = max_tokens_, arrays_.max_seqs = max_seqs_;
  CUDA_RETURN_IF_ERROR(
      cudaMemsetAsync(batch_.data(), 0, batch_.size(), static_cast<cudaStream_t>(StreamRef(stream_).handle)));
  ASSIGN_OR_RETURN(logits_row_, PinnedBuffer::allocate(row_floats * sizeof(float), "a row of logits"));
  for (int i = 0; i < options_.phases + 1; ++i) {
    auto ticket = std::make_unique<Ticket>();
    ASSIGN_OR_RETURN(ticket->event, CudaEvent::create());
    for (bool allocated : {false, true}) {
      Carver carver{.base = ticket->memory.data()};
      ticket->runs = carver.take<CopyRun>(kStagedRuns);
      ticket->payload = carver.take<int32_t>(kStagedWords);
      ticket->host_tokens = carver.take<HostToken>(max_seqs_);
      ticket->out = carver.take<SampledRow>(max_tokens_);
      ticket->top = carver.take<TokenLogprob>(max_tokens_ * kMaxDeviceLogprobs);
      if (!allocated) {
        ASSIGN_OR_RETURN(ticket->memory, PinnedBuffer::allocate(carver.used, "a step's staging area"));
      }
    }
    ring_.push_back(std::move(ticket));
  }
  return {};
}

size_t CudaModelRunner::device_bytes() const {
  return model_->scratch_bytes() + sampler_->device_bytes() + words_.size() + batch_.size();
}

std::string CudaModelRunner::describe_memory() const {
  auto mib = [](size_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  return fmt::format("model {:.1f}, sampler {:.1f}, slots {:.1f}, batch {:.1f}", mib(model_->scratch_bytes()),
                     mib(sampler_->device_bytes()), mib(words_.size()), mib(batch_.size()));
}

Status CudaModelRunner::set_kv(std::byte* base, int64_t num_blocks) {
  kv_ = {.base = base, .num_blocks = num_blocks, .block_size = options_.engine.block_size, .spec = &model_->kv_spec()};
  planner_.set_num_blocks(num_blocks);
  return {};
}

DeviceHistory CudaModelRunner::history() const {
  auto* words = words_.as<int32_t>();
  return {.tokens = words + layout_.tokens,
          .stride = layout_.stride,
          .num_tokens = words + layout_.num_tokens,
          .num_prompt = words + layout_.num_prompt};
}

TensorView<void, 2> CudaModelRunner::hidden_rows(int64_t begin, int64_t end) const {
  const int64_t width = model_->config().hidden_size;
  return {
      hidden_ + static_cast<size_t>(begin) * row_bytes(model_->dtype(), width), {end - begin, width}, model_->dtype()};
}

Result<SamplingPlace> CudaModelRunner::start_slot(const SlotStart& start) {
  SamplingPlace place{.on_device = sampler_->on_device(start.sampling)};
  sampled_on_device_[static_cast<size_t>(start.slot)] = place.on_device;
  if (place.on_device) {
    place.features = sampler_->features(start.sampling);
    RETURN_IF_ERROR(sampler_->start(start.slot, start.sampling, start.token_ids, start.num_prompt_tokens, stream_));
  }
  if (!place.on_device || start.sampling.prompt_logprobs) host_rows_.start(start);
  return place;
}

Status CudaModelRunner::forward(const StepInput& input) {
  Ticket& ticket = *ring_[next_];
  if (open_)
    return error(ErrorCode::kInternal, "step {} comes before step {} was sampled", input.step, open_->plan.step);
  if (ticket.in_use.exchange(true)) return error(ErrorCode::kInternal, "more steps in flight than phases");
  next_ = (next_ + 1) % ring_.size();
  ticket.phase = static_cast<int>(input.step % static_cast<StepId>(options_.phases));
  open_ = &ticket;
  RETURN_IF_ERROR(planner_.plan(input, ticket.plan));
  const StepPlan& plan = ticket.plan;
  ticket.slots.clear();
  for (const PlannedRow& row : plan.rows) {
    ticket.slots.push_back({.slot = row.slot});
    if (row.samples) ticket.out[row.last_logit()].token = -1;  // a row that nobody writes is found out
  }
  RETURN_IF_ERROR(upload(ticket));
  if (plan.rows.empty()) return {};
  if (std::optional<GraphKey> key = graph_key(plan)) {
    if (auto it = graphs_.find(*key); it != graphs_.end()) {
      ++num_graph_steps_;
      num_mixed_graph_steps_ += key->is_mixed();
      return it->second.launch(stream_);
    }
    if (want(*key)) wanted_.insert(*key);
  }
  return launch_forward(plan.shape,
                        {.decode = plan.decode,
                         .lopsided = plan.decode && is_lopsided(plan),
                         .query_start = plan.query_start,
                         .seq_lens = plan.seq_lens,
                         .phase = ticket.phase},
                        stream_);
}

bool CudaModelRunner::is_lopsided(const StepPlan& plan) const {
  return model_->is_lopsided(plan.mixed ? plan.num_decodes : plan.shape.num_seqs, plan.longest_decode,
                             plan.decode_keys);
}

// Which graph would run the step; nullopt where it has to run without.
std::optional<CudaModelRunner::GraphKey> CudaModelRunner::graph_key(const StepPlan& plan) const {
  if (plan.decode && plan.shape.num_seqs <= options_.max_graph_batch)
    return GraphKey{.logits = plan.shape.num_seqs, .lopsided = is_lopsided(plan)};
  if (plan.mixed && plan.mixed->decodes <= options_.max_graph_batch && model_->mixes(plan.mixed->decodes) &&
      !is_lopsided(plan))
    return GraphKey{.mixed = *plan.mixed, .logits = plan.shape.num_logits};
  return std::nullopt;
}

bool CudaModelRunner::want(const GraphKey& key) {
  if (failed_.contains(key)) return false;
  if (!key.is_mixed()) return true;
  // There are many sizes of these, and most come once.
  return num_mixed_graphs_ < kMaxMixedGraphs && ++mixed_uses_[key] >= kMixedUses;
}

// The staging area holds nearly every step whole; what does not fit goes in turns.
Status CudaModelRunner::upload(Ticket& ticket) {
  const std::vector<CopyRun>& runs = ticket.plan.runs;
  for (size_t begin = 0, end = 0; begin < runs.size(); begin = end) {
    if (begin > 0) RETURN_IF_ERROR(stream_.synchronize());  // the turn before has been read
    const int32_t first = runs[begin].from;
    while (end < runs.size() && end - begin < kStagedRuns &&
           static_cast<size_t>(runs[end].from + runs[end].count - first) <= kStagedWords) {
      ticket.runs[end - begin] = runs[end];
      ticket.runs[end - begin].from -= first;
      ++end;
    }
    const int32_t last = runs[end - 1].from + runs[end - 1].count;
    std::memcpy(ticket.payload, ticket.plan.payload.data() + first,
                static_cast<size_t>(last - first) * sizeof(int32_t));
    RETURN_IF_ERROR(
        apply_runs(words_.as<int32_t>(), ticket.runs, static_cast<int>(end - begin), ticket.payload, stream_));
  }
  return {};
}

Status CudaModelRunner::launch_forward(const BatchShape& shape, const Known& known, StreamRef stream) {
  RETURN_IF_ERROR(prepare_batch(words_.as<int32_t>(), layout_, arrays_, shape, stream));
  model::CudaBatch batch;
  batch.num_tokens = shape.num_tokens, batch.num_seqs = shape.num_seqs, batch.num_logits = shape.num_logits;
  batch.token_ids = arrays_.token_ids;
  batch.positions = arrays_.positions;
  batch.query_start = arrays_.query_start;
  batch.seq_lens = arrays_.seq_lens;
  batch.logits_rows = arrays_.logits_rows;
  for (int g = 0; g < layout_.num_groups; ++g) {
    batch.block_tables.emplace_back(arrays_.block_tables + g * max_seqs_ * layout_.max_blocks,
                                    std::array<int64_t, 2>{shape.num_seqs, layout_.max_blocks});
    batch.slot_mapping.push_back(arrays_.slot_mapping + g * max_tokens_);
  }
  batch.decode = known.decode, batch.lopsided = known.lopsided, batch.decodes = known.decodes;
  batch.host_query_start = known.query_start, batch.host_seq_lens = known.seq_lens;
  batch.phase = known.phase;
  RETURN_IF_ERROR(model_->forward(batch, kv_, hidden_rows(0, shape.num_logits), stream));
  return launch_logits(0, std::min<int64_t>(shape.num_logits, logits_rows_), stream);
}

// Logits of hidden rows [begin, end) into the first rows of logits_.
Status CudaModelRunner::launch_logits(int64_t begin, int64_t end, StreamRef stream) {
  for (int64_t at = begin; at < end; at += kLogitsTile) {
    const int64_t tile_end = std::min(end, at + kLogitsTile);
    TensorView<float, 2> logits(logits_ + (at - begin) * vocab_size_, {tile_end - at, vocab_size_});
    RETURN_IF_ERROR(model_->compute_logits(hidden_rows(at, tile_end), logits, stream));
  }
  return {};
}

Result<CudaModelRunner::Ticket*> CudaModelRunner::sample(const SampleInput& input) {
  if (!open_ || open_->plan.step != input.step)
    return error(ErrorCode::kInternal, "sampling of step {}, whose forward was not the last", input.step);
  if (!input.masks.empty()) return error(ErrorCode::kUnimplemented, "grammar masks are not built for the GPU engine");
  Ticket& ticket = *std::exchange(open_, nullptr);
  const int64_t num_logits = ticket.plan.shape.num_logits;
  for (int64_t begin = 0; begin < num_logits; begin += logits_rows_) {
    const int64_t end = std::min(num_logits, begin + logits_rows_);
    if (begin > 0) RETURN_IF_ERROR(launch_logits(begin, end, stream_));
    RETURN_IF_ERROR(sample_tile(ticket, input, begin, end));
  }
  RETURN_IF_ERROR(ticket.event.record(stream_));
  return &ticket;
}

Status CudaModelRunner::sample_tile(Ticket& ticket, const SampleInput& input, int64_t begin, int64_t end) {
  if (ticket.plan.has_device_rows) {
    RETURN_IF_ERROR(sampler_->sample({.num_rows = static_cast<int>(end - begin),
                                      .logits = {logits_, {end - begin, vocab_size_}},
                                      .slots = arrays_.row_slots + begin,
                                      .out = ticket.out + begin,
                                      .top = ticket.top + begin * kMaxDeviceLogprobs},
                                     history(), ticket.plan.features, stream_));
  }
  return ticket.plan.has_host_rows ? finish_host_rows(ticket, input, begin, end) : Status();
}

Status CudaModelRunner::finish_host_rows(Ticket& ticket, const SampleInput& input, int64_t begin, int64_t end) {
  int num_tokens = 0;
  for (size_t i = 0; i < ticket.plan.rows.size(); ++i) {
    const PlannedRow& row = ticket.plan.rows[i];
    SlotResult& result = ticket.slots[i];
    const int64_t first = std::max<int64_t>(begin, row.first_logit), last = std::min<int64_t>(end, row.last_logit());
    for (int64_t r = first; r < last; ++r) {
      ASSIGN_OR_RETURN(std::span<float> logits, fetch_row(r - begin));
      result.prompt_logprobs.push_back(host_rows_.prompt_logprobs(row.slot, row.begin + (r - row.first_logit), logits));
    }
    if (!row.samples || row.on_device || row.last_logit() < begin || row.last_logit() >= end) continue;
    ASSIGN_OR_RETURN(std::span<float> logits, fetch_row(row.last_logit() - begin));
    HostRows::Sampled sampled = host_rows_.sample(row.slot, logits, {});
    ticket.host_tokens[num_tokens++] = {.slot = row.slot, .token = sampled.token};
    result.token_ids.push_back(sampled.token);
    if (row.logprobs) result.logprobs.push_back(std::move(sampled.logprobs));
  }
  if (num_tokens == 0) return {};
  RETURN_IF_ERROR(append_tokens(words_.as<int32_t>(), layout_, ticket.host_tokens, num_tokens, stream_));
  return stream_.synchronize();  // the next tile writes host_tokens again
}

// A row of logits_ on the host; waits for everything launched so far.
Result<std::span<float>> CudaModelRunner::fetch_row(int64_t row) {
  const auto count = static_cast<size_t>(vocab_size_);
  CUDA_RETURN_IF_ERROR(cudaMemcpyAsync(logits_row_.data(), logits_ + row * vocab_size_, count * sizeof(float),
                                       cudaMemcpyDeviceToHost, static_cast<cudaStream_t>(StreamRef(stream_).handle)));
  RETURN_IF_ERROR(stream_.synchronize());
  return std::span<float>(logits_row_.as<float>(), count);
}

Result<bool> CudaModelRunner::is_done(const Ticket& ticket) { return ticket.event.done(); }
StepId CudaModelRunner::step_of(const Ticket& ticket) { return ticket.plan.step; }

StepResult CudaModelRunner::collect(Ticket& ticket) {
  StepResult result{.step = ticket.plan.step, .slots = std::move(ticket.slots), .error = {}};
  for (size_t i = 0; i < ticket.plan.rows.size(); ++i) {
    const PlannedRow& row = ticket.plan.rows[i];
    if (!row.samples || !row.on_device) continue;
    const SampledRow& sampled = ticket.out[row.last_logit()];
    if (sampled.token < 0 || sampled.token >= vocab_size_) {
      result.error = fmt::format("the GPU sampled token {} for slot {}", sampled.token, row.slot);
      break;
    }
    result.slots[i].token_ids.push_back(sampled.token);
    if (!row.logprobs) continue;
    PositionLogprobs logprobs{{.token = sampled.token, .logprob = sampled.logprob, .rank = sampled.rank}};
    const TokenLogprob* top = ticket.top + int64_t{row.last_logit()} * kMaxDeviceLogprobs;
    logprobs.insert(logprobs.end(), top, top + std::clamp(sampled.num_top, 0, kMaxDeviceLogprobs));
    result.slots[i].logprobs.push_back(std::move(logprobs));
  }
  ticket.in_use = false;
  return result;
}

void CudaModelRunner::capture_one() {
  if (wanted_.empty()) return;
  const GraphKey key = *wanted_.begin();
  wanted_.erase(wanted_.begin());
  if (key.is_mixed() && num_mixed_graphs_ >= kMaxMixedGraphs) return;
  const MixedBucket& mixed = key.mixed;
  const BatchShape shape = key.is_mixed() ? BatchShape{mixed.decodes + mixed.prefills, mixed.num_tokens, key.logits}
                                          : BatchShape{key.logits, key.logits, key.logits};
  const std::string name = key.is_mixed()
                               ? fmt::format("steps of {} tokens with {} decodes", mixed.num_tokens, mixed.decodes)
                               : fmt::format("decodes of {} sequences", key.logits);
  auto start = std::chrono::steady_clock::now();
  auto launches = [&](StreamRef stream) {
    return launch_forward(
        shape, {.decode = !key.is_mixed(), .lopsided = key.lopsided, .decodes = key.is_mixed() ? mixed.decodes : -1},
        stream);
  };
  Result<CudaGraph> graph = CudaGraph::capture(stream_, launches);
  if (!graph) {
    failed_.insert(key);
    LOG_WARNING("no CUDA graph for {}, which run without one: {}", name, graph.error().message);
    return;
  }
  graphs_.insert_or_assign(key, std::move(*graph));
  if (key.is_mixed()) ++num_mixed_graphs_, mixed_uses_.erase(key);
  LOG_DEBUG("CUDA graph for {} captured in {:.1f} ms", name,
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
}

}  // namespace vllm::engine
