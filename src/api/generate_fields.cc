#include "api/generate_fields.h"

#include "api/json_body.h"
#include "api/json_text.h"
#include "base/utf8.h"

namespace vllm::api {
namespace {

constexpr size_t kMaxStopStrings = 4;

const json::value* present(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value && !value->is_null() ? value : nullptr;
}
bool asks(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value && truthy(*value);
}
std::optional<double> number(const json::value& value) {
  if (auto special = as_special_number(value)) return special;
  if (value.is_bool()) return value.get_bool() ? 1.0 : 0.0;
  if (value.is_double()) return value.get_double();
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  if (value.is_uint64()) return static_cast<double>(value.get_uint64());
  return std::nullopt;
}

}  // namespace

namespace rows {

void read_stop(json::value& value, RequestBase& request, const Field&, std::string_view loc, Issues& issues) {
  auto& stop = static_cast<GenerateRequest&>(request).stop;
  if (value.is_string()) {
    stop = {std::string(value.get_string())};
    return;
  }
  // A union of string and list: both branches report what they miss.
  Issues found;
  found.add("string_type", loc, "Input should be a valid string", value);
  if (value.is_array() && value.get_array().size() > kMaxStopStrings) {
    const size_t size = value.get_array().size();
    found.add("too_long", loc,
              fmt::format("List should have at most {} items after validation, not {}", kMaxStopStrings, size), value,
              fmt::format("'field_type': 'List', 'max_length': {}, 'actual_length': {}", kMaxStopStrings, size));
  } else if (auto strings = coerce_strings(value, loc, found)) {
    stop = std::move(*strings);
    return;
  }
  issues.append(found);
}

void read_logit_bias(json::value& value, RequestBase& request, const Field&, std::string_view loc, Issues& issues) {
  const json::object* object = coerce_object(value, loc, issues);
  if (!object) return;
  auto& bias = static_cast<GenerateRequest&>(request).logit_bias;
  for (const auto& [key, item] : *object) {
    if (auto real = coerce_double(item, fmt::format("{}.{}", loc, std::string_view(key)), issues))
      bias.emplace_back(key, *real);
  }
}

void read_stream_options(json::value& value, RequestBase& request, const Field&, std::string_view loc, Issues& issues) {
  auto& out = static_cast<GenerateRequest&>(request);
  if (!value.is_object()) {
    issues.add("model_attributes_type", loc, "Input should be a valid dictionary or object to extract fields from",
               value);
    return;
  }
  for (auto [name, target] : {std::pair{"include_usage", &out.stream_include_usage},
                              {"continuous_usage_stats", &out.stream_continuous_usage}}) {
    const json::value* option = present(value.get_object(), name);
    if (!option) continue;
    if (auto flag = coerce_bool(*option, fmt::format("{}.{}", loc, name), issues)) *target = *flag;
  }
}

void read_response_format(json::value& value, RequestBase&, const Field&, std::string_view loc, Issues& issues) {
  // A union of three models; the loc is that of each branch's field.
  constexpr std::string_view kNoObject = "Input should be a valid dictionary or object to extract fields from";
  if (!value.is_object()) {
    for (int branch = 0; branch < 3; ++branch) issues.add("model_attributes_type", loc, kNoObject, value);
    return;
  }
  const json::object& object = value.get_object();
  const json::value* type = object.if_contains("type");
  const std::string type_loc = fmt::format("{}.type", loc);
  Issues plain;
  if (!type) {
    plain.missing(type_loc, value);
  } else {
    coerce_choice(*type, type_loc, "text|json_object|json_schema", plain);
  }
  const json::value* schema = present(object, "json_schema");
  if (plain.empty() && schema && !schema->is_object())
    plain.add("model_attributes_type", fmt::format("{}.json_schema", loc), kNoObject, *schema);
  if (plain.empty() && schema && !schema->get_object().contains("name"))
    plain.missing(fmt::format("{}.json_schema.name", loc), *schema);
  const bool tag = type && type->is_string() && type->get_string() == "structural_tag";
  if (plain.empty() || tag) return;
  issues.append(plain);
  for (int branch = 0; branch < 2; ++branch) {
    if (!type) {
      issues.missing(type_loc, value);
    } else {
      coerce_choice(*type, type_loc, "structural_tag", issues);
    }
    if (branch == 0) {
      if (!object.contains("format")) issues.missing(fmt::format("{}.format", loc), value);
    } else {
      if (!object.contains("structures")) issues.missing(fmt::format("{}.structures", loc), value);
      if (!object.contains("triggers")) issues.missing(fmt::format("{}.triggers", loc), value);
    }
  }
}

void read_structured_outputs(json::value& value, RequestBase&, const Field&, std::string_view loc, Issues& issues) {
  const json::object* object = coerce_object(value, loc, issues);
  if (!object) return;
  for (std::string_view text : {"regex", "grammar", "whitespace_pattern", "structural_tag"}) {
    if (const json::value* item = present(*object, text)) coerce_string(*item, fmt::format("{}.{}", loc, text), issues);
  }
  if (const json::value* choice = present(*object, "choice"))
    coerce_strings(*choice, fmt::format("{}.choice", loc), issues);
}

void read_any_object(json::value& value, RequestBase&, const Field&, std::string_view loc, Issues& issues) {
  coerce_object(value, loc, issues);
}
void read_nothing(json::value&, RequestBase&, const Field&, std::string_view, Issues&) {}

}  // namespace rows

MaybeError check_cache_salt(const json::object& object) {
  constexpr size_t kMaxChars = 128;
  const json::value* salt = present(object, "cache_salt");
  if (!salt) return std::nullopt;
  if (!salt->is_string() || salt->get_string().empty()) {
    return bad_parameter("Parameter 'cache_salt' must be a non-empty string if provided.", "cache_salt");
  }
  std::string_view text(salt->get_string().data(), salt->get_string().size());
  if (count_chars(text) > kMaxChars || text.find_first_of(std::string_view("@/\\\0", 4)) != std::string_view::npos) {
    return bad_parameter(
        "Parameter 'cache_salt' must be at most 128 characters and must not contain '@', '/', '\\\\', or NUL.",
        "cache_salt");
  }
  return std::nullopt;
}

MaybeError check_stream_options(const json::object& object) {
  if (asks(object, "stream_options") && !asks(object, "stream")) {
    return bad_parameter("Stream options can only be defined when `stream=True`.", "stream_options");
  }
  return std::nullopt;
}

MaybeError check_logprobs(const json::object& object, bool chat) {
  const std::string_view top = chat ? "top_logprobs" : "logprobs";
  if (asks(object, "logprob_token_ids")) {
    if (chat && !asks(object, "logprobs")) {
      return bad_parameter("when using `logprob_token_ids`, `logprobs` must be set to true.", "logprob_token_ids");
    }
    if (const json::value* max = present(object, "max_tokens");
        !chat && asks(object, "echo") && max && number(*max) == 0.0) {
      return bad_parameter(
          "`logprob_token_ids` is not supported when `echo=True` and `max_tokens=0` because no output tokens are "
          "generated.",
          "logprob_token_ids");
    }
    if (!chat && !present(object, "logprobs")) {
      return bad_parameter("when using `logprob_token_ids`, `logprobs` must be set.", "logprob_token_ids");
    }
  }
  for (std::string_view name : {std::string_view("prompt_logprobs"), top}) {
    const json::value* value = present(object, name);
    if (value && !number(*value))
      return bad_parameter(fmt::format("`{}` must be an integer.", name), name, python_summary(*value));
  }
  if (const json::value* value = present(object, "prompt_logprobs")) {
    const double count = *number(*value);
    if (asks(object, "stream") && (count > 0 || count == -1)) {
      return bad_parameter("`prompt_logprobs` are not available when `stream=True`.", "prompt_logprobs");
    }
    if (count < 0 && count != -1)
      return bad_parameter("`prompt_logprobs` must be a positive value or -1.", "prompt_logprobs",
                           python_summary(*value));
  }
  if (const json::value* value = present(object, top)) {
    const double count = *number(*value);
    if (count < 0 && count != -1)
      return bad_parameter(fmt::format("`{}` must be a positive value or -1.", top), top, python_summary(*value));
    if (chat && (count == -1 || count > 0) && !asks(object, "logprobs")) {
      return bad_parameter("when using `top_logprobs`, `logprobs` must be set to true.", "top_logprobs");
    }
  }
  return std::nullopt;
}

}  // namespace vllm::api
