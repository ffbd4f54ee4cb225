// llama_logits MODEL.gguf PROMPTS.json OUT.bin: what model_logits writes, computed by llama.cpp without weight
// repacking.
//
// A peer's tool, built by hand against a llama.cpp checkout and its build folder, and used as compare.py's --binary:
//   g++ -O2 -std=c++17 tests/parity/llama_logits.cc -I$LLAMA/include -I$LLAMA/ggml/include -L$LLAMA/build/bin -lllama
//   -lggml
//     -lggml-base -Wl,-rpath,$LLAMA/build/bin -o llama_logits
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "llama.h"

int main(int argc, char** argv) {
  if (argc < 4) return 1;
  std::stringstream json;
  json << std::ifstream(argv[2]).rdbuf();
  std::vector<std::vector<llama_token>> prompts;
  std::string text = json.str();
  for (size_t i = 1; i < text.size(); ++i) {  // [[1, 2], [3]]
    if (text[i] == '[') prompts.emplace_back();
    if (std::isdigit(static_cast<unsigned char>(text[i]))) {
      size_t used = 0;
      prompts.back().push_back(std::stoi(text.substr(i, 12), &used));
      i += used - 1;
    }
  }
  llama_backend_init();
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  llama_model_params model_params = llama_model_default_params();
  model_params.use_extra_bufts = false;
  llama_model* model = llama_model_load_from_file(argv[1], model_params);
  if (!model) return 2;
  int vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
  FILE* out = std::fopen(argv[3], "wb");
  for (const auto& prompt : prompts) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = 2048;
    params.n_threads = params.n_threads_batch = 2;
    llama_context* context = llama_init_from_model(model, params);
    llama_batch batch = llama_batch_init(static_cast<int>(prompt.size()), 0, 1);
    for (size_t i = 0; i < prompt.size(); ++i) {
      batch.token[i] = prompt[i], batch.pos[i] = static_cast<int>(i), batch.n_seq_id[i] = 1, batch.seq_id[i][0] = 0,
      batch.logits[i] = 1;
    }
    batch.n_tokens = static_cast<int>(prompt.size());
    if (llama_decode(context, batch) != 0) return 3;
    for (size_t i = 0; i < prompt.size(); ++i) {
      const float* row = llama_get_logits_ith(context, static_cast<int>(i));
      double highest = -INFINITY, sum = 0;
      for (int v = 0; v < vocab; ++v) highest = std::fmax(highest, row[v]);
      for (int v = 0; v < vocab; ++v) sum += std::exp(row[v] - highest);
      std::vector<float> logprobs(row, row + vocab);
      for (float& x : logprobs) x = static_cast<float>(x - highest - std::log(sum));
      std::fwrite(logprobs.data(), sizeof(float), logprobs.size(), out);
    }
    llama_batch_free(batch);
    llama_free(context);
  }
  std::fclose(out);
}
