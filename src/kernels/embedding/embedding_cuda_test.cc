#include "kernels/embedding/embedding_cuda.h"

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "tensor/cuda/testing.h"

namespace vllm {
namespace {

struct Case {
  int64_t num_tokens, hidden, vocab_size, out_gap, weight_gap;
  DType dtype;
  float scale;
};

float element(DType dtype, const std::vector<uint8_t>& bytes, size_t i) {
  float f = 0;
  uint16_t h = 0;
  if (dtype == DType::kFloat32) return std::memcpy(&f, &bytes[4 * i], 4), f;
  std::memcpy(&h, &bytes[2 * i], 2);
  return dtype == DType::kBFloat16 ? to_float(BFloat16{h}) : to_float(Float16{h});
}

void set_element(DType dtype, std::vector<uint8_t>& bytes, size_t i, float x) {
  uint16_t h = dtype == DType::kBFloat16 ? to_bfloat16(x).bits : to_float16(x).bits;
  if (dtype == DType::kFloat32)
    std::memcpy(&bytes[4 * i], &x, 4);
  else
    std::memcpy(&bytes[2 * i], &h, 2);
}

void check_case(const Case& c) {
  SCOPED_TRACE(fmt::format("tokens {} hidden {} vocab {} gaps {} {} {} scale {}", c.num_tokens, c.hidden, c.vocab_size,
                           c.out_gap, c.weight_gap, info(c.dtype).name, c.scale));
  const int64_t out_stride = c.hidden + c.out_gap, weight_stride = c.hidden + c.weight_gap;
  const auto count = static_cast<size_t>(c.vocab_size * weight_stride);
  std::mt19937 random(static_cast<unsigned>(c.num_tokens * 31 + c.hidden));
  std::normal_distribution<float> normal;
  std::vector<uint8_t> weight(count * static_cast<size_t>(info(c.dtype).block_bytes));
  for (size_t i = 0; i < count; ++i) set_element(c.dtype, weight, i, normal(random));
  std::vector<int32_t> ids(static_cast<size_t>(c.num_tokens));
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % static_cast<unsigned>(c.vocab_size));
  // What an unchecked batch could hold: rows of zeros, and no read outside the table.
  if (ids.size() > 4) ids[1] = -1, ids[2] = static_cast<int32_t>(c.vocab_size), ids[3] = INT32_MAX, ids[4] = INT32_MIN;

  DeviceArray<uint8_t> device_weight(weight);
  DeviceArray<int32_t> device_ids(ids);
  DeviceArray<float> out(static_cast<size_t>(c.num_tokens * out_stride));
  EmbeddingCudaParams p{.out = {out.data(), {c.num_tokens, c.hidden}},
                        .token_ids = device_ids.data(),
                        .weight = {device_weight.data(), {c.vocab_size, c.hidden}, c.dtype},
                        .scale = c.scale};
  p.out.stride[0] = out_stride, p.weight.stride[0] = weight_stride;
  CudaStream stream = CudaStream::create().value();
  Status status = embedding_cuda(p, stream);
  ASSERT_TRUE(status) << status.error().message;
  std::vector<float> got = out.host();
  int wrong = 0;
  for (int64_t t = 0; t < c.num_tokens && wrong < 5; ++t) {
    const int64_t id = ids[static_cast<size_t>(t)];
    for (int64_t i = 0; i < out_stride && wrong < 5; ++i) {
      const float g = got[static_cast<size_t>(t * out_stride + i)];
      if (i >= c.hidden) {
        if (!std::isnan(g)) ADD_FAILURE() << "row " << t << ": the gap behind it was written", ++wrong;
        continue;
      }
      const bool known = 0 <= id && id < c.vocab_size;
      const float want = known ? element(c.dtype, weight, static_cast<size_t>(id * weight_stride + i)) * c.scale : 0.0f;
      if (g != want)
        ADD_FAILURE() << "row " << t << " (id " << id << ") column " << i << ": " << g << " != " << want, ++wrong;
    }
  }
}

TEST(EmbeddingCuda, GathersAndScalesRows) {
  REQUIRE_GPU();
  for (DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
    for (const Case& c : {Case{1, 4096, 100, 0, 0, dtype, 1.0f}, Case{19, 32, 11, 0, 0, dtype, 0.5f},
                          Case{7, 33, 5, 0, 0, dtype, 2.0f}, Case{300, 640, 1000, 4, 8, dtype, 25.3f},
                          Case{6, 1024, 64, 3, 0, dtype, 1.0f}, Case{6, 1032, 64, 0, 1, dtype, 1.0f},
                          Case{2, 1, 1, 0, 0, dtype, 1.0f}, Case{70001, 8, 3, 0, 0, dtype, 1.0f}}) {
      check_case(c);
    }
  }
}

TEST(EmbeddingCuda, NamesWhatIsOff) {
  REQUIRE_GPU();
  DeviceArray<float> x(64);
  DeviceArray<int32_t> ids(std::vector<int32_t>{0});
  CudaStream stream = CudaStream::create().value();
  EmbeddingCudaParams p{
      .out = {x.data(), {1, 8}}, .token_ids = ids.data(), .weight = {x.data() + 16, {4, 7}, DType::kFloat32}};
  EXPECT_EQ(embedding_cuda(p, stream).error().message, "embedding: weight has 7 columns, out has 8");
  p.weight = {x.data() + 16, {4, 8}, DType::kQ4_0};
  EXPECT_EQ(embedding_cuda(p, stream).error().code, ErrorCode::kUnimplemented);
  p.weight = {x.data() + 16, {4, 8}, DType::kFloat32}, p.out = {x.data(), {0, 8}};
  EXPECT_TRUE(embedding_cuda(p, stream));
}

}  // namespace
}  // namespace vllm
