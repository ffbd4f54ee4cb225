// The lm_head of few tokens: weights rotated through more memory than L2 holds, in a row (graph replay: a chain of
// eight) and each by itself behind a kernel that fills L2 (event to event, a launch included).
#include "kernels/linear/linear_cuda_bench.cuh"

namespace vllm::linear_bench {
namespace {

__global__ void read_all(const uint4* from, int64_t count, uint4* to) {
  uint4 sum{};
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += int64_t{gridDim.x} * blockDim.x) {
    const uint4 v = from[i];
    sum.x ^= v.x, sum.y ^= v.y, sum.z ^= v.z, sum.w ^= v.w;
  }
  if ((sum.x ^ sum.y ^ sum.z ^ sum.w) == 0x12345) *to = sum;
}

}  // namespace

void bench_head(BenchBase& bench, const Shape& s, int tokens) {
  const LinearDesc desc{.num_tokens = tokens, .n = static_cast<int>(s.n), .k = static_cast<int>(s.k)};
  const int sms = bench.runner->device().sm_count;
  const double bytes = static_cast<double>(s.n * s.k * 2);
  auto args = [&] {
    LinearKernelArgs a = bench.plain_args(s, tokens);
    a.out_float = true;
    return a;
  };
  auto launch_one = [&](const LinearConfig& c, StreamRef ref) {
    return c.kind == LinearKind::kGemv ? launch_linear_gemv(DType::kBFloat16, args(), c, ref)
                                       : launch_linear_stream(DType::kBFloat16, args(), c, ref);
  };
  auto one = [&](const std::string& name, const LinearConfig& c) {
    Result<double> chain = bench.time(
        [&](StreamRef ref) -> Status {
          for (int i = 0; i < 8; ++i) RETURN_IF_ERROR(launch_one(c, ref));
          return {};
        },
        5);
    CudaEvent begin = CudaEvent::create(true).value(), end = CudaEvent::create(true).value();
    std::vector<float> ms;
    for (int i = 0; i < 9 && chain; ++i) {
      read_all<<<1024, 256, 0, static_cast<cudaStream_t>(StreamRef(bench.stream).handle)>>>(
          reinterpret_cast<const uint4*>(bench.next_weight(size_t{100} << 20)), (100 << 20) / 16,
          bench.wide.as<uint4>());
      const bool ok =
          begin.record(bench.stream) && launch_one(c, bench.stream) && end.record(bench.stream) && end.synchronize();
      if (ok) ms.push_back(CudaEvent::elapsed_ms(begin, end).value());
    }
    std::sort(ms.begin(), ms.end());
    const double us = chain ? *chain / 8 : 0, alone = ms.empty() ? 0 : 1e3 * double{ms[ms.size() / 2]};
    printf("head %-9s %d  %-22s chain %7.2f us %4.0f GB/s   alone %7.2f us\n", s.name, tokens, name.c_str(), us,
           bytes / us * 1e-3, alone);
  };
  const LinearConfig picked = pick_config(desc, bench.runner->device());
  one("picked", picked);
  for (int r : {1, 2, 3, 4, 6}) {
    LinearConfig c = picked;
    c.row_groups = r;
    const int tiles = static_cast<int>((s.n + 8 * r - 1) / (8 * r));
    c.grid = sms, one(fmt::format("r{} grid {}", r, c.grid), c);
    c.grid = 2 * sms, one(fmt::format("r{} grid {}", r, c.grid), c);
    for (int each : {1, 2, 4, 8}) c.grid = (tiles + each - 1) / each, one(fmt::format("r{} {} each", r, each), c);
  }
  if (tokens > 1) return;
  LinearConfig gemv = gemv_config(desc, bench.runner->device());
  for (int split : {1, 2, 4}) {
    gemv.k_split = split;
    for (int per_sm : {3, 4}) gemv.grid = per_sm * sms, one(fmt::format("gemv s{} {}/SM", split, per_sm), gemv);
    const int blocks = static_cast<int>((s.n / 2 * split + 7) / 8);
    for (int each : {1, 2, 4, 8})
      gemv.grid = (blocks + each - 1) / each, one(fmt::format("gemv s{} {} each", split, each), gemv);
  }
}

}  // namespace vllm::linear_bench
