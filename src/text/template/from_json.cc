#include "text/template/from_json.h"

#include <algorithm>

namespace vllm::text::tmpl {
namespace {
constexpr int kMaxDepth = 300;

Value text_of(std::string_view s) {
  auto text = std::make_shared<Text>();
  text->s = s;
  return Value(TextPtr(std::move(text)));
}
}  // namespace

Value from_json(const json::value& v, int depth) {
  if (depth > kMaxDepth) fail("a variable nests deeper than {} levels", kMaxDepth);
  switch (v.kind()) {
    case json::kind::null: return Value();
    case json::kind::bool_: return Value(v.get_bool());
    case json::kind::int64: return Value(v.get_int64());
    case json::kind::uint64:
      if (v.get_uint64() <= INT64_MAX) return Value(static_cast<int64_t>(v.get_uint64()));
      return Value(static_cast<double>(v.get_uint64()));
    case json::kind::double_: return Value(v.get_double());
    case json::kind::string: return text_of(v.get_string());
    case json::kind::array: {
      auto list = std::make_shared<List>();
      list->items.reserve(v.get_array().size());
      for (const auto& item : v.get_array()) {
        list->items.push_back(from_json(item, depth + 1));
        list->depth = std::max(list->depth, list->items.back().depth() + 1);
      }
      return Value(ListPtr(std::move(list)));
    }
    case json::kind::object: {
      auto dict = std::make_shared<Dict>();
      dict->items.reserve(v.get_object().size());
      for (const auto& [key, item] : v.get_object()) dict->put(text_of(key), from_json(item, depth + 1));
      return Value(DictPtr(std::move(dict)));
    }
  }
  return Value();
}

}  // namespace vllm::text::tmpl
