// step_cuda_bench [--model NAME] [--steps decode,mixed,sweep,prefill,long] [--kernels] : what steps that prefill cost
// on this GPU, alone and beside 64 decodes, with dummy weights. --kernels: also the time of every kernel kind, by
// CUPTI.
//
// A step runs several times back to back, decodes from a graph, the others without and with one (as the engine runs
// steps of a size that comes often): the median of the device's time between events.
#include <cuda_runtime_api.h>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/cuda/cuda_decoder.h"
#include "model/cuda/testing/bench_models.h"
#include "model/cuda/testing/device_batch.h"
#include "profile/kernel_names.h"
#include "tensor/cuda/cupti_tracer.h"
#include "tensor/cuda/device.h"
#include "tensor/cuda/error.h"
#include "tensor/cuda/handles.h"

namespace vllm::model {
namespace {

using testing::BenchModel;
using testing::DeviceBatch;
using testing::HostBatch;

constexpr int kBlockSize = 16, kMaxSeqs = 288, kMaxTokens = 8192, kMaxContext = 8192;
constexpr int kPoolTokens = 320 * 1024;

struct Part {  // sequences that add `queries` tokens and then have `context`
  int count = 0, queries = 1, context = 1024;
};

class Bench {
 public:
  Bench(const BenchModel& row, bool kernels) : name_(row.name), kernels_(kernels) {}

  Status run(const ModelConfig& config, const std::string& steps) {
    ASSIGN_OR_RETURN(model_, load_cuda_model(config, nullptr, {.dummy_weights = true}));
    RETURN_IF_ERROR(model_->reserve({.max_tokens = kMaxTokens,
                                     .max_seqs = kMaxSeqs,
                                     .max_logits = 256,
                                     .max_model_len = kMaxContext,
                                     .block_size = kBlockSize}));
    const int64_t pages = 1 + kPoolTokens / kBlockSize;
    ASSIGN_OR_RETURN(pages_, DeviceBuffer::allocate(
                                 static_cast<size_t>(pages * model_->kv_spec().bytes_per_block(kBlockSize)), "pages"));
    CUDA_RETURN_IF_ERROR(cudaMemset(pages_.data(), 0x11, pages_.size()));  // tiny floats
    kv_ = {.base = pages_.data(), .num_blocks = pages, .block_size = kBlockSize, .spec = &model_->kv_spec()};
    ASSIGN_OR_RETURN(batch_, DeviceBatch::create({.max_tokens = kMaxTokens,
                                                  .max_seqs = kMaxSeqs,
                                                  .max_blocks = kMaxContext / kBlockSize,
                                                  .num_groups = model_->kv_spec().groups.size()}));
    ASSIGN_OR_RETURN(hidden_, DeviceBuffer::allocate(256 * static_cast<size_t>(config.hidden_size) * 4, "hidden rows"));
    ASSIGN_OR_RETURN(logits_, DeviceBuffer::allocate(256 * static_cast<size_t>(config.vocab_size) * 4, "logits"));
    ASSIGN_OR_RETURN(stream_, CudaStream::create());
    auto wants = [&](const char* what) { return steps.find(what) != std::string::npos; };
    if (wants("decode")) {
      for (int seqs : {1, 8, 16, 64, 256}) RETURN_IF_ERROR(measure({{seqs, 1, 1024}}, seqs == 64));
      for (int context : {128, 160, 256}) RETURN_IF_ERROR(measure({{1, 1, context}}, false));
      for (int seqs : {1, 4, 8}) RETURN_IF_ERROR(measure({{seqs, 1, 192}}, seqs == 1));
      RETURN_IF_ERROR(measure({{64, 1, 640}}, true));
    }
    if (wants("mixed")) {
      for (int seqs : {64, 256}) {
        const Part decodes{seqs, 1, 1152};
        for (int chunk : {64, 128, 192, 256, 320, 448, 704, 960}) {
          if (seqs == 256 && chunk < 256) continue;
          RETURN_IF_ERROR(measure({decodes, {1, chunk, std::max(640, chunk)}}, seqs == 64 && chunk == 448));
        }
        RETURN_IF_ERROR(measure({decodes, {1, 960, 1024}, {1, 2048 - seqs - 960, 2048 - seqs - 960}}, seqs == 64));
      }
    }
    if (wants("sweep")) {  // by the tokens of a step
      for (int tokens = 128; tokens <= 1024; tokens += tokens < 640 ? 32 : 64) {
        const int chunk = tokens - 64;
        RETURN_IF_ERROR(measure({{64, 1, 1152}, {1, chunk, std::max(640, chunk)}}, tokens == 512 || tokens == 320));
      }
    }
    if (wants("prefill")) {
      for (int chunk : {128, 512, 1024}) RETURN_IF_ERROR(measure({{1, chunk, chunk}}, false));
      RETURN_IF_ERROR(measure({{2, 1024, 1024}}, true));
      RETURN_IF_ERROR(measure({{4, 1024, 1024}}, false));
      RETURN_IF_ERROR(measure({{4, 512, 512}}, false));
      RETURN_IF_ERROR(measure({{1, 2048, 2048}}, false));
    }
    if (wants("long")) {
      double ms = 0;
      for (int end : {2048, 4096, 6144, 8192}) {
        ASSIGN_OR_RETURN(double one, measure_ms({{1, 2048, end}}, end == 8192));
        ms += one;
      }
      print_prompt(8192, "in chunks of 2048", ms);
      ASSIGN_OR_RETURN(ms, measure_ms({{1, 8192, 8192}}, true));
      print_prompt(8192, "in one step", ms);
    }
    return {};
  }

 private:
  static std::string describe(const std::vector<Part>& parts) {
    std::string text;
    for (const Part& p : parts)
      text += fmt::format("{}{} x {}/{}", text.empty() ? "" : " + ", p.count, p.queries, p.context);
    return text;
  }

  HostBatch host_batch(const std::vector<Part>& parts) const {
    HostBatch b;
    std::vector<int32_t> table;
    std::vector<int64_t> slots;
    int32_t next_page = 1;
    for (const Part& p : parts) {
      const int blocks = (p.context + kBlockSize - 1) / kBlockSize;
      for (int s = 0; s < p.count; ++s) {
        for (int i = 0; i < kMaxContext / kBlockSize; ++i) table.push_back(i < blocks ? next_page + i : 0);
        for (int position = p.context - p.queries; position < p.context; ++position) {
          b.token_ids.push_back((s * 7919 + position * 31) % 100000), b.positions.push_back(position);
          slots.push_back(int64_t{next_page} * kBlockSize + position);
        }
        next_page += blocks;
        b.query_start.push_back(static_cast<int32_t>(b.token_ids.size())), b.seq_lens.push_back(p.context);
        b.logits_rows.push_back(static_cast<int32_t>(b.token_ids.size()) - 1);
      }
    }
    b.tables.assign(model_->kv_spec().groups.size(), table), b.slot_mapping.assign(b.tables.size(), slots);
    return b;
  }

  Status step(const CudaBatch& batch, StreamRef stream) {
    TensorView<void, 2> hidden(hidden_.data(), {batch.num_logits, model_->config().hidden_size}, model_->dtype());
    RETURN_IF_ERROR(model_->forward(batch, kv_, hidden, stream));
    const int rows = std::min(batch.num_logits, 256);
    return model_->compute_logits(hidden.slice(0, rows), {logits_.as<float>(), {rows, model_->config().vocab_size}},
                                  stream);
  }

  Status measure(const std::vector<Part>& parts, bool kernels) {
    ASSIGN_OR_RETURN(double ms, measure_ms(parts, kernels));
    (void)ms;
    return {};
  }

  // Of a step with prefills: without a graph, and a line with one.
  Result<double> measure_ms(const std::vector<Part>& parts, bool kernels) {
    bool decode = true;
    int decodes = 0;
    for (const Part& p : parts) {
      decodes += decode && p.queries == 1 ? p.count : 0;
      decode &= p.queries == 1;
    }
    ASSIGN_OR_RETURN(CudaBatch batch, batch_.set(host_batch(parts), {}, decode, 0));
    for (int i = 0; i < 2; ++i) RETURN_IF_ERROR(step(batch, stream_));  // loads what is loaded on first use
    RETURN_IF_ERROR(stream_.synchronize());
    CudaBatch captured = batch;
    if (!decode) captured.decodes = decodes, captured.host_query_start = captured.host_seq_lens = {};
    CudaGraph graph;
    if (batch.num_tokens <= 2048) {
      size_t free_before = 0, free_after = 0, total = 0;
      CUDA_RETURN_IF_ERROR(cudaMemGetInfo(&free_before, &total));
      const auto start = std::chrono::steady_clock::now();
      ASSIGN_OR_RETURN(graph, CudaGraph::capture(stream_, [&](StreamRef s) { return step(captured, s); }));
      const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
      CUDA_RETURN_IF_ERROR(cudaMemGetInfo(&free_after, &total));
      capture_text_ = fmt::format("graph of {:.1f} ms, {:.2f} MiB", ms,
                                  (static_cast<double>(free_before) - static_cast<double>(free_after)) / (1 << 20));
    }
    double ms = 0;
    if (!decode) {
      ASSIGN_OR_RETURN(ms, time(parts, batch, nullptr));
    }
    if (graph) {
      ASSIGN_OR_RETURN(double replayed, time(parts, batch, &graph));
      if (decode) ms = replayed;
    }
    if (kernels && kernels_) RETURN_IF_ERROR(print_kernels(batch, decode ? &graph : nullptr));
    if (kernels && kernels_ && graph && !decode) RETURN_IF_ERROR(print_kernels(batch, &graph));
    std::fflush(stdout);
    return ms;
  }

  Status launch(const CudaBatch& batch, const CudaGraph* graph) {
    return graph ? graph->launch(stream_) : step(batch, stream_);
  }

  Result<double> time(const std::vector<Part>& parts, const CudaBatch& batch, const CudaGraph* graph) {
    constexpr int kRuns = 6;
    std::vector<CudaEvent> events;
    for (int i = 0; i <= kRuns; ++i) {
      ASSIGN_OR_RETURN(CudaEvent event, CudaEvent::create(true));
      events.push_back(std::move(event));
    }
    RETURN_IF_ERROR(events[0].record(stream_));
    for (int i = 1; i <= kRuns; ++i) {
      RETURN_IF_ERROR(launch(batch, graph));
      RETURN_IF_ERROR(events[static_cast<size_t>(i)].record(stream_));
    }
    RETURN_IF_ERROR(stream_.synchronize());
    std::vector<double> times;
    for (size_t i = 1; i + 1 < events.size(); ++i) {
      ASSIGN_OR_RETURN(float ms, CudaEvent::elapsed_ms(events[i], events[i + 1]));
      times.push_back(double{ms});
    }
    std::sort(times.begin(), times.end());
    const double ms = times[times.size() / 2];
    const int tokens = batch.num_tokens;
    fmt::print("{}: {:<40} {:5} tokens {:8.3f} ms  {:6.1f} tok/ms, linears alone {:3.0f} TFLOP/s, {}\n", name_,
               describe(parts), tokens, ms, tokens / ms, 2 * linear_weights() * tokens / ms / 1e9,
               graph ? capture_text_ : "eager");
    return ms;
  }

  Status print_kernels(const CudaBatch& batch, const CudaGraph* graph) {
    if (!tracer_) {
      Result<std::unique_ptr<profile::GpuTracer>> tracer = make_cupti_tracer();
      if (!tracer) {
        fmt::print("  no kernel times: {}\n", tracer.error().message);
        return {};
      }
      tracer_ = std::move(tracer).value();
    }
    RETURN_IF_ERROR(tracer_->start());
    RETURN_IF_ERROR(launch(batch, graph));
    RETURN_IF_ERROR(stream_.synchronize());
    ASSIGN_OR_RETURN(profile::GpuTrace trace, tracer_->stop());
    struct Kind {
      double us = 0;
      int count = 0;
    };
    std::map<uint32_t, Kind> by_name;
    int64_t first = INT64_MAX, last = 0;
    double sum = 0;
    for (const profile::GpuActivity& a : trace.activities) {
      if (a.kind != profile::GpuActivity::Kind::kKernel) continue;
      Kind& kind = by_name[a.name];
      kind.us += static_cast<double>(a.end_ns - a.begin_ns) / 1e3, ++kind.count;
      sum += static_cast<double>(a.end_ns - a.begin_ns) / 1e3;
      first = std::min(first, a.begin_ns), last = std::max(last, a.end_ns);
    }
    std::vector<std::pair<uint32_t, Kind>> kinds(by_name.begin(), by_name.end());
    std::sort(kinds.begin(), kinds.end(), [](const auto& a, const auto& b) { return a.second.us > b.second.us; });
    for (const auto& [name, kind] : kinds) {
      if (kind.us < 20) continue;
      fmt::print("    {:9.1f} us {:5} x {:8.2f} us  {}\n", kind.us, kind.count, kind.us / kind.count,
                 profile::short_kernel_name(trace.names[name], 90));
    }
    fmt::print(
        "    {:9.1f} us in kernels (each whole, also where it waits for the one in front), {:.1f} from first to last\n",
        sum, static_cast<double>(last - first) / 1e3);
    return {};
  }

  double linear_weights() const {
    const ModelConfig& c = model_->config();
    const double qkvo = 2.0 * (c.num_heads + c.num_kv_heads) * c.head_dim * static_cast<double>(c.hidden_size);
    return c.num_layers * (qkvo + 3.0 * static_cast<double>(c.hidden_size * c.intermediate_size));
  }

  void print_prompt(int tokens, const char* how, double ms) const {
    const ModelConfig& c = model_->config();
    const double attention = 2.0 * c.num_layers * c.num_heads * c.head_dim * static_cast<double>(tokens) * tokens;
    fmt::print("{}: a prompt of {} {}: {:.2f} ms, {:.0f} TFLOP/s with attention\n", name_, tokens, how, ms,
               (2 * linear_weights() * tokens + attention) / ms / 1e9);
  }

  const std::string name_;
  const bool kernels_;
  std::unique_ptr<CudaModel> model_;
  KvCacheView kv_;
  DeviceBuffer pages_, hidden_, logits_;
  DeviceBatch batch_;
  CudaStream stream_;
  std::unique_ptr<profile::GpuTracer> tracer_;
  std::string capture_text_;
};

Status run(int argc, char** argv) {
  std::string only, steps = "decode,mixed,prefill,long";
  bool kernels = false;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--kernels") kernels = true;
    if (flag == "--model" && i + 1 < argc) only = argv[++i];
    if (flag == "--steps" && i + 1 < argc) steps = argv[++i];
  }
  ASSIGN_OR_RETURN(CudaDevice device, open_cuda_device(0));
  fmt::print("{}; a part is sequences x queries / context\n", to_string(device));
  for (const BenchModel& row : testing::kBenchModels) {
    if (!only.empty() && only != row.name) continue;
    ASSIGN_OR_RETURN(json::value value, parse_json(row.config));
    ASSIGN_OR_RETURN(ModelConfig config, parse_config(value.as_object()));
    RETURN_IF_ERROR(Bench(row, kernels).run(config, steps));
  }
  return {};
}

}  // namespace
}  // namespace vllm::model

int main(int argc, char** argv) {
  vllm::Status status = vllm::model::run(argc, argv);
  if (status) return 0;
  fmt::print(stderr, "step_cuda_bench: {}\n", status.error().message);
  return 1;
}
