#include "text/template/filters.h"

#include "text/template/filter_tables.h"

namespace vllm::text::tmpl {

FilterFn find_filter(std::string_view name) {
  for (auto table : {text_filters(), sequence_filters(), order_filters(), value_filters()}) {
    for (const FilterRow& row : table) {
      if (row.name == name) return row.fn;
    }
  }
  return nullptr;
}

}  // namespace vllm::text::tmpl
