// What a server may send to the load client: the first byte picks the API and where the bytes are cut.
#include <cstdint>
#include <string>

#include "bench/reply_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto api = data[0] & 1 ? vllm::bench::Api::kChat : vllm::bench::Api::kCompletions;
  const size_t step = 1 + (data[0] >> 1);
  std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1), held;
  vllm::bench::Outcome outcome;
  vllm::bench::ReplyReader reader(api, outcome);
  double now = 0;
  for (size_t at = 0; at < bytes.size() && !reader.done(); at += step) {
    held += bytes.substr(at, step);
    auto used = reader.feed(held, now += 1);
    if (!used) return 0;
    held.erase(0, *used);
  }
  (void)reader.end();
  reader.finish();
  return 0;
}
