// Microseconds of a layer's attention by graph replay, in bfloat16; layers have caches of their own, so that L2 does
// not help.
//   paged_attention_cuda_bench [--prefill] [--out FILE]     FILE gets a JSON line per case
// Decode: GB/s of keys and values, and the share of 4,549 GB/s, the measured rate of a plain read. Prefill: TFLOP/s,
// the masked half not counted. `plan` is the time of the plan, once a step.
#include <algorithm>
#include <cstdio>
#include <random>
#include <string>

#include "kernels/paged_attention/paged_attention_cuda.h"
#include "tensor/cuda/testing.h"

namespace vllm {
namespace {

constexpr double kReadGBs = 4549;
constexpr int kBlockSize = 16;

struct Shape {
  int num_heads, num_kv_heads, head_dim;
};
struct Part {
  int count;
  int32_t queries, length;
};

/// Sequences of one step over a pool of shuffled pages with random contents.
class Bench {
 public:
  Bench(const Shape& s, const std::vector<Part>& parts, bool hopper) : shape_(s) {
    int64_t pages = 0;
    for (const Part& part : parts) {
      for (int i = 0; i < part.count; ++i) {
        query_start_.push_back(query_start_.back() + part.queries), seq_lens_.push_back(part.length);
        pages += (part.length + kBlockSize - 1) / kBlockSize;
        columns_ = std::max<int64_t>(columns_, (part.length + kBlockSize - 1) / kBlockSize);
        decode_ &= part.queries == 1;
      }
    }
    kv_.num_kv_heads = s.num_kv_heads, kv_.head_dim = s.head_dim, kv_.block_size = kBlockSize;
    const int64_t layer_bytes = 2 * kv_.area_bytes();
    layers_ = static_cast<int>(std::clamp<int64_t>((int64_t{256} << 20) / (pages * layer_bytes), 1, 256));
    kv_.num_blocks = pages + 1, kv_.page_bytes = layers_ * layer_bytes;
    pool_ = random_bytes(kv_.num_blocks * kv_.page_bytes);
    q_ = random_bytes(num_tokens() * q_stride() * 2);
    out_ = random_bytes(int64_t{num_tokens()} * s.num_heads * s.head_dim * 2);
    kv_.base = pool_.data();
    std::vector<int32_t> ids(static_cast<size_t>(pages)), table(seq_lens_.size() * static_cast<size_t>(columns_));
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i) + 1;
    std::shuffle(ids.begin(), ids.end(), std::mt19937(7));
    size_t next = 0;
    for (size_t i = 0; i < seq_lens_.size(); ++i) {
      for (int64_t b = 0; b * kBlockSize < seq_lens_[i]; ++b) {
        table[i * static_cast<size_t>(columns_) + static_cast<size_t>(b)] = ids[next++];
      }
    }
    d_table_ = copy(table), d_query_start_ = copy(query_start_), d_seq_lens_ = copy(seq_lens_);
    AttentionCudaShape shape{s.num_heads, s.num_kv_heads, s.head_dim};
    shape.block_size = kBlockSize, shape.max_seqs = num_seqs(), shape.max_tokens = num_tokens();
    shape.max_blocks = columns_, shape.hopper = hopper;
    attention_.emplace(PagedAttentionCuda::create(shape).value());
  }
  int num_tokens() const { return query_start_.back(); }
  int num_seqs() const { return static_cast<int>(seq_lens_.size()); }
  int runs() const { return std::clamp(layers_, 8, 64); }

  Status plan(StreamRef stream) {
    AttentionCudaBatch b{num_seqs(), num_tokens(), d_query_start_.as<int32_t>(), d_seq_lens_.as<int32_t>()};
    b.block_table = TensorView<const int32_t, 2>(d_table_.as<int32_t>(), {num_seqs(), columns_});
    b.decode = decode_;
    if (!decode_) b.host_query_start = query_start_, b.host_seq_lens = seq_lens_;
    return attention_->plan(b, 0, stream);
  }
  Status run(int i, StreamRef stream) {
    std::array<int64_t, 3> dims = {num_tokens(), shape_.num_heads, shape_.head_dim};
    AttentionCudaLayer l{{out_.data(), dims, DType::kBFloat16}, {q_.data(), dims, DType::kBFloat16}};
    l.q.stride[0] = q_stride(), l.kv = kv_, l.scale = 0.088f;
    l.kv.k_offset = i % layers_ * 2 * kv_.area_bytes(), l.kv.v_offset = l.kv.k_offset + kv_.area_bytes();
    return attention_->run(l, 0, stream);
  }
  double kv_bytes() const {
    double keys = 0;
    for (int32_t n : seq_lens_) keys += n;
    return keys * 4 * shape_.num_kv_heads * shape_.head_dim;
  }
  double flops() const {
    double pairs = 0;
    for (size_t i = 0; i < seq_lens_.size(); ++i) {
      double q = query_start_[i + 1] - query_start_[i];
      pairs += q * (seq_lens_[i] - (q - 1) / 2);
    }
    return pairs * 4 * shape_.num_heads * shape_.head_dim;
  }

 private:
  int64_t q_stride() const { return int64_t{shape_.num_heads + 2 * shape_.num_kv_heads} * shape_.head_dim; }
  static DeviceBuffer random_bytes(int64_t bytes) {
    static const std::vector<BFloat16> values = [] {
      std::vector<BFloat16> v(4 << 20);
      std::mt19937 rng(3);
      std::normal_distribution<float> normal;
      for (BFloat16& x : v) x = to_bfloat16(normal(rng));
      return v;
    }();
    DeviceBuffer buffer = DeviceBuffer::allocate(static_cast<size_t>(bytes), "a bench array").value();
    size_t filled = std::min(static_cast<size_t>(bytes), values.size() * 2);
    cudaMemcpy(buffer.data(), values.data(), filled, cudaMemcpyHostToDevice);
    for (; filled < static_cast<size_t>(bytes); filled *= 2) {
      cudaMemcpy(buffer.data() + filled, buffer.data(), std::min(filled, static_cast<size_t>(bytes) - filled),
                 cudaMemcpyDeviceToDevice);
    }
    cudaDeviceSynchronize();
    return buffer;
  }
  static DeviceBuffer copy(const std::vector<int32_t>& values) {
    DeviceBuffer buffer = DeviceBuffer::allocate(values.size() * 4, "a bench array").value();
    cudaMemcpy(buffer.data(), values.data(), values.size() * 4, cudaMemcpyHostToDevice);
    return buffer;
  }

  Shape shape_;
  KvLayerView kv_;
  int layers_ = 1;
  bool decode_ = true;
  int64_t columns_ = 1;
  std::vector<int32_t> query_start_ = {0}, seq_lens_;
  DeviceBuffer pool_, q_, out_, d_table_, d_query_start_, d_seq_lens_;
  std::optional<PagedAttentionCuda> attention_;
};

void measure(const char* name, const Shape& s, const std::vector<Part>& parts, FILE* out, bool hopper = true) {
  Bench bench(s, parts, hopper);
  const int plans = 8;
  float plan_ms = time_graph_ms([&](StreamRef stream) -> Status {
    for (int i = 0; i < plans; ++i) RETURN_IF_ERROR(bench.plan(stream));
    return {};
  });
  float ms = time_graph_ms(
      [&](StreamRef stream) -> Status {
        RETURN_IF_ERROR(bench.plan(stream));
        for (int i = 0; i < bench.runs(); ++i) RETURN_IF_ERROR(bench.run(i, stream));
        return {};
      },
      10);
  double plan_us = 1e3 * double{plan_ms} / plans, us = (1e3 * double{ms} - plan_us) / bench.runs();
  double gbs = bench.kv_bytes() / us / 1e3, tflops = bench.flops() / us / 1e6;
  std::string load;
  for (const Part& p : parts) load += fmt::format("{}{}x{}/{}", load.empty() ? "" : "+", p.count, p.queries, p.length);
  printf("%-8s %2d/%d/%-3d %-18s %9.2f us %7.0f GB/s %5.1f%% %7.1f TFLOP/s   plan %5.2f us\n", name, s.num_heads,
         s.num_kv_heads, s.head_dim, load.c_str(), us, gbs, 100 * gbs / kReadGBs, tflops, plan_us);
  if (out) {
    fprintf(out,
            R"({"bench":"paged_attention","case":"%s","heads":%d,"kv_heads":%d,"head_dim":%d,"load":"%s","us":%.3f,)"
            R"("gb_per_s":%.1f,"tflops":%.2f,"plan_us":%.3f})"
            "\n",
            name, s.num_heads, s.num_kv_heads, s.head_dim, load.c_str(), us, gbs, tflops, plan_us);
  }
}

/// Loads with prefills, by the kernel for Hopper and by the other one.
void measure_prefills(const Shape& s, FILE* out) {
  for (bool hopper : {true, false}) {
    const char* prefill = hopper ? "prefill" : "fa2";
    for (int32_t length : {128, 512, 1024, 2048, 8192}) measure(prefill, s, {{1, length, length}}, out, hopper);
    measure(prefill, s, {{2, 1024, 1024}}, out, hopper);
    measure(prefill, s, {{4, 512, 512}}, out, hopper);
    measure(prefill, s, {{1, 192, 640}}, out, hopper);
    measure(prefill, s, {{1, 448, 1024}}, out, hopper);
    measure(prefill, s, {{1, 256, 8192}}, out, hopper);
    measure(prefill, s, {{1, 2048, 8192}}, out, hopper);
    measure(prefill, s, {{64, 1, 1024}, {1, 448, 1024}}, out, hopper);
  }
}

int run(FILE* out, bool only_prefill) {
  Result<CudaDevice> device = open_cuda_device(0);
  if (!device) {
    fprintf(stderr, "%s\n", device.error().message.c_str());
    return 1;
  }
  printf("%s; load is sequences x queries / context\n", to_string(*device).c_str());
  for (const Shape& s : {Shape{16, 8, 128}, Shape{32, 8, 128}}) {
    measure_prefills(s, out);
    if (only_prefill) continue;
    for (int seqs : {1, 8, 64, 256}) {
      for (int32_t length : {128, 1024, 4096}) measure("decode", s, {{seqs, 1, length}}, out);
    }
    measure("ragged", s, {{63, 1, 300}, {1, 1, 16000}}, out);
  }
  if (only_prefill) return 0;
  measure("decode", {4, 1, 256}, {{1, 1, 1024}}, out);
  measure("decode", {9, 3, 64}, {{8, 1, 1024}}, out);
  measure("prefill", {4, 1, 256}, {{1, 2048, 2048}}, out);
  return 0;
}

}  // namespace
}  // namespace vllm

int main(int argc, char** argv) {
  FILE* out = nullptr;
  bool only_prefill = false;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--prefill") {
      only_prefill = true;
    } else if (std::string(argv[i]) == "--out" && i + 1 < argc && (out = fopen(argv[++i], "w")) != nullptr) {
    } else {
      fprintf(stderr, "usage: %s [--prefill] [--out FILE]\n", argv[0]);
      return 2;
    }
  }
  int code = vllm::run(out, only_prefill);
  if (out) fclose(out);
  return code;
}
