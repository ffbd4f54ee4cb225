#pragma once
#include "model/model.h"

namespace vllm::model {

/// The groups of a model's layers, full attention first, and the shape of their keys and values.
KvCacheSpec make_kv_spec(const ModelConfig& config, DType dtype);

}  // namespace vllm::model
