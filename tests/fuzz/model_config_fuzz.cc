// config.json text, or a GGUF file's metadata, to a ModelConfig and what is derived from it.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "model/kv_groups.h"
#include "model/rope_config.h"

namespace {

vllm::Result<vllm::model::ModelConfig> read(std::span<const std::byte> bytes) {
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("GGUF")) {
    auto file = vllm::GgufFile::parse(bytes);
    if (!file) return file.error();
    return vllm::model::config_from_gguf(*file);
  }
  auto value = vllm::parse_json(text);
  if (!value) return value.error();
  if (!value->is_object()) return vllm::invalid_argument("no object");
  return vllm::model::parse_config(value->get_object());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto config = read(std::as_bytes(std::span(data, size)));
  if (!config) {
    CHECK(!config.error().message.empty());
    return 0;
  }
  CHECK(config->num_heads > 0 && config->num_heads % config->num_kv_heads == 0 && config->max_position > 0);
  CHECK(config->layer_is_sliding.size() == static_cast<size_t>(config->num_layers));
  for (const auto& rope : {config->rope, config->rope_local}) {
    for (double f : vllm::model::rope_frequencies(rope, config->head_dim, config->max_position).inv_freq)
      CHECK(!std::isnan(f));
  }
  auto spec = vllm::model::make_kv_spec(*config, vllm::DType::kBFloat16);
  size_t layers = 0;
  for (const auto& group : spec.groups) layers += group.layers.size();
  CHECK(layers == static_cast<size_t>(config->num_layers) && spec.bytes_per_block(16) > 0);
  return 0;
}
