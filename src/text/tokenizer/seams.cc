#include "text/tokenizer/seams.h"

namespace vllm::text {

// A merge's left side ends with the three bytes before the seam and its right side starts with the three after it, or
// one of them is shorter than that.
void Seams::add_bytes(std::string_view left, std::string_view right) {
  if (left.empty() || right.empty()) return;
  if (left.size() < 3 || right.size() < 3)
    set(pairs_, pair(static_cast<unsigned char>(left.back()), static_cast<unsigned char>(right.front())));
  else
    set_filter(three_bytes(left.data() + left.size() - 3), three_bytes(right.data()));
}

}  // namespace vllm::text
