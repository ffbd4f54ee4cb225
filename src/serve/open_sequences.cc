#include "serve/open_sequences.h"

#include <utility>

namespace vllm::serve {

void OpenSequences::add(const std::shared_ptr<Generation>& generation) {
  const std::vector<RequestId>& ids = generation->ids();
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < ids.size(); ++i) sequences_[ids[i]] = {generation, i};
}

void OpenSequences::remove(const Generation& generation) {
  std::lock_guard lock(mutex_);
  for (RequestId id : generation.ids()) sequences_.erase(id);
}

void OpenSequences::deliver(std::vector<EngineOutput>&& batch, TokenGaps& gaps) {
  const double now_s = steady_now_s();
  addressees_.clear();
  {
    std::lock_guard lock(mutex_);
    for (const EngineOutput& output : batch) {
      Addressee& to = addressees_.emplace_back();
      auto it = sequences_.find(output.id);
      if (it == sequences_.end()) continue;
      to = it->second;
      if (output.finish_reason) sequences_.erase(it);
    }
  }
  for (size_t i = 0; i < addressees_.size(); ++i) {
    Addressee& to = addressees_[i];
    if (to.generation) to.generation->on_output(to.choice, std::move(batch[i]), now_s, gaps);
    to.generation.reset();
  }
}

}  // namespace vllm::serve
