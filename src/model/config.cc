#include "model/config.h"

#include <algorithm>

#include "base/mapped_file.h"
#include "model/arch/registry.h"
#include "model/config_check.h"
#include "model/config_fields.h"
#include "model/rope_config.h"

namespace vllm::model {
namespace {

struct ActivationRow {
  std::string_view name;
  Activation activation;
};
constexpr ActivationRow kActivations[] = {
    {"silu", Activation::kSilu},         {"swish", Activation::kSilu}, {"gelu_pytorch_tanh", Activation::kGeluTanh},
    {"gelu_new", Activation::kGeluTanh}, {"gelu", Activation::kGelu},  {"gelu_fast", Activation::kGeluTanh},
    {"relu", Activation::kRelu},
};

// Older config classes' names for the same fields; a field's usual name wins.
struct AliasRow {
  std::string_view alias, name;
};
constexpr AliasRow kAliases[] = {
    {"n_embd", "hidden_size"},
    {"n_embed", "hidden_size"},
    {"n_layer", "num_hidden_layers"},
    {"n_head", "num_attention_heads"},
    {"n_positions", "max_position_embeddings"},
    {"n_inner", "intermediate_size"},
    {"ffn_dim", "intermediate_size"},
    {"ffn_hidden_size", "intermediate_size"},
    {"num_kv_heads", "num_key_value_heads"},
    {"n_head_kv", "num_key_value_heads"},
    {"layer_norm_eps", "rms_norm_eps"},
    {"layer_norm_epsilon", "rms_norm_eps"},
    {"norm_eps", "rms_norm_eps"},
    {"activation_function", "hidden_act"},
    {"activation", "hidden_act"},
    {"kv_channels", "head_dim"},
    {"rotary_emb_base", "rope_theta"},
    {"rotary_pct", "partial_rotary_factor"},
    {"rope_pct", "partial_rotary_factor"},
};

json::object with_usual_names(json::object object) {
  for (const AliasRow& row : kAliases) {
    const json::value* value = object.if_contains(row.alias);
    const json::value* usual = object.if_contains(row.name);
    if (value && !value->is_null() && (!usual || usual->is_null())) object[row.name] = json::value(*value);
  }
  return object;
}

// Defaults of transformers' config classes, where published files rely on them: multimodal Gemma checkpoints leave out
// what equals Gemma3TextConfig's. 0 = required, or derived from other fields; inner_factor: of hidden_size.
struct Defaults {
  std::string_view family;  // how the architecture's name begins
  int64_t vocab_size = 0, num_heads = 0, num_kv_heads = 0, head_dim = 0, max_position = 2048, inner_factor = 0;
  double norm_eps = 1e-6;
  bool tie = false;
  const char* activation = "silu";
};
constexpr Defaults kDefaults[] = {
    {"Gemma3", 262208, 8, 4, 256, 131072, 0, 1e-6, true, "gelu_pytorch_tanh"},
    {"Gemma2", 256000, 8, 4, 256, 8192, 0, 1e-6, true, "gelu_pytorch_tanh"},
    {.family = "Mistral", .max_position = 131072},
    {.family = "Qwen3", .head_dim = 128, .max_position = 32768},
    {.family = "Qwen2", .max_position = 32768},
    {.family = "QWen", .max_position = 8192},
    {.family = "Phi3", .max_position = 4096, .norm_eps = 1e-5},
    {.family = "Olmo2", .norm_eps = 1e-5},
    {.family = "Cohere", .max_position = 8192, .norm_eps = 1e-5, .tie = true},
    {.family = "RW", .inner_factor = 4, .norm_eps = 1e-5, .tie = true, .activation = "gelu"},
    {.family = "StableL", .max_position = 4096, .norm_eps = 1e-5},
    {.family = "GPT2",
     .max_position = 1024,
     .inner_factor = 4,
     .norm_eps = 1e-5,
     .tie = true,
     .activation = "gelu_new"},
    {.family = "OPT", .norm_eps = 1e-5, .tie = true, .activation = "relu"},
    {.family = "Falcon", .inner_factor = 4, .norm_eps = 1e-5, .tie = true, .activation = "gelu"},
    {.family = ""},
};
const Defaults& defaults_of(std::string_view architecture) {
  return *std::find_if(std::begin(kDefaults), std::end(kDefaults),
                       [&](const Defaults& d) { return architecture.starts_with(d.family); });
}

Result<int64_t> int_with_default(const ConfigFields& fields, std::string_view key, int64_t fallback, int64_t max) {
  return fallback > 0 ? fields.int_or(key, fallback, 1, max) : fields.require_int(key, 1, max);
}

Status read_sizes(const ConfigFields& fields, const Defaults& defaults, ModelConfig& c) {
  ASSIGN_OR_RETURN(c.vocab_size, int_with_default(fields, "vocab_size", defaults.vocab_size, kMaxVocabSize));
  ASSIGN_OR_RETURN(c.hidden_size, fields.require_int("hidden_size", 1, kMaxWidth));
  ASSIGN_OR_RETURN(c.intermediate_size,
                   int_with_default(fields, "intermediate_size",
                                    std::min(kMaxWidth, defaults.inner_factor * c.hidden_size), kMaxWidth));
  ASSIGN_OR_RETURN(int64_t num_layers, fields.require_int("num_hidden_layers", 1, kMaxLayers));
  ASSIGN_OR_RETURN(int64_t num_heads, int_with_default(fields, "num_attention_heads", defaults.num_heads, kMaxHeads));
  int64_t kv_default = defaults.num_kv_heads > 0 ? defaults.num_kv_heads : num_heads;
  ASSIGN_OR_RETURN(int64_t num_kv_heads, fields.int_or("num_key_value_heads", kv_default, 1, kMaxHeads));
  int64_t head_default = defaults.head_dim > 0 ? defaults.head_dim : c.hidden_size / num_heads;
  if (!fields.has("head_dim") && defaults.head_dim == 0 && c.hidden_size % num_heads != 0) {
    return invalid_argument("hidden_size {} is no multiple of num_attention_heads {}", c.hidden_size, num_heads);
  }
  ASSIGN_OR_RETURN(int64_t head_dim, fields.int_or("head_dim", head_default, 1, kMaxHeadDim));
  c.num_layers = static_cast<int>(num_layers), c.num_heads = static_cast<int>(num_heads);
  c.num_kv_heads = static_cast<int>(num_kv_heads), c.head_dim = static_cast<int>(head_dim);
  ASSIGN_OR_RETURN(c.max_position, fields.int_or("max_position_embeddings", defaults.max_position, 1, kMaxPositions));
  ASSIGN_OR_RETURN(c.norm_eps, fields.double_or("rms_norm_eps", defaults.norm_eps, 0, 1));
  return {};
}

// A token id, or a list of them; null is none.
Status read_token_ids(const ConfigFields& fields, std::string_view key, int64_t vocab_size, std::vector<int32_t>& out) {
  if (!fields.has(key)) return {};
  auto add = [&](const json::value& v) -> Status {
    boost::system::error_code ec;
    auto id = v.to_number<int64_t>(ec);
    if (ec || id < 0) return invalid_argument("{} holds {}, expected token ids", key, brief(v));
    // Ids beyond the vocabulary can never be sampled; some published files have them.
    if (id < vocab_size && std::find(out.begin(), out.end(), id) == out.end()) out.push_back(static_cast<int32_t>(id));
    return {};
  };
  const json::value& value = fields.object().at(key);
  if (!value.is_array()) return add(value);
  for (const json::value& v : value.get_array()) RETURN_IF_ERROR(add(v));
  return {};
}

Status refuse_what_is_not_built(const ConfigFields& fields) {
  if (!fields.has("quantization_config")) return {};
  const json::object* quantization = get_object(fields.object(), "quantization_config");
  std::string method = quantization ? get_string(*quantization, "quant_method").value_or("?") : "?";
  return error(ErrorCode::kUnimplemented, "quantization method '{}' is not built (GGUF block types are)", method);
}

Result<const ArchRow*> find_row(const ConfigFields& fields) {
  const json::array* names = get_array(fields.object(), "architectures");
  if (!names || names->empty() || !names->front().is_string()) {
    return invalid_argument("architectures is missing or no list of names");
  }
  std::string all;
  for (const json::value& name : *names) {
    if (!name.is_string()) continue;
    if (const ArchRow* row = find_arch(std::string_view(name.get_string()))) return row;
    all += (all.empty() ? "" : ", ") + brief(name);
  }
  return error(ErrorCode::kUnimplemented, "model architecture {} is not built; these are: {}", all,
               known_architectures());
}

}  // namespace

Result<ModelConfig> parse_config(const json::object& config) {
  ConfigFields outer(config);
  ASSIGN_OR_RETURN(const ArchRow* row, find_row(outer));
  RETURN_IF_ERROR(refuse_what_is_not_built(outer));
  ModelConfig c;
  c.architecture = row->architecture;
  const json::object* text = get_object(config, "text_config");
  if (text) c.weight_prefix = "language_model.model.";
  const json::object named = with_usual_names(text ? *text : config);
  ConfigFields fields(named);
  const Defaults& defaults = defaults_of(row->architecture);
  ASSIGN_OR_RETURN(c.model_type, fields.string_or("model_type", ""));
  RETURN_IF_ERROR(read_sizes(fields, defaults, c));
  ASSIGN_OR_RETURN(bool outer_tie, outer.bool_or("tie_word_embeddings", defaults.tie));
  ASSIGN_OR_RETURN(c.tie_word_embeddings, fields.bool_or("tie_word_embeddings", outer_tie));
  ASSIGN_OR_RETURN(std::string old_activation, fields.string_or("hidden_act", defaults.activation));
  ASSIGN_OR_RETURN(std::string activation, fields.string_or("hidden_activation", old_activation));
  const auto* found = std::find_if(std::begin(kActivations), std::end(kActivations),
                                   [&](const auto& r) { return r.name == activation; });
  if (found == std::end(kActivations))
    return error(ErrorCode::kUnimplemented, "activation '{}' is not built", activation);
  c.activation = found->activation;
  bool per_layer_type = row->read_config == read_gemma3;
  if (!per_layer_type) {
    ASSIGN_OR_RETURN(c.rope, read_rope(fields, c.max_position, 1e4));
  }
  c.layer_is_sliding.assign(static_cast<size_t>(c.num_layers), false);
  RETURN_IF_ERROR(row->read_config(fields, c));
  if (!per_layer_type) c.rope_local = c.rope, c.max_position = scaled_max_position(c.rope, c.max_position);
  ASSIGN_OR_RETURN(std::string outer_dtype, outer.string_or("dtype", ""));
  ASSIGN_OR_RETURN(std::string new_dtype, fields.string_or("dtype", outer_dtype));
  ASSIGN_OR_RETURN(std::string old_dtype, outer.string_or("torch_dtype", new_dtype));
  ASSIGN_OR_RETURN(c.torch_dtype, fields.string_or("torch_dtype", old_dtype));
  RETURN_IF_ERROR(read_token_ids(fields, "eos_token_id", c.vocab_size, c.eos_token_ids));
  if (text) RETURN_IF_ERROR(read_token_ids(outer, "eos_token_id", c.vocab_size, c.eos_token_ids));
  std::vector<int32_t> bos;
  RETURN_IF_ERROR(read_token_ids(fields, "bos_token_id", c.vocab_size, bos));
  if (!bos.empty()) c.bos_token_id = bos.front();
  RETURN_IF_ERROR(check_config(c));
  return c;
}

Result<ModelConfig> load_config(const std::filesystem::path& dir) {
  std::filesystem::path path = dir / "config.json";
  ASSIGN_OR_RETURN(std::string text, read_file(path, size_t{16} << 20));
  ASSIGN_OR_RETURN(json::value value, parse_json(text).with_context("{}", path.string()));
  if (!value.is_object()) return invalid_argument("{}: expected an object", path.string());
  ASSIGN_OR_RETURN(ModelConfig config, parse_config(value.get_object()).with_context("{}", path.string()));
  std::filesystem::path generation = dir / "generation_config.json";
  std::error_code ec;
  if (std::filesystem::exists(generation, ec)) {
    ASSIGN_OR_RETURN(std::string generation_text, read_file(generation, size_t{16} << 20));
    ASSIGN_OR_RETURN(json::value object, parse_json(generation_text).with_context("{}", generation.string()));
    if (!object.is_object()) return invalid_argument("{}: expected an object", generation.string());
    RETURN_IF_ERROR(
        read_token_ids(ConfigFields(object.get_object()), "eos_token_id", config.vocab_size, config.eos_token_ids)
            .with_context("{}", generation.string()));
  }
  return config;
}

Result<GenerationConfig> load_generation_config(const std::filesystem::path& dir) {
  std::filesystem::path path = dir / "generation_config.json";
  std::error_code ec;
  GenerationConfig g;
  if (!std::filesystem::exists(path, ec)) return g;
  ASSIGN_OR_RETURN(std::string text, read_file(path, size_t{16} << 20));
  ASSIGN_OR_RETURN(json::value value, parse_json(text).with_context("{}", path.string()));
  if (!value.is_object()) return invalid_argument("{}: expected an object", path.string());
  const json::object& o = value.get_object();
  g.temperature = get_double(o, "temperature"), g.top_p = get_double(o, "top_p"), g.min_p = get_double(o, "min_p");
  g.repetition_penalty = get_double(o, "repetition_penalty");
  auto small_int = [&](std::string_view key) -> std::optional<int> {
    auto value = get_int(o, key);
    return value && *value >= 0 && *value <= INT32_MAX ? std::optional(static_cast<int>(*value)) : std::nullopt;
  };
  g.top_k = small_int("top_k"), g.max_new_tokens = small_int("max_new_tokens");
  return g;
}

}  // namespace vllm::model
