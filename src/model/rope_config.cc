#include "model/rope_config.h"

#include <algorithm>
#include <cmath>

namespace vllm::model {
namespace {

struct RopeTypeRow {
  std::string_view name;
  RopeType type;
};
constexpr RopeTypeRow kRopeTypes[] = {
    {"default", RopeType::kDefault}, {"linear", RopeType::kLinear}, {"dynamic", RopeType::kDynamic},
    {"llama3", RopeType::kLlama3},   {"yarn", RopeType::kYarn},     {"longrope", RopeType::kLongRope},
    {"su", RopeType::kLongRope},
};
constexpr int64_t kMaxPosition = int64_t{1} << 30;

Result<std::vector<double>> read_factors(const json::object& object, std::string_view key) {
  const json::array* array = get_array(object, key);
  if (!array || array->empty() || array->size() > 4096)
    return invalid_argument("{} is missing or no list of numbers", key);
  std::vector<double> factors;
  for (const json::value& v : *array) {
    boost::system::error_code ec;
    double factor = v.to_number<double>(ec);
    if (ec || !std::isfinite(factor) || factor <= 0)
      return invalid_argument("{} holds {}, expected numbers above 0", key, brief(v));
    factors.push_back(factor);
  }
  return factors;
}

}  // namespace

Result<RopeConfig> read_rope_object(const json::object& object, RopeConfig rope, int64_t max_position) {
  ConfigFields fields(object);
  ASSIGN_OR_RETURN(std::string old_name, fields.string_or("type", "default"));
  ASSIGN_OR_RETURN(std::string name, fields.string_or("rope_type", old_name));
  const auto* row =
      std::find_if(std::begin(kRopeTypes), std::end(kRopeTypes), [&](const RopeTypeRow& r) { return r.name == name; });
  if (row == std::end(kRopeTypes)) {
    return error(ErrorCode::kUnimplemented,
                 "rope type '{}' is not built (default, linear, dynamic, llama3, yarn, longrope are)", name);
  }
  rope.type = row->type;
  ASSIGN_OR_RETURN(rope.theta, fields.double_or("rope_theta", rope.theta, 1e-3, 1e15));
  ASSIGN_OR_RETURN(rope.partial_rotary_factor,
                   fields.double_or("partial_rotary_factor", rope.partial_rotary_factor, 0.01, 1));
  if (rope.type == RopeType::kDefault) return rope;
  ASSIGN_OR_RETURN(
      rope.original_max_position,
      fields.int_or("original_max_position_embeddings",
                    rope.original_max_position > 0 ? rope.original_max_position : max_position, 2, kMaxPosition));
  double derived = static_cast<double>(max_position) / static_cast<double>(rope.original_max_position);
  bool may_derive = rope.type == RopeType::kLongRope || rope.type == RopeType::kYarn;
  ASSIGN_OR_RETURN(rope.alpha, fields.double_or("alpha", 0, 1e-3, 1e9));
  if (rope.type == RopeType::kDynamic && rope.alpha > 0) may_derive = true;
  if (!fields.has("factor") && !may_derive) return invalid_argument("factor of rope type '{}' is missing", name);
  ASSIGN_OR_RETURN(rope.factor, fields.double_or("factor", derived, 1e-3, 1e6));
  ASSIGN_OR_RETURN(rope.low_freq_factor, fields.double_or("low_freq_factor", 1, 1e-3, 1e6));
  ASSIGN_OR_RETURN(rope.high_freq_factor, fields.double_or("high_freq_factor", 4, 1e-3, 1e6));
  ASSIGN_OR_RETURN(rope.beta_fast, fields.double_or("beta_fast", 32, 1e-3, 1e6));
  ASSIGN_OR_RETURN(rope.beta_slow, fields.double_or("beta_slow", 1, 1e-3, 1e6));
  ASSIGN_OR_RETURN(rope.truncate, fields.bool_or("truncate", true));
  ASSIGN_OR_RETURN(rope.mscale, fields.double_or("mscale", 0, 0, 1e3));
  ASSIGN_OR_RETURN(rope.mscale_all_dim, fields.double_or("mscale_all_dim", 0, 0, 1e3));
  ASSIGN_OR_RETURN(rope.attention_factor, fields.double_or("attention_factor", 0, 0, 1e3));
  if (rope.type == RopeType::kLlama3 && rope.low_freq_factor >= rope.high_freq_factor) {
    return invalid_argument("high_freq_factor is {}, expected more than low_freq_factor {}", rope.high_freq_factor,
                            rope.low_freq_factor);
  }
  if (rope.type == RopeType::kYarn && rope.theta <= 1)
    return invalid_argument("rope_theta is {}, expected more than 1", rope.theta);
  if (rope.type == RopeType::kLongRope) {
    ASSIGN_OR_RETURN(rope.short_factor, read_factors(object, "short_factor"));
    ASSIGN_OR_RETURN(rope.long_factor, read_factors(object, "long_factor"));
  }
  return rope;
}

Result<RopeConfig> read_rope(const ConfigFields& fields, int64_t max_position, double default_theta) {
  RopeConfig rope;
  ASSIGN_OR_RETURN(rope.theta, fields.double_or("rope_theta", default_theta, 1e-3, 1e15));
  ASSIGN_OR_RETURN(rope.partial_rotary_factor, fields.double_or("partial_rotary_factor", 1, 0.01, 1));
  ASSIGN_OR_RETURN(rope.original_max_position, fields.int_or("original_max_position_embeddings", 0, 2, kMaxPosition));
  for (std::string_view key : {"rope_scaling", "rope_parameters"}) {
    if (!fields.has(key)) continue;
    const json::object* object = get_object(fields.object(), key);
    if (!object) return invalid_argument("{} is {}, expected an object", key, brief(fields.object().at(key)));
    return read_rope_object(*object, rope, max_position).with_context("{}", key);
  }
  return rope;
}

int64_t scaled_max_position(const RopeConfig& rope, int64_t max_position) {
  switch (rope.type) {
    case RopeType::kLinear:
    case RopeType::kDynamic: return static_cast<int64_t>(static_cast<double>(max_position) * rope.factor);
    case RopeType::kYarn: return static_cast<int64_t>(static_cast<double>(rope.original_max_position) * rope.factor);
    default: return max_position;
  }
}

}  // namespace vllm::model
