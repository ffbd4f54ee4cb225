#pragma once
// A checkpoint in memory that tests can change: drop, rename or reshape tensors.
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "hub/checkpoint.h"

namespace vllm::model::testing {

class MemoryCheckpoint final : public Checkpoint {
 public:
  void add(const std::string& name, DType dtype, std::vector<int64_t> shape, std::string bytes) {
    Entry& e = entries_[name];
    e.bytes = std::move(bytes);
    e.tensor.dtype = dtype, e.tensor.shape = std::move(shape);
    relink();
  }
  void add(const std::string& name, const CheckpointTensor& t) {
    add(name, t.dtype, t.shape, std::string(reinterpret_cast<const char*>(t.data.data()), t.data.size()));
  }
  void drop(const std::string& name) { entries_.erase(name); }

  const CheckpointTensor* find(std::string_view name) const override {
    auto it = entries_.find(std::string(name));
    return it == entries_.end() ? nullptr : &it->second.tensor;
  }
  std::vector<std::string_view> names() const override {
    std::vector<std::string_view> names;
    for (const auto& [name, entry] : entries_) names.push_back(name);
    return names;
  }
  size_t total_bytes() const override {
    size_t bytes = 0;
    for (const auto& [name, entry] : entries_) bytes += entry.bytes.size();
    return bytes;
  }

 private:
  struct Entry {
    CheckpointTensor tensor;
    std::string bytes;
  };
  void relink() {
    for (auto& [name, e] : entries_) {
      e.tensor.name = name, e.tensor.data = std::as_bytes(std::span(e.bytes.data(), e.bytes.size()));
    }
  }
  std::map<std::string, Entry> entries_;
};

}  // namespace vllm::model::testing
