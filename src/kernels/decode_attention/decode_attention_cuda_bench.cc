// Microseconds of a layer's decode attention by graph replay, in bfloat16, from the raw QKV projection: the fused
// kernels by the number of blocks of a sequence and KV head (r = through the ring; * = what is chosen), and the two ops
// that it replaces (their plan, once a step, not counted). Layers have caches of their own, so that L2 does not help.
//   decode_attention_cuda_bench [--out FILE]     FILE gets a JSON line per case
#include <algorithm>
#include <cstdio>
#include <random>
#include <string>

#include "kernels/decode_attention/decode_attention_cuda.h"
#include "kernels/paged_attention/paged_attention_cuda.h"
#include "kernels/qkv_finish/qkv_finish_cuda.h"
#include "tensor/cuda/testing.h"

namespace vllm {
namespace {

constexpr double kReadGBs = 4549;
constexpr int kBlockSize = 16, kBlocks[] = {1, 2, 4, 8, 16}, kRingBlocks[] = {1, 2, 4};

struct Case {
  int num_heads, num_kv_heads, head_dim;
  std::vector<int32_t> seq_lens;
};

template <typename T>
DeviceBuffer copy(const std::vector<T>& values) {
  DeviceBuffer buffer = DeviceBuffer::allocate(values.size() * sizeof(T), "a bench array").value();
  cudaMemcpy(buffer.data(), values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice);
  return buffer;
}
DeviceBuffer random_values(int64_t count) {
  static const std::vector<BFloat16> values = [] {
    std::vector<BFloat16> v(1 << 20);
    std::mt19937 rng(3);
    std::normal_distribution<float> normal;
    for (BFloat16& x : v) x = to_bfloat16(normal(rng));
    return v;
  }();
  const size_t bytes = static_cast<size_t>(count) * 2;
  DeviceBuffer buffer = DeviceBuffer::allocate(bytes, "a bench array").value();
  size_t filled = std::min(bytes, values.size() * 2);
  cudaMemcpy(buffer.data(), values.data(), filled, cudaMemcpyHostToDevice);
  for (; filled < bytes; filled *= 2) {
    cudaMemcpy(buffer.data() + filled, buffer.data(), std::min(filled, bytes - filled), cudaMemcpyDeviceToDevice);
  }
  cudaDeviceSynchronize();
  return buffer;
}

class Bench {
 public:
  explicit Bench(const Case& c) : c_(c), seqs_(static_cast<int>(c.seq_lens.size())) {
    int64_t pages = 0;
    for (int32_t n : c.seq_lens) {
      const int64_t blocks = (n + kBlockSize - 1) / kBlockSize;
      pages += blocks, columns_ = std::max(columns_, blocks);
    }
    kv_.num_kv_heads = c.num_kv_heads, kv_.head_dim = c.head_dim, kv_.block_size = kBlockSize;
    const int64_t layer_bytes = 2 * kv_.area_bytes();
    layers_ = static_cast<int>(std::clamp<int64_t>((int64_t{256} << 20) / (pages * layer_bytes), 1, 256));
    kv_.num_blocks = pages + 1, kv_.page_bytes = layers_ * layer_bytes;
    pool_ = random_values(kv_.num_blocks * kv_.page_bytes / 2);
    kv_.base = pool_.data();
    qkv_ = random_values(seqs_ * width()), out_ = random_values(int64_t{seqs_} * c.num_heads * c.head_dim);
    std::vector<int32_t> ids(static_cast<size_t>(pages)), table(static_cast<size_t>(seqs_ * columns_)), starts = {0};
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i) + 1;
    std::shuffle(ids.begin(), ids.end(), std::mt19937(7));
    std::vector<int64_t> slots;
    size_t next = 0;
    for (size_t s = 0; s < c.seq_lens.size(); ++s) {
      int32_t last = 0;
      for (int64_t b = 0; b * kBlockSize < c.seq_lens[s]; ++b) {
        last = table[s * static_cast<size_t>(columns_) + static_cast<size_t>(b)] = ids[next++];
      }
      slots.push_back(int64_t{last} * kBlockSize + (c.seq_lens[s] - 1) % kBlockSize);
      starts.push_back(starts.back() + 1);
    }
    d_table_ = copy(table), d_seq_lens_ = copy(c.seq_lens), d_slots_ = copy(slots), d_starts_ = copy(starts);
    const std::vector<float> half(static_cast<size_t>(seqs_ * c.head_dim / 2), 0.7071f);
    d_angles_ = copy(half), d_norm_ = copy(std::vector<float>(static_cast<size_t>(c.head_dim), 1.f));
    AttentionCudaShape shape{c.num_heads, c.num_kv_heads, c.head_dim};
    shape.block_size = kBlockSize, shape.max_seqs = seqs_, shape.max_tokens = seqs_, shape.max_blocks = columns_;
    attention_.emplace(PagedAttentionCuda::create(shape).value());
  }
  int runs() const { return std::clamp(layers_, 8, 64); }
  double kv_bytes() const {
    double keys = 0;
    for (int32_t n : c_.seq_lens) keys += n;
    return keys * 4 * c_.num_kv_heads * c_.head_dim;
  }
  Status fused(int i, DecodeAttentionLaunch how, StreamRef stream) const {
    DecodeAttentionParams p{.num_heads = c_.num_heads, .num_kv_heads = c_.num_kv_heads, .head_dim = c_.head_dim};
    p.out = {out_.data(), {seqs_, int64_t{c_.num_heads} * c_.head_dim}, DType::kBFloat16};
    p.qkv = {qkv_.data(), {seqs_, width()}, DType::kBFloat16};
    p.q_norm = p.k_norm = d_norm_.as<float>();
    p.cos = p.sin = angles(), p.kv = layer(i), p.slot_mapping = d_slots_.as<int64_t>();
    p.block_table = {d_table_.as<int32_t>(), {seqs_, columns_}}, p.seq_lens = d_seq_lens_.as<int32_t>();
    p.scale = 0.088f, p.blocks = how.blocks, p.ring = how.ring;
    return decode_attention_cuda(p, stream);
  }
  Status plan(StreamRef stream) {
    AttentionCudaBatch b{seqs_, seqs_, d_starts_.as<int32_t>(), d_seq_lens_.as<int32_t>()};
    b.block_table = {d_table_.as<int32_t>(), {seqs_, columns_}}, b.decode = true;
    return attention_->plan(b, 0, stream);
  }
  Status two_ops(int i, StreamRef stream) const {
    QkvFinishParams f{.num_heads = c_.num_heads, .num_kv_heads = c_.num_kv_heads, .head_dim = c_.head_dim};
    f.qkv = {qkv_.data(), {seqs_, width()}, DType::kBFloat16};
    f.q_norm = f.k_norm = d_norm_.as<float>();
    f.cos = f.sin = angles(), f.kv = layer(i), f.slot_mapping = d_slots_.as<int64_t>();
    RETURN_IF_ERROR(qkv_finish_cuda(f, stream));
    const std::array<int64_t, 3> dims = {seqs_, c_.num_heads, c_.head_dim};
    AttentionCudaLayer l{{out_.data(), dims, DType::kBFloat16}, {qkv_.data(), dims, DType::kBFloat16}};
    l.q.stride[0] = width(), l.kv = layer(i), l.scale = 0.088f;
    return attention_->run(l, 0, stream);
  }

 private:
  int64_t width() const { return int64_t{c_.num_heads + 2 * c_.num_kv_heads} * c_.head_dim; }
  TensorView<const float, 2> angles() const { return {d_angles_.as<float>(), {seqs_, c_.head_dim / 2}}; }
  KvLayerView layer(int i) const {
    KvLayerView kv = kv_;
    kv.k_offset = i % layers_ * 2 * kv.area_bytes(), kv.v_offset = kv.k_offset + kv.area_bytes();
    return kv;
  }

  Case c_;
  int seqs_, layers_ = 1;
  int64_t columns_ = 1;
  KvLayerView kv_;
  DeviceBuffer pool_, qkv_, out_, d_table_, d_seq_lens_, d_slots_, d_starts_, d_angles_, d_norm_;
  std::optional<PagedAttentionCuda> attention_;
};

void measure(const std::string& load, const Case& c, int sms, FILE* out) {
  Bench bench(c);
  auto microseconds = [&](auto&& one_layer) {
    const float ms = time_graph_ms(
        [&](StreamRef stream) -> Status {
          for (int i = 0; i < bench.runs(); ++i) RETURN_IF_ERROR(one_layer(i, stream));
          return {};
        },
        10);
    return 1e3 * double{ms} / bench.runs();
  };
  CudaStream stream = CudaStream::create().value();
  if (!bench.plan(stream) || !stream.synchronize()) return;
  const double before = microseconds([&](int i, StreamRef s) { return bench.two_ops(i, s); });
  const int seqs = static_cast<int>(c.seq_lens.size());
  const DecodeAttentionLaunch chosen = decode_attention_launch(seqs, c.num_kv_heads, sms);
  std::string text, json;
  double us = 0;
  auto try_launch = [&](DecodeAttentionLaunch how) {
    const bool is_chosen = how.ring == chosen.ring && how.blocks == chosen.blocks;
    if (!is_chosen && !how.ring && seqs > 16 && how.blocks > 2) {  // hopeless
      text += fmt::format(" {:9}", "");
      return;
    }
    const double x = microseconds([&](int i, StreamRef s) { return bench.fused(i, how, s); });
    if (is_chosen) us = x;
    text += fmt::format(" {:8.2f}{}", x, is_chosen ? "*" : " ");
    json += fmt::format(R"("us_{}{}":{:.3f},)", how.ring ? "ring_" : "", how.blocks, x);
  };
  for (int blocks : kBlocks) try_launch({false, blocks});
  for (int blocks : kRingBlocks) try_launch({true, blocks});
  const double gbs = bench.kv_bytes() / us / 1e3;
  printf("%2d/%d/%-3d %-14s %9.2f  |%s | %6.0f GB/s %5.1f%%\n", c.num_heads, c.num_kv_heads, c.head_dim, load.c_str(),
         before, text.c_str(), gbs, 100 * gbs / kReadGBs);
  fflush(stdout);
  if (out) {
    fprintf(
        out,
        R"({"bench":"decode_attention","heads":%d,"kv_heads":%d,"head_dim":%d,"load":"%s","us":%.3f,"chosen":"%s%d",)"
        R"(%s"two_ops_us":%.3f,"gb_per_s":%.1f})"
        "\n",
        c.num_heads, c.num_kv_heads, c.head_dim, load.c_str(), us, chosen.ring ? "ring_" : "", chosen.blocks,
        json.c_str(), before, gbs);
  }
}

int run(FILE* out) {
  Result<CudaDevice> device = open_cuda_device(0);
  if (!device) {
    fprintf(stderr, "%s\n", device.error().message.c_str());
    return 1;
  }
  int sms = 132;
  cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, 0);
  printf("%s; load is sequences x context; microseconds of a layer\n", to_string(*device).c_str());
  printf("%-24s %9s  |%9d %9d %9d %9d %9d %9s %9s %9s  | rate of *\n", "", "two ops", 1, 2, 4, 8, 16, "r1", "r2", "r4");
  for (auto [heads, kv_heads, dim] : {std::array{16, 8, 128}, std::array{32, 8, 128}}) {
    auto uniform = [&](size_t seqs, int32_t length) {
      measure(fmt::format("{}x{}", seqs, length), {heads, kv_heads, dim, std::vector<int32_t>(seqs, length)}, sms, out);
    };
    for (size_t seqs : {1, 2, 4, 8, 16}) {
      for (int32_t length : {128, 1024, 4096}) uniform(seqs, length);
    }
    for (size_t seqs : {32, 64, 128, 256}) {
      for (int32_t length : {128, 300, 1024, 2048}) uniform(seqs, length);
      std::mt19937 rng(5);
      std::vector<int32_t> lens(seqs);
      for (int32_t& n : lens) n = std::uniform_int_distribution<int32_t>(1, 2000)(rng);
      measure(fmt::format("{}x(1..2000)", seqs), {heads, kv_heads, dim, lens}, sms, out);
    }
    std::vector<int32_t> ragged(64, 300);
    for (int32_t longest : {2048, 4096}) {
      ragged[63] = longest;
      measure(fmt::format("63x300+{}", longest), {heads, kv_heads, dim, ragged}, sms, out);
    }
    ragged[63] = 16000;
    measure("63x300+16000", {heads, kv_heads, dim, ragged}, sms, out);
    ragged.resize(8, 300), ragged[7] = 16000;
    measure("7x300+16000", {heads, kv_heads, dim, ragged}, sms, out);
    measure("1x32000", {heads, kv_heads, dim, {32000}}, sms, out);
  }
  measure("1x1024", {9, 3, 64, {1024}}, sms, out);
  measure("8x1024", {9, 3, 64, std::vector<int32_t>(8, 1024)}, sms, out);
  return 0;
}

}  // namespace
}  // namespace vllm

int main(int argc, char** argv) {
  FILE* out = nullptr;
  if (argc == 3 && std::string(argv[1]) == "--out") out = fopen(argv[2], "w");
  if (argc != 1 && !out) {
    fprintf(stderr, "usage: %s [--out FILE]\n", argv[0]);
    return 2;
  }
  int code = vllm::run(out);
  if (out) fclose(out);
  return code;
}
