// Prints loading time and encoding speed of a tokenizer on text files, on one thread:
//   text_tokenizer_bench MODEL TEXT...
// MODEL is a checkpoint folder or a GGUF file. Times are the thread's processor time, so that other jobs count less;
// "cold" is a text that a fresh tokenizer sees first, "warm" the best of some more rounds.
#include <fmt/core.h>

#include <algorithm>
#include <ctime>

#include "base/mapped_file.h"
#include "hub/gguf.h"
#include "text/tokenizer.h"

namespace {

double now() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

vllm::Result<std::shared_ptr<const vllm::text::Tokenizer>> load(const std::filesystem::path& model) {
  if (model.extension() != ".gguf") return vllm::text::load_tokenizer(model);
  ASSIGN_OR_RETURN(const vllm::GgufFile file, vllm::GgufFile::open(model));
  return vllm::text::load_gguf_tokenizer(file);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return fmt::print(stderr, "usage: text_tokenizer_bench MODEL TEXT...\n"), 2;
  for (int i = 2; i < argc; ++i) {
    const double start = now();
    const auto tokenizer = load(argv[1]);
    const double load_time = now() - start;
    const auto text = vllm::read_file(argv[i]);
    if (!tokenizer || !text) {
      return fmt::print(stderr, "{}\n", tokenizer ? text.error().message : tokenizer.error().message), 1;
    }
    if (i == 2) fmt::print("{}; loaded in {:.0f} ms\n", (*tokenizer)->description(), 1000 * load_time);
    if (!(*tokenizer)->encode("warm up the tables of characters: \xE4\xB8\xAD")) return 1;
    double cold = 0, warm = 1e9;
    size_t tokens = 0;
    for (int round = 0; round < 7; ++round) {
      const double begin = now();
      const auto ids = (*tokenizer)->encode(*text);
      const double time = now() - begin;
      if (!ids) return fmt::print(stderr, "{}\n", ids.error().message), 1;
      if (round == 0) cold = time;
      warm = std::min(warm, time);
      tokens = ids->size();
    }
    const double megabytes = static_cast<double>(text->size()) / 1e6;
    fmt::print("{}: {:.2f} MB, {} tokens: cold {:.1f} MB/s, warm {:.1f} MB/s, {:.1f} M tokens/s\n", argv[i], megabytes,
               tokens, megabytes / cold, megabytes / warm, static_cast<double>(tokens) / warm / 1e6);
  }
  return 0;
}
