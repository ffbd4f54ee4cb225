#include "text/tokenizer/seams.h"

#include <algorithm>

namespace vllm::text {

// A merge's left side ends with the three bytes before the seam and its right side starts with the three after it, or
// one of them is shorter than that.
void Seams::add_bytes(std::string_view left, std::string_view right, uint32_t rank) {
  if (left.empty() || right.empty()) return;
  if (left.size() >= 3 && right.size() >= 3)
    return set_filter(three_bytes(left.data() + left.size() - 3), three_bytes(right.data()));
  const size_t seam = pair(static_cast<unsigned char>(left.back()), static_cast<unsigned char>(right.front()));
  set(pairs_, seam);
  if (short_ranks_.empty()) short_ranks_.assign(65536, UINT32_MAX);
  short_ranks_[seam] = std::min(short_ranks_[seam], rank);
}

}  // namespace vllm::text
