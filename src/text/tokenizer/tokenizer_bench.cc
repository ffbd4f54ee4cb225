// Prints loading time and encoding speed of a tokenizer.json folder or GGUF file on a text file, on one thread:
//   text_tokenizer_bench MODEL TEXT
#include <fmt/core.h>

#include <algorithm>
#include <chrono>

#include "base/mapped_file.h"
#include "hub/gguf.h"
#include "text/tokenizer.h"

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

vllm::Result<std::shared_ptr<const vllm::text::Tokenizer>> load(const std::filesystem::path& model) {
  if (model.extension() != ".gguf") return vllm::text::load_tokenizer(model);
  ASSIGN_OR_RETURN(const vllm::GgufFile file, vllm::GgufFile::open(model));
  return vllm::text::load_gguf_tokenizer(file);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return fmt::print(stderr, "usage: text_tokenizer_bench MODEL TEXT\n"), 2;
  auto start = std::chrono::steady_clock::now();
  const auto tokenizer = load(argv[1]);
  const auto text = vllm::read_file(argv[2]);
  if (!tokenizer || !text) {
    return fmt::print(stderr, "{}\n", tokenizer ? text.error().message : tokenizer.error().message), 1;
  }
  fmt::print("{}\nload {:.0f} ms\n", (*tokenizer)->description(), 1000 * seconds_since(start));
  double best = 1e9, first = 0;
  size_t tokens = 0;
  for (int round = 0; round < 7; ++round) {
    start = std::chrono::steady_clock::now();
    const auto ids = (*tokenizer)->encode(*text);
    const double time = seconds_since(start);
    if (!ids) return fmt::print(stderr, "{}\n", ids.error().message), 1;
    if (round == 0) first = time;
    best = std::min(best, time);
    tokens = ids->size();
  }
  const double megabytes = static_cast<double>(text->size()) / 1e6;
  fmt::print("{:.2f} MB, {} tokens: first {:.1f} MB/s, best {:.1f} MB/s, {:.2f} M tokens/s\n", megabytes, tokens,
             megabytes / first, megabytes / best, static_cast<double>(tokens) / best / 1e6);
  return 0;
}
