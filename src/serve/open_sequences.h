#pragma once
// Which request each sequence with the engine belongs to: outputs find their answer here.
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "serve/generation.h"
#include "types/types.h"

namespace vllm::serve {

class OpenSequences {
 public:
  /// Sequence i of the generation is its choice i.
  void add(const std::shared_ptr<Generation>& generation);
  void remove(const Generation& generation);
  /// Hand each output to its generation; those that nobody waits for any more are dropped. A sequence goes with its
  /// last output. One thread at a time, so that a request's outputs keep their order.
  void deliver(std::vector<EngineOutput>&& batch, TokenGaps& gaps);

 private:
  struct Addressee {
    std::shared_ptr<Generation> generation;
    size_t choice = 0;
  };
  std::vector<Addressee> addressees_;  // of the batch in delivery

  std::mutex mutex_;  // guards sequences_
  std::unordered_map<RequestId, Addressee> sequences_;
};

}  // namespace vllm::serve
