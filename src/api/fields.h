#pragma once
// The field table: one row per request field generates the parser, the OpenAPI schema and the table test.
#include <span>
#include <string_view>
#include <type_traits>

#include "api/coerce.h"

namespace vllm::api {

/// What the parser fills; every request struct derives from it, so that one table type serves all.
struct RequestBase {};

enum class Support : uint8_t {
  kBuilt,     // does what vLLM's does
  kAccepted,  // checked and read, but without an effect in this server (as in vLLM without the matching part)
  kNotBuilt,  // 501 naming the field, unless its value asks for nothing (null, false, empty)
};

struct Field {
  std::string_view name;
  std::string_view schema;    // JSON schema of the value, without default and description
  std::string_view fallback;  // default, as JSON text
  char tier;                  // 'A', 'B' or 'C' of vLLM's surface
  Support support;
  std::string_view help;
  /// Read a value that is neither null nor absent. `loc` is "body.<name>". May move out of `value`.
  void (*read)(json::value& value, RequestBase& request, const Field& field, std::string_view loc, Issues& issues);
  bool required = false;
  IntRange range = {};
  std::string_view choices = {};  // separated by '|'
};

struct FieldOptions {
  std::string_view fallback = "null";
  char tier = 'A';
  Support support = Support::kBuilt;
  bool required = false;
  IntRange range = {};
  std::string_view choices = {};
};

namespace detail {
template <typename T>
struct MemberOf;
template <typename C, typename T>
struct MemberOf<T C::*> {
  using Class = C;
  using Type = T;
};
template <typename T>
struct Unwrap {
  using Type = T;
};
template <typename T>
struct Unwrap<std::optional<T>> {
  using Type = T;
};

template <typename T>
constexpr std::string_view schema_of() {
  using V = typename Unwrap<T>::Type;
  if constexpr (std::is_same_v<V, bool>)
    return R"({"type":"boolean"})";
  else if constexpr (std::is_same_v<V, int64_t>)
    return R"({"type":"integer"})";
  else if constexpr (std::is_same_v<V, double>)
    return R"({"type":"number"})";
  else if constexpr (std::is_same_v<V, std::string>)
    return R"({"type":"string"})";
  else if constexpr (std::is_same_v<V, std::vector<int64_t>>)
    return R"({"type":"array","items":{"type":"integer"}})";
  else if constexpr (std::is_same_v<V, std::vector<std::string>>)
    return R"({"type":"array","items":{"type":"string"}})";
  else if constexpr (std::is_same_v<V, json::object>)
    return R"({"type":"object"})";
  else
    return "{}";
}

template <auto Member>
void read_member(json::value& value, RequestBase& request, const Field& field, std::string_view loc, Issues& issues) {
  using M = MemberOf<decltype(Member)>;
  using V = typename Unwrap<typename M::Type>::Type;
  auto& target = static_cast<typename M::Class&>(request).*Member;
  const auto put = [&](auto&& result) {
    if (result) target = std::move(*result);
  };
  if constexpr (std::is_same_v<V, bool>)
    put(coerce_bool(value, loc, issues));
  else if constexpr (std::is_same_v<V, int64_t>)
    put(coerce_int(value, loc, issues, field.range));
  else if constexpr (std::is_same_v<V, double>)
    put(coerce_double(value, loc, issues));
  else if constexpr (std::is_same_v<V, std::string>)
    put(field.choices.empty() ? coerce_string(value, loc, issues) : coerce_choice(value, loc, field.choices, issues));
  else if constexpr (std::is_same_v<V, std::vector<int64_t>>)
    put(coerce_ints(value, loc, issues, field.range));
  else if constexpr (std::is_same_v<V, std::vector<std::string>>)
    put(coerce_strings(value, loc, issues));
  else if constexpr (std::is_same_v<V, json::object>) {
    if (coerce_object(value, loc, issues)) target = std::move(value.get_object());
  } else
    static_assert(!sizeof(V), "no reader for this member type");
}
}  // namespace detail

/// A row whose parser and schema follow from the member's type.
template <auto Member>
constexpr Field field(std::string_view name, std::string_view help, FieldOptions options = {}) {
  using Type = typename detail::MemberOf<decltype(Member)>::Type;
  return {name, detail::schema_of<Type>(),    options.fallback, options.tier,  options.support,
          help, &detail::read_member<Member>, options.required, options.range, options.choices};
}

/// A row with a reader and a schema of its own.
constexpr Field custom(std::string_view name, std::string_view schema, decltype(Field::read) read,
                       std::string_view help, FieldOptions options = {}) {
  return {name, schema, options.fallback, options.tier,  options.support,
          help, read,   options.required, options.range, options.choices};
}

/// Read every field of `object` that the table knows; others are ignored. Null is as good as absent.
/// Returns the schema's error, else the 501 of the first field that asks for something not built.
MaybeError read_fields(std::span<const Field> table, json::value& body, RequestBase& request);
/// The same, but the caller goes on with the issues (unions).
MaybeError read_fields(std::span<const Field> table, json::value& body, RequestBase& request, Issues& issues);

}  // namespace vllm::api
