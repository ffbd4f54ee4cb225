#include "model/config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "hub/testing/files.h"
#include "hub/testing/gguf_writer.h"
#include "model/arch/registry.h"
#include "model/rope_config.h"

namespace vllm::model {
namespace {

using vllm::testing::GgufWriter;

constexpr std::string_view kLlama = R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 100,
  "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 2,
  "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "torch_dtype": "bfloat16", "eos_token_id": [2, 3], "bos_token_id": 1})";

// The config above with fields replaced: `{"head_dim": 16}`; a field set to "DROP" goes.
Result<ModelConfig> with(std::string_view changes, std::string_view base = kLlama) {
  json::object object = parse_json(base).value().get_object();
  json::value changed = parse_json(changes).value();
  for (const auto& item : changed.get_object()) {
    if (item.value() == "DROP")
      object.erase(item.key());
    else
      object[item.key()] = item.value();
  }
  return parse_config(object);
}
std::string config_error(std::string_view changes) {
  auto config = with(changes);
  return config ? "" : config.error().message;
}

TEST(Config, ReadsLlama) {
  ModelConfig c = with("{}").value();
  EXPECT_EQ(c.architecture, "LlamaForCausalLM");
  EXPECT_EQ(c.head_dim, 8);
  EXPECT_EQ(c.num_kv_heads, 2);
  EXPECT_EQ(c.eos_token_ids, (std::vector<int32_t>{2, 3}));
  EXPECT_EQ(c.bos_token_id, 1);
  EXPECT_EQ(c.torch_dtype, "bfloat16");
  EXPECT_FALSE(c.qkv_bias || c.qk_norm != QkNorm::kNone || c.tie_word_embeddings || c.post_norms);
  EXPECT_EQ(c.layer_is_sliding, (std::vector<bool>{false, false}));
  EXPECT_EQ(with(R"({"num_key_value_heads": null})")->num_kv_heads, 8);
  EXPECT_TRUE(with(R"({"attention_bias": true, "head_dim": 24})")->o_bias);
  EXPECT_EQ(with(R"({"torch_dtype": "DROP", "dtype": "float16"})")->torch_dtype, "float16");
}

TEST(Config, ReadsTheOtherFamilies) {
  ModelConfig mistral = with(R"({"architectures": ["MistralForCausalLM"], "sliding_window": 32})").value();
  EXPECT_EQ(mistral.layer_is_sliding, (std::vector<bool>{true, true}));
  EXPECT_EQ(with(R"({"architectures": ["MistralForCausalLM"], "sliding_window": null})")->layer_is_sliding,
            (std::vector<bool>{false, false}));
  EXPECT_EQ(with(R"({"architectures": ["MistralForCausalLM"]})")->sliding_window, 4096);
  ModelConfig qwen2 =
      with(R"({"architectures": ["Qwen2ForCausalLM"], "sliding_window": 32, "max_window_layers": 1})").value();
  EXPECT_TRUE(qwen2.qkv_bias && !qwen2.o_bias);
  EXPECT_EQ(qwen2.sliding_window, 0);  // use_sliding_window is off
  EXPECT_EQ(
      with(
          R"({"architectures": ["Qwen2ForCausalLM"], "sliding_window": 32, "max_window_layers": 1, "use_sliding_window": true})")
          ->layer_is_sliding,
      (std::vector<bool>{false, true}));
  ModelConfig qwen3 = with(R"({"architectures": ["Qwen3ForCausalLM"]})").value();
  EXPECT_TRUE(qwen3.qk_norm == QkNorm::kHead && !qwen3.qkv_bias);
  EXPECT_EQ(qwen3.head_dim, 128);
}

TEST(Config, ReadsGemma3InOldAndNewForm) {
  std::string_view old_form =
      R"({"architectures": ["Gemma3ForCausalLM"], "head_dim": 16, "num_hidden_layers": 6, "query_pre_attn_scalar": 64,
    "rope_theta": 1e6, "rope_local_base_freq": 5000, "rope_scaling": {"factor": 8, "rope_type": "linear"}, "sliding_window": 512})";
  std::string_view new_form =
      R"({"architectures": ["Gemma3ForCausalLM"], "head_dim": 16, "num_hidden_layers": 6, "query_pre_attn_scalar": 64,
    "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8, "rope_theta": 1e6},
    "sliding_attention": {"rope_type": "default", "rope_theta": 5000}}, "sliding_window": 512})";
  for (std::string_view form : {old_form, new_form}) {
    ModelConfig c = with(form).value();
    EXPECT_EQ(c.layer_is_sliding, (std::vector<bool>{true, true, true, true, true, false}));
    EXPECT_EQ(c.rope.type, RopeType::kLinear);
    EXPECT_EQ(c.rope.theta, 1e6);
    EXPECT_EQ(c.rope_local.type, RopeType::kDefault);
    EXPECT_EQ(c.rope_local.theta, 5000);
    EXPECT_EQ(c.attention_scale, 0.125);
    EXPECT_EQ(c.embedding_scale, 8);
    EXPECT_EQ(c.max_position, 256);  // Gemma's is scaled already
    EXPECT_TRUE(c.tie_word_embeddings && c.post_norms && c.norm_weight_plus_one && c.qk_norm == QkNorm::kHead);
    EXPECT_EQ(c.activation, Activation::kGeluTanh);
  }
  // The language model of a multimodal checkpoint, which leaves out what equals the class's defaults.
  auto text = parse_json(
      R"({"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "eos_token_id": [1, 106],
    "text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
    "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024}, "torch_dtype": "bfloat16"})");
  ModelConfig c = parse_config(text->get_object()).value();
  EXPECT_EQ(c.vocab_size, 262208);
  EXPECT_EQ(c.num_heads, 8);
  EXPECT_EQ(c.num_kv_heads, 4);
  EXPECT_EQ(c.head_dim, 256);
  EXPECT_EQ(c.max_position, 131072);
  EXPECT_EQ(c.rope.factor, 8);
  EXPECT_EQ(c.rope.theta, 1e6);
  EXPECT_EQ(c.eos_token_ids, (std::vector<int32_t>{1, 106}));
  EXPECT_EQ(c.torch_dtype, "bfloat16");
}

TEST(Config, RopeInBothForms) {
  ModelConfig llama3 =
      with(R"({"rope_theta": 500000, "rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1,
    "high_freq_factor": 4, "original_max_position_embeddings": 64}})")
          .value();
  EXPECT_EQ(llama3.rope.type, RopeType::kLlama3);
  EXPECT_EQ(llama3.rope.theta, 500000);
  EXPECT_EQ(llama3.max_position, 256);
  EXPECT_EQ(with(R"({"rope_scaling": {"type": "linear", "factor": 4}})")->max_position, 1024);
  EXPECT_EQ(
      with(
          R"({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4, "original_max_position_embeddings": 256}})")
          ->max_position,
      1024);
  EXPECT_EQ(with(R"({"rope_parameters": {"rope_type": "default", "rope_theta": 12345}})")->rope.theta, 12345);
  EXPECT_EQ(with(R"({"rope_scaling": null, "rope_theta": 777})")->rope.theta, 777);
}

struct BadField {
  std::string_view changes, message;
};
constexpr BadField kBadFields[] = {
    {R"({"num_hidden_layers": 0})", "num_hidden_layers is 0, expected 1 to 4096"},
    {R"({"num_hidden_layers": "two"})", "num_hidden_layers is \"two\", expected a whole number"},
    {R"({"num_hidden_layers": 2.5})", "num_hidden_layers is 2.5"},
    {R"({"num_hidden_layers": "DROP"})", "num_hidden_layers is missing"},
    {R"({"num_hidden_layers": 1000000000})", "num_hidden_layers is 1000000000"},
    {R"({"num_attention_heads": 0})", "num_attention_heads is 0"},
    {R"({"num_attention_heads": 7})", "hidden_size 64 is no multiple of num_attention_heads 7"},
    {R"({"num_attention_heads": -8})", "num_attention_heads is -8"},
    {R"({"num_key_value_heads": 3})", "num_attention_heads 8 is no multiple of num_key_value_heads 3"},
    {R"({"head_dim": 12})", "head_dim 12 is not built"},
    {R"({"head_dim": 100000})", "head_dim is 100000"},
    {R"({"hidden_size": -64})", "hidden_size is -64"},
    {R"({"hidden_size": null})", "hidden_size is missing"},
    {R"({"vocab_size": 0})", "vocab_size is 0"},
    {R"({"vocab_size": 99999999999})", "vocab_size is 99999999999"},
    {R"({"intermediate_size": []})", "intermediate_size is [], expected a whole number"},
    {R"({"max_position_embeddings": 0})", "max_position_embeddings is 0"},
    {R"({"rms_norm_eps": -1})", "rms_norm_eps is -1"},
    {R"({"rms_norm_eps": "x"})", "rms_norm_eps is \"x\", expected a number"},
    {R"({"hidden_act": "relu6"})", "activation 'relu6' is not built"},
    {R"({"attention_bias": 1})", "attention_bias is 1, expected true or false"},
    {R"({"rope_theta": 0})", "rope_theta is 0"},
    {R"({"rope_scaling": 3})", "rope_scaling is 3, expected an object"},
    {R"({"rope_scaling": {"rope_type": "warp", "factor": 2}})", "rope_scaling: rope type 'warp' is not built"},
    {R"({"rope_scaling": {"rope_type": "linear"}})", "rope_scaling: factor of rope type 'linear' is missing"},
    {R"({"rope_scaling": {"rope_type": "linear", "factor": 0}})", "rope_scaling: factor is 0"},
    {R"({"rope_scaling": {"rope_type": "longrope", "short_factor": [1], "long_factor": [1]}})",
     "short_factor and long_factor have 1 and 1 values, expected 4"},
    {R"({"rope_scaling": {"rope_type": "longrope", "short_factor": [0], "long_factor": [1]}})", "short_factor holds 0"},
    {R"({"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4}})",
     "high_freq_factor is 4"},
    {R"({"partial_rotary_factor": 0.1})", "leaves nothing to turn"},
    {R"({"eos_token_id": "x"})", "eos_token_id holds \"x\""},
    {R"({"eos_token_id": -1})", "eos_token_id holds -1"},
    {R"({"quantization_config": {"quant_method": "awq"}})", "quantization method 'awq' is not built"},
    {R"({"architectures": "DROP"})", "architectures is missing"},
    {R"({"architectures": []})", "architectures is missing"},
    {R"({"architectures": ["MambaForCausalLM"]})",
     "model architecture \"MambaForCausalLM\" is not built; these are: CohereForCausalLM, Cohere2For"},
    {R"({"architectures": ["Gemma3ForCausalLM"], "layer_types": ["full_attention"]})",
     "layer_types is 1 names long, expected a list of 2"},
    {R"({"architectures": ["Gemma3ForCausalLM"], "layer_types": ["full_attention", "mamba"]})",
     "layer type \"mamba\" is not built"},
    {R"({"architectures": ["Gemma3ForCausalLM"], "use_bidirectional_attention": true})",
     "use_bidirectional_attention is not built"},
};

TEST(Config, NamesTheFieldAtFault) {
  for (const BadField& bad : kBadFields) {
    std::string message = config_error(bad.changes);
    EXPECT_NE(message.find(bad.message), std::string::npos) << bad.changes << " gave: " << message;
  }
}

TEST(Config, FromAFolder) {
  vllm::testing::TempFolder folder;
  EXPECT_FALSE(load_config(folder.path()));
  vllm::testing::write_file(folder / "config.json", kLlama);
  EXPECT_EQ(load_config(folder.path())->eos_token_ids, (std::vector<int32_t>{2, 3}));
  EXPECT_FALSE(load_generation_config(folder.path())->temperature);
  vllm::testing::write_file(
      folder / "generation_config.json",
      R"({"eos_token_id": [3, 5], "temperature": 0.6, "top_k": 20, "top_p": 0.95, "max_new_tokens": null})");
  EXPECT_EQ(load_config(folder.path())->eos_token_ids, (std::vector<int32_t>{2, 3, 5}));
  GenerationConfig g = load_generation_config(folder.path()).value();
  EXPECT_EQ(g.temperature, 0.6);
  EXPECT_EQ(g.top_k, 20);
  EXPECT_FALSE(g.max_new_tokens || g.min_p);
  vllm::testing::write_file(folder / "config.json", "{\"architectures\": [");
  EXPECT_NE(load_config(folder.path()).error().message.find("config.json: invalid JSON"), std::string::npos);
}

struct GgufCase {
  std::string arch = "qwen2";
  GgufWriter writer;
  GgufCase& number(std::string_view key, uint32_t value) {
    return writer.key(arch + "." + std::string(key), 4, GgufWriter::raw(value)), *this;
  }
  GgufCase& real(std::string_view key, float value) {
    return writer.key(arch + "." + std::string(key), 6, GgufWriter::raw(value)), *this;
  }
};

Result<ModelConfig> from_gguf(const std::function<void(GgufCase&)>& change, std::string arch = "qwen2",
                              uint32_t heads = 8) {
  GgufCase c;
  c.arch = arch;
  c.writer.key("general.architecture", 8, GgufWriter::text(arch));
  c.number("embedding_length", 64)
      .number("feed_forward_length", 128)
      .number("block_count", 6)
      .number("context_length", 512);
  c.number("attention.head_count", heads)
      .number("attention.head_count_kv", 2)
      .real("attention.layer_norm_rms_epsilon", 1e-6f);
  c.writer.key("tokenizer.ggml.eos_token_id", 4, GgufWriter::raw(uint32_t{7}));
  change(c);
  c.writer.tensor("token_embd.weight", {64, 10}, 0, 0)
      .tensor("blk.0.attn_q.bias", {64}, 0, 64 * 10 * 4)
      .data(std::string(64 * 11 * 4, '\0'));
  std::string bytes = c.writer.build();
  auto file = GgufFile::parse(vllm::testing::as_bytes(bytes));
  if (!file) return file.error();
  return config_from_gguf(*file);
}

TEST(ConfigGguf, ReadsMetadata) {
  ModelConfig c = from_gguf([](GgufCase& c) { c.real("rope.freq_base", 1e6f); }).value();
  EXPECT_EQ(c.architecture, "Qwen2ForCausalLM");
  EXPECT_EQ(c.vocab_size, 10);
  EXPECT_EQ(c.torch_dtype, "float32");  // that of token_embd.weight
  EXPECT_EQ(c.head_dim, 8);
  EXPECT_EQ(c.rope.theta, 1e6);
  EXPECT_EQ(c.eos_token_ids, (std::vector<int32_t>{7}));
  EXPECT_TRUE(c.from_gguf && c.qkv_bias && c.tie_word_embeddings && !c.interleaved_qk);
  EXPECT_TRUE(from_gguf([](GgufCase&) {}, "llama")->interleaved_qk);
  ModelConfig gemma = from_gguf(
                          [](GgufCase& c) {
                            c.number("attention.sliding_window", 512)
                                .number("attention.key_length", 256)
                                .number("attention.value_length", 256);
                          },
                          "gemma3")
                          .value();
  EXPECT_EQ(gemma.layer_is_sliding, (std::vector<bool>{true, true, true, true, true, false}));
  EXPECT_EQ(gemma.head_dim, 256);
  EXPECT_FALSE(gemma.norm_weight_plus_one);
  EXPECT_EQ(gemma.rope_local.theta, 1e4);
}

TEST(ConfigGguf, NamesWhatIsWrong) {
  auto message = [](std::function<void(GgufCase&)> change, std::string arch = "qwen2", uint32_t heads = 8) {
    auto config = from_gguf(change, arch, heads);
    return config ? "" : config.error().message;
  };
  EXPECT_EQ(
      message([](GgufCase&) {}, "mamba"),
      "GGUF architecture 'mamba' is not built; these are: command-r, cohere2, falcon, gpt2, gemma2, gemma3, granite, "
      "internlm2, llama, olmo2, phi3, qwen, qwen2, qwen3, stablelm");
  EXPECT_EQ(message([](GgufCase&) {}, "qwen2", 0), "qwen2.attention.head_count is 0, expected 1 to 4096");
  EXPECT_EQ(message([](GgufCase&) {}, "qwen2", 7), "embedding_length 64 is no multiple of attention.head_count 7");
  EXPECT_NE(message([](GgufCase& c) { c.number("attention.value_length", 16); }).find("value_length"),
            std::string::npos);
  EXPECT_NE(message([](GgufCase& c) {
              c.writer.key("qwen2.rope.scaling.type", 8, GgufWriter::text("warp"));
            }).find("'warp' is not built"),
            std::string::npos);
  EXPECT_NE(message([](GgufCase& c) { c.real("rope.freq_base", NAN); }).find("rope_theta"), std::string::npos);
  EXPECT_EQ(message([](GgufCase& c) { c.real("logit_scale", 0); }, "granite"),
            "granite.logit_scale is 0, expected 1e-09 to 1000000000");
  EXPECT_EQ(message([](GgufCase& c) { c.real("residual_scale", INFINITY); }, "granite").substr(0, 29),
            "granite.residual_scale is inf");
  EXPECT_EQ(message([](GgufCase& c) { c.number("attention.sliding_window_pattern", 0); }, "cohere2"),
            "cohere2.attention.sliding_window_pattern is 0");
  EXPECT_NE(message([](GgufCase& c) { c.number("attention.sliding_window", 8); }, "olmo2").find("OLMo 3"),
            std::string::npos);
  EXPECT_EQ(
      message([](GgufCase& c) { c.writer.key("phi3.attention.sliding_window", 8, GgufWriter::text("x")); }, "phi3"),
      "phi3.attention.sliding_window is no whole number");
}

TEST(Archs, EveryRowIsFoundByItsNames) {
  for (const ArchRow& row : archs()) {
    EXPECT_EQ(find_arch(row.architecture), &row);
    if (!row.gguf_arch.empty()) {
      EXPECT_EQ(find_gguf_arch(row.gguf_arch), &row);
    }
    EXPECT_NE(known_architectures().find(row.architecture), std::string::npos);
  }
  EXPECT_EQ(find_gguf_arch(""), nullptr);
}

}  // namespace
}  // namespace vllm::model
