// model_cuda_bench [--out FILE] [--model NAME]: what a decoder's step costs on this GPU, with dummy weights.
//
// Decode steps (forward and logits) run from captured graphs, as the engine runs them; prefill steps run eagerly. The
// cost of a part is the time of the step less the time without that part. JSON lines go to FILE.
#include <cuda_runtime_api.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/mapped_file.h"
#include "model/cuda/cuda_decoder.h"
#include "model/cuda/testing/bench_models.h"
#include "model/cuda/testing/device_batch.h"
#include "model/cuda/weight_upload.h"
#include "tensor/cpu_info.h"
#include "tensor/cuda/device.h"
#include "tensor/cuda/error.h"
#include "tensor/cuda/handles.h"

namespace vllm::model {
namespace {

using testing::BenchModel;
using testing::DeviceBatch;
using testing::HostBatch;

constexpr int kBatches[] = {1, 8, 64, 256};
constexpr int kContext = 1024, kPrefill = 2048, kBlockSize = 16;
constexpr double kGiB = 1 << 30;

struct Part {
  const char* name;
  unsigned part;  // of CudaDecoder
};
constexpr Part kParts[] = {{"linears", CudaDecoder::kLinears},
                           {"qkv_finish", CudaDecoder::kQkvFinish},
                           {"attention", CudaDecoder::kAttention}};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Bench {
 public:
  Bench(const BenchModel& row, std::string device, FILE* out)
      : name_(row.name), device_(std::move(device)), out_(out) {}

  Status run(const ModelConfig& config) {
    auto start = std::chrono::steady_clock::now();
    ASSIGN_OR_RETURN(model_, load_cuda_model(config, nullptr, {.dummy_weights = true}));
    double load = seconds_since(start);
    write(fmt::format(R"("what": "load dummies", "s": {:.3f}, "gib": {:.2f}, "gib_s": {:.1f})", load,
                      static_cast<double>(model_->weight_bytes()) / kGiB,
                      static_cast<double>(model_->weight_bytes()) / kGiB / load));
    RETURN_IF_ERROR(prepare(config));
    for (int batch : kBatches) RETURN_IF_ERROR(decode(batch));
    return prefill();
  }

 private:
  CudaDecoder& decoder() { return static_cast<CudaDecoder&>(*model_); }

  Status prepare(const ModelConfig& config) {
    const int max_seqs = *std::max_element(std::begin(kBatches), std::end(kBatches));
    max_blocks_ = kPrefill / kBlockSize;
    auto start = std::chrono::steady_clock::now();
    RETURN_IF_ERROR(model_->reserve({.max_tokens = kPrefill,
                                     .max_seqs = max_seqs,
                                     .max_logits = 256,
                                     .max_model_len = kPrefill,
                                     .block_size = kBlockSize}));
    CUDA_RETURN_IF_ERROR(cudaDeviceSynchronize());
    double reserve = seconds_since(start);
    const int64_t pages = 1 + std::max<int64_t>(int64_t{max_seqs} * kContext, kPrefill) / kBlockSize;
    const int64_t page_bytes = model_->kv_spec().bytes_per_block(kBlockSize);
    ASSIGN_OR_RETURN(pages_, DeviceBuffer::allocate(static_cast<size_t>(pages * page_bytes), "the KV cache"));
    CUDA_RETURN_IF_ERROR(cudaMemset(pages_.data(), 0, pages_.size()));
    kv_ = {.base = pages_.data(), .num_blocks = pages, .block_size = kBlockSize, .spec = &model_->kv_spec()};
    ASSIGN_OR_RETURN(batch_, DeviceBatch::create({.max_tokens = kPrefill,
                                                  .max_seqs = max_seqs,
                                                  .max_blocks = max_blocks_,
                                                  .num_groups = model_->kv_spec().groups.size()}));
    ASSIGN_OR_RETURN(hidden_, DeviceBuffer::allocate(256 * static_cast<size_t>(config.hidden_size) * 4, "hidden rows"));
    ASSIGN_OR_RETURN(logits_, DeviceBuffer::allocate(256 * static_cast<size_t>(config.vocab_size) * 4, "logits"));
    ASSIGN_OR_RETURN(stream_, CudaStream::create());
    ASSIGN_OR_RETURN(begin_, CudaEvent::create(true));
    ASSIGN_OR_RETURN(end_, CudaEvent::create(true));
    write(fmt::format(R"("what": "reserve", "s": {:.3f}, "scratch_mib": {:.0f})", reserve,
                      static_cast<double>(model_->scratch_bytes()) / (1 << 20)));
    return {};
  }

  // Each of num_seqs sequences adds num_tokens to its context; logits of its last token.
  HostBatch host_batch(int num_seqs, int num_tokens, int context) const {
    HostBatch b;
    const int blocks = (context + kBlockSize - 1) / kBlockSize;
    std::vector<int32_t> table;
    std::vector<int64_t> slots;
    for (int s = 0; s < num_seqs; ++s) {
      for (int i = 0; i < max_blocks_; ++i) table.push_back(i < blocks ? 1 + s * blocks + i : 0);
      for (int position = context - num_tokens; position < context; ++position) {
        b.token_ids.push_back((s * 7919 + position * 31) % 100000), b.positions.push_back(position);
        slots.push_back(int64_t{1 + s * blocks} * kBlockSize + position);
      }
      b.query_start.push_back(static_cast<int32_t>(b.token_ids.size())), b.seq_lens.push_back(context);
      b.logits_rows.push_back(static_cast<int32_t>(b.token_ids.size()) - 1);
    }
    b.tables.assign(model_->kv_spec().groups.size(), table), b.slot_mapping.assign(b.tables.size(), slots);
    return b;
  }

  Status step(const CudaBatch& batch, bool logits, StreamRef stream) {
    TensorView<void, 2> hidden(hidden_.data(), {batch.num_logits, model_->config().hidden_size}, model_->dtype());
    RETURN_IF_ERROR(model_->forward(batch, kv_, hidden, stream));
    if (!logits) return {};
    return model_->compute_logits(hidden, {logits_.as<float>(), {batch.num_logits, model_->config().vocab_size}},
                                  stream);
  }

  /// Median milliseconds of `launches`, measured one by one.
  template <typename Fn>
  Result<double> median_ms(int runs, Fn launches) {
    std::vector<double> ms;
    for (int i = 0; i < runs + 2; ++i) {
      RETURN_IF_ERROR(begin_.record(stream_));
      RETURN_IF_ERROR(launches());
      RETURN_IF_ERROR(end_.record(stream_));
      RETURN_IF_ERROR(end_.synchronize());
      ASSIGN_OR_RETURN(float one, CudaEvent::elapsed_ms(begin_, end_));
      if (i >= 2) ms.push_back(double{one});
    }
    std::sort(ms.begin(), ms.end());
    return ms[ms.size() / 2];
  }

  /// Milliseconds of a step without `left_out` parts and, if so, without logits.
  Result<double> step_ms(const CudaBatch& batch, unsigned left_out, bool logits) {
    decoder().leave_out(left_out);
    auto measure = [&]() -> Result<double> {
      RETURN_IF_ERROR(step(batch, logits, stream_));  // loads what is loaded on first use
      RETURN_IF_ERROR(stream_.synchronize());
      if (!batch.decode) return median_ms(5, [&] { return step(batch, logits, stream_); });
      ASSIGN_OR_RETURN(CudaGraph graph,
                       CudaGraph::capture(stream_, [&](StreamRef s) { return step(batch, logits, s); }));
      return median_ms(15, [&] { return graph.launch(stream_); });
    };
    Result<double> ms = measure();
    decoder().leave_out(0);
    return ms;
  }

  Result<std::string> parts(const CudaBatch& batch, double whole) {
    std::string text;
    for (const Part& part : kParts) {
      ASSIGN_OR_RETURN(double without, step_ms(batch, part.part, true));
      text += fmt::format(R"("{}_ms": {:.4f}, )", part.name, whole - without);
    }
    ASSIGN_OR_RETURN(double without_head, step_ms(batch, 0, false));
    ASSIGN_OR_RETURN(double rest,
                     step_ms(batch, CudaDecoder::kLinears | CudaDecoder::kQkvFinish | CudaDecoder::kAttention, false));
    return text + fmt::format(R"("lm_head_ms": {:.4f}, "rest_ms": {:.4f})", whole - without_head, rest);
  }

  Status decode(int num_seqs) {
    ASSIGN_OR_RETURN(CudaBatch batch, batch_.set(host_batch(num_seqs, 1, kContext), {}, true, 0));
    ASSIGN_OR_RETURN(double ms, step_ms(batch, 0, true));
    ASSIGN_OR_RETURN(std::string parts_json, parts(batch, ms));
    auto start = std::chrono::steady_clock::now();
    RETURN_IF_ERROR(step(batch, true, stream_));
    double host = 1e3 * seconds_since(start);
    RETURN_IF_ERROR(stream_.synchronize());
    const ModelConfig& c = model_->config();
    const double table = static_cast<double>(c.vocab_size * c.hidden_size) * 2;
    const double weights = static_cast<double>(model_->weight_bytes()) - (c.tie_word_embeddings ? 0 : table);
    const double cache = static_cast<double>(num_seqs) * kContext / kBlockSize *
                         static_cast<double>(model_->kv_spec().bytes_per_block(kBlockSize));
    write(fmt::format(
        R"("what": "decode", "batch": {}, "context": {}, "ms": {:.4f}, "tokens_s": {:.0f}, "gb_s": {:.0f}, {}, "eager_host_ms": {:.3f})",
        num_seqs, kContext, ms, 1e3 * num_seqs / ms, (weights + cache) / ms / 1e6, parts_json, host));
    return {};
  }

  Status prefill() {
    ASSIGN_OR_RETURN(CudaBatch batch, batch_.set(host_batch(1, kPrefill, kPrefill), {}, false, 0));
    ASSIGN_OR_RETURN(double ms, step_ms(batch, 0, true));
    ASSIGN_OR_RETURN(std::string parts_json, parts(batch, ms));
    const ModelConfig& c = model_->config();
    const double qkvo = 2.0 * (c.num_heads + c.num_kv_heads) * c.head_dim * static_cast<double>(c.hidden_size);
    const double layer = qkvo + 3.0 * static_cast<double>(c.hidden_size * c.intermediate_size);
    write(
        fmt::format(R"("what": "prefill", "tokens": {}, "ms": {:.3f}, "tokens_s": {:.0f}, "linear_tflops": {:.0f}, {})",
                    kPrefill, ms, 1e3 * kPrefill / ms, 2 * layer * c.num_layers * kPrefill / ms / 1e9, parts_json));
    return {};
  }

  void write(const std::string& fields) {
    fmt::print("{}: {}\n", name_, fields);
    std::fflush(stdout);
    if (!out_) return;
    fmt::print(out_, R"({{"bench": "model_cuda", "device": "{}", "model": "{}", "dtype": "bfloat16", {}}})", device_,
               name_, fields);
    fmt::print(out_, "\n");
    std::fflush(out_);
  }

  const std::string name_, device_;
  FILE* out_;
  std::unique_ptr<CudaModel> model_;
  int64_t max_blocks_ = 0;
  KvCacheView kv_;
  DeviceBuffer pages_, hidden_, logits_;
  DeviceBatch batch_;
  CudaStream stream_;
  CudaEvent begin_, end_;
};

// Rows of a file in the page cache, freshly mapped each time, through pinned slots to the device.
Status bench_upload(FILE* out) {
  constexpr size_t kBytes = size_t{2} << 30, kColumns = 4096;
  const std::filesystem::path path = std::filesystem::temp_directory_path() / fmt::format("upload-{}.bin", getpid());
  struct Remove {
    const std::filesystem::path& path;
    ~Remove() {
      std::error_code ignored;
      std::filesystem::remove(path, ignored);
    }
  } remove{path};
  {
    std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "wb"), std::fclose);
    std::vector<char> part(64 << 20, 'x');
    for (size_t at = 0; file && at < kBytes; at += part.size()) {
      if (std::fwrite(part.data(), 1, part.size(), file.get()) != part.size()) file.reset();
    }
    if (!file) return invalid_argument("cannot write {}", path.string());
  }
  ASSIGN_OR_RETURN(DeviceBuffer device, DeviceBuffer::allocate(kBytes, "a benchmark"));
  for (int threads : {1, 4, 8, 16}) {
    if (threads > 1 && threads > usable_cpus()) break;
    ThreadPool pool(threads);
    ASSIGN_OR_RETURN(WeightUpload upload, WeightUpload::create(pool, kBytes));
    double first = 0, second = 0;
    for (double* seconds : {&first, &second}) {
      ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
      std::vector<SourceRow> rows(kBytes / 2 / kColumns);
      for (size_t r = 0; r < rows.size(); ++r)
        rows[r] = {file.bytes().data() + (r ^ 1) * kColumns * 2,
                   DType::kBFloat16};  // no two neighbours: as gate and up
      auto start = std::chrono::steady_clock::now();
      RETURN_IF_ERROR(upload.rows(device.data(), DType::kBFloat16, kColumns, rows));
      RETURN_IF_ERROR(upload.finish());
      *seconds = seconds_since(start);
    }
    std::string fields =
        fmt::format(R"("what": "upload", "threads": {}, "gib_s": {:.1f}, "gib_s_with_pinning": {:.1f})", threads,
                    static_cast<double>(kBytes) / kGiB / second, static_cast<double>(kBytes) / kGiB / first);
    fmt::print("{}\n", fields);
    if (out) fmt::print(out, "{{\"bench\": \"model_cuda\", {}}}\n", fields);
  }
  return {};
}

Status run(int argc, char** argv) {
  std::string out_path, only;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string(argv[i]) == "--out") out_path = argv[i + 1];
    if (std::string(argv[i]) == "--model") only = argv[i + 1];
  }
  std::unique_ptr<FILE, int (*)(FILE*)> out(out_path.empty() ? nullptr : std::fopen(out_path.c_str(), "a"),
                                            std::fclose);
  if (!out_path.empty() && !out) return invalid_argument("cannot write {}", out_path);
  ASSIGN_OR_RETURN(CudaDevice device, open_cuda_device(0));
  if (only.empty()) RETURN_IF_ERROR(bench_upload(out.get()));
  for (const BenchModel& row : testing::kBenchModels) {
    if (!only.empty() && only != row.name) continue;
    ASSIGN_OR_RETURN(json::value value, parse_json(row.config));
    ASSIGN_OR_RETURN(ModelConfig config, parse_config(value.as_object()));
    RETURN_IF_ERROR(Bench(row, to_string(device), out.get()).run(config));
  }
  return {};
}

}  // namespace
}  // namespace vllm::model

int main(int argc, char** argv) {
  vllm::Status status = vllm::model::run(argc, argv);
  if (status) return 0;
  fmt::print(stderr, "model_cuda_bench: {}\n", status.error().message);
  return 1;
}
