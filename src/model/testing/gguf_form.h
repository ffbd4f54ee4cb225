#pragma once
// The tiny checkpoints of golden.h as a GGUF file would hold them: its names, its order of rotary rows, its blocks.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>

#include "model/testing/golden.h"

namespace vllm::model::testing {

struct GgufName {
  std::string_view hf, gguf;
};
inline constexpr GgufName kGgufNames[] = {
    {"self_attn.q_proj", "attn_q"},      {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},      {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"}, {"self_attn.k_norm", "attn_k_norm"},
    {"input_layernorm", "attn_norm"},    {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
};

inline std::string gguf_name(std::string name) {
  if (name.starts_with("model.embed_tokens")) return "token_embd.weight";
  if (name.starts_with("model.norm")) return "output_norm.weight";
  if (name.starts_with("lm_head")) return "output.weight";
  name = "blk." + name.substr(std::string("model.layers.").size());
  for (const GgufName& row : kGgufNames) {
    if (size_t at = name.find(row.hf); at != std::string::npos) return name.replace(at, row.hf.size(), row.gguf);
  }
  ADD_FAILURE() << name;
  return name;
}

// Rows of Q and K in the order of llama.cpp's converter: [heads][2][half] -> [heads][half][2].
inline std::string interleave(const CheckpointTensor& t, int64_t head_dim) {
  std::string out(t.data.size(), '\0');
  size_t row = t.data.size() / static_cast<size_t>(t.shape[0]);
  for (int64_t r = 0; r < t.shape[0]; ++r) {
    int64_t head = r / head_dim, i = r % head_dim, half = head_dim / 2;
    int64_t to = head * head_dim + (i % half) * 2 + i / half;
    std::memcpy(&out[static_cast<size_t>(to) * row], t.data.data() + static_cast<size_t>(r) * row, row);
  }
  return out;
}

// bfloat16 rows to Q8_0: blocks of 32 with a half-precision scale.
inline std::string to_q8_0(const std::string& bytes) {
  std::string out;
  for (size_t at = 0; at < bytes.size(); at += 64) {
    float x[32], top = 0;
    for (size_t i = 0; i < 32; ++i) {
      BFloat16 b;
      std::memcpy(&b, &bytes[at + 2 * i], 2);
      x[i] = to_float(b), top = std::max(top, std::abs(x[i]));
    }
    Float16 scale = to_float16(top / 127);
    out.append(reinterpret_cast<const char*>(&scale), 2);
    for (float v : x) out.push_back(static_cast<char>(static_cast<int8_t>(std::lround(v / to_float(scale)))));
  }
  return out;
}

struct Gguf {
  ModelConfig config;
  std::shared_ptr<MemoryCheckpoint> weights = std::make_shared<MemoryCheckpoint>();
};

inline Gguf as_gguf(const Golden& g, bool llama, bool quantize) {
  Gguf out;
  out.config = g.config, out.config.from_gguf = true, out.config.interleaved_qk = llama;
  for (std::string_view name : g.weights->names()) {
    const CheckpointTensor& t = *g.weights->find(name);
    bool qk = name.find("q_proj") != name.npos || name.find("k_proj") != name.npos;
    std::string bytes(reinterpret_cast<const char*>(t.data.data()), t.data.size());
    if (qk && llama) bytes = interleave(t, g.config.head_dim);
    bool q8 = quantize && qk && t.shape.size() == 2;
    out.weights->add(gguf_name(std::string(name)), q8 ? DType::kQ8_0 : t.dtype, t.shape, q8 ? to_q8_0(bytes) : bytes);
  }
  return out;
}

}  // namespace vllm::model::testing
