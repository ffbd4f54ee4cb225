#include "cli/config_file.h"

#include <yaml-cpp/yaml.h>

#include "base/json.h"
#include "base/mapped_file.h"

namespace vllm::cli {
namespace {

// YAML scalars as the JSON that they would be: numbers and booleans bare, everything else a string.
json::value to_json(const YAML::Node& node, int depth) {
  if (depth > 32) throw YAML::Exception(YAML::Mark::null_mark(), "nested more than 32 levels deep");
  if (node.IsMap()) {
    json::object object;
    for (const auto& item : node) object[item.first.as<std::string>()] = to_json(item.second, depth + 1);
    return object;
  }
  if (node.IsSequence()) {
    json::array array;
    for (const auto& item : node) array.push_back(to_json(item, depth + 1));
    return array;
  }
  if (node.IsNull()) return nullptr;
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return json::string(text);  // quoted
  if (text == "true" || text == "True") return true;
  if (text == "false" || text == "False") return false;
  auto parsed = parse_json(text);
  return parsed && parsed->is_number() ? *parsed : json::value(text);
}

// A scalar as it is written (1.0 stays 1.0), anything else as JSON.
std::string value_text(const YAML::Node& node) {
  return node.IsScalar() ? node.Scalar() : json::serialize(to_json(node, 1));
}

void append(std::vector<std::string>& args, const std::string& key, const YAML::Node& node) {
  json::value value = to_json(node, 0);
  if (value.is_null()) return;
  if (key == "model" || key == "model_tag") {
    args.push_back("--model=" + value_text(node));
  } else if (value.is_bool()) {
    args.push_back((value.get_bool() ? "--" : "--no-") + key);
  } else if (value.is_array()) {
    args.push_back("--" + key);
    for (const YAML::Node& item : node) args.push_back(value_text(item));
  } else {
    args.push_back("--" + key + "=" + value_text(node));
  }
}

}  // namespace

Result<std::vector<std::string>> read_config_file(const std::string& path) {
  if (!path.ends_with(".yaml") && !path.ends_with(".yml"))
    return invalid_argument("--config {}: only .yaml and .yml files are read", path);
  ASSIGN_OR_RETURN(std::string text, read_file(path, size_t{1} << 20));
  try {
    YAML::Node root = YAML::Load(text);
    if (root.IsNull()) return std::vector<std::string>{};
    if (!root.IsMap()) return invalid_argument("{}: expected `flag-name: value` lines", path);
    std::vector<std::string> args;
    for (const auto& item : root) append(args, item.first.as<std::string>(), item.second);
    return args;
  } catch (const YAML::Exception& e) {
    return invalid_argument("{}: {}", path, e.what());
  }
}

}  // namespace vllm::cli
