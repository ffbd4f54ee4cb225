#include "kernels/linear/linear_amx_check.h"

#if defined(__x86_64__)
#include <setjmp.h>
#include <signal.h>

#include <cstring>
#include <vector>

#include "base/log.h"
#include "kernels/linear/linear_layout.h"

namespace vllm::linear {
namespace {

constexpr int64_t kTokens = 35, kPanels = 3;

// Any bytes are quants and scales of some weight; float16 and bfloat16 get exponents of a sane size.
std::vector<std::byte> some_bytes(size_t count, bool halves) {
  std::vector<std::byte> out(count);
  uint32_t state = 1;
  for (size_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    out[i] = static_cast<std::byte>(halves && i % 2 == 1 ? (state >> 24 & 0x83u) | 0x3cu : state >> 24);
  }
  return out;
}

bool same_as_emulated(DType dtype, int64_t k, int x_terms) {
  const std::vector<std::byte> weight = some_bytes(kPanels * panel_bytes(dtype, k), true);
  std::vector<float> x(static_cast<size_t>(k)), sums[2];
  const size_t stride = is_quantized(dtype) ? static_cast<size_t>(k) / kBlock * quantized_block_bytes(x_terms)
                                            : (static_cast<size_t>(k) + 1) * sizeof(float);
  std::vector<std::byte> prepared(stride * kTokens);
  const Kernels* kernels[2] = {&amx_kernels(), &amx_emulated_avx512_kernels()};
  uint32_t state = 7;
  for (size_t t = 0; t < kTokens; ++t) {
    for (float& v : x) {
      state = state * 1664525u + 1013904223u;
      v = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31f;
    }
    std::byte* to = prepared.data() + t * stride;
    if (is_quantized(dtype)) kernels[0]->quantize(x.data(), k, x_terms, to);
    if (!is_quantized(dtype)) kernels[0]->round_to_bfloat16(x.data(), k, reinterpret_cast<float*>(to));
  }
  for (int i = 0; i < 2; ++i) {
    sums[i].resize(static_cast<size_t>(kTokens * kPanels * kPanelRows));
    kernels[i]->tile({.weight = weight.data(),
                      .dtype = dtype,
                      .compact = false,
                      .rows = kPanels * kPanelRows,
                      .k = k,
                      .x = prepared.data(),
                      .x_terms = x_terms,
                      .x_stride = static_cast<int64_t>(stride),
                      .num_tokens = kTokens,
                      .out = sums[i].data(),
                      .out_stride = kPanels * kPanelRows,
                      .bias = nullptr,
                      .add_to_out = false});
  }
  return std::memcmp(sums[0].data(), sums[1].data(), sums[0].size() * sizeof(float)) == 0;
}

thread_local sigjmp_buf* t_back = nullptr;

void on_illegal_instruction(int) {
  if (t_back != nullptr) siglongjmp(*t_back, 1);
  signal(SIGILL, SIG_DFL);  // somebody else's: the instruction is tried again, and ends the process
}

// The bare instructions, without a C++ object between them and the jump back.
bool instructions_exist() {
  sigjmp_buf back;
  struct sigaction ours = {}, before = {};
  ours.sa_handler = on_illegal_instruction;
  if (sigaction(SIGILL, &ours, &before) != 0) return false;
  bool exist = false;
  if (sigsetjmp(back, 1) == 0) {
    t_back = &back;
    try_amx_instructions();
    exist = true;
  }
  t_back = nullptr;
  sigaction(SIGILL, &before, nullptr);
  return exist;
}

}  // namespace

AmxCheck check_amx() {
  if (!instructions_exist()) return AmxCheck::kNoInstruction;
  const bool same = same_as_emulated(DType::kBFloat16, 72, 1) && same_as_emulated(DType::kQ8_0, 96, 1) &&
                    same_as_emulated(DType::kQ4_K, 256, 2);
  return same ? AmxCheck::kWorks : AmxCheck::kWrongResult;
}

bool amx_can_be_trusted() {
  static const AmxCheck check = [] {
    const AmxCheck result = check_amx();
    if (result != AmxCheck::kWorks)
      LOG_WARNING("This CPU reports AMX, but its tile instructions {}. AVX-512 is used instead.",
                  result == AmxCheck::kNoInstruction ? "do not exist" : "give other results than documented");
    return result;
  }();
  return check == AmxCheck::kWorks;
}

}  // namespace vllm::linear
#endif
