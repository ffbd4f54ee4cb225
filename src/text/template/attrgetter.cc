#include "text/template/attrgetter.h"

#include <charconv>

#include "text/template/utf8.h"

namespace vllm::text::tmpl {

AttrGetter::AttrGetter(Interpreter& in, const Value& attribute) {
  if (attribute.is_none()) return;
  if (!attribute.is_text()) {
    path_.push_back(attribute);
    return;
  }
  std::string_view rest = attribute.text();
  while (true) {
    size_t dot = rest.find('.');
    std::string_view part = rest.substr(0, dot);
    int64_t index = 0;
    auto [end, ec] = std::from_chars(part.data(), part.data() + part.size(), index);
    bool number = !part.empty() && ec == std::errc() && end == part.data() + part.size() && part[0] != '-';
    path_.push_back(number ? Value(index) : in.text(std::string(part)));
    if (dot == std::string_view::npos) return;
    rest.remove_prefix(dot + 1);
  }
}

Value AttrGetter::operator()(Interpreter& in, const Value& item, const Value* otherwise) const {
  Value value = item;
  for (const Value& part : path_) {
    in.budget().step();
    value = in.get_item(value, part);
    if (otherwise && value.is_undefined()) value = *otherwise;
  }
  return value;
}

Value fold_case(Interpreter& in, const Value& v, bool case_sensitive) {
  return !case_sensitive && v.is_text() ? in.text(to_lower(v.text())) : v;
}

}  // namespace vllm::text::tmpl
