// model_logits MODEL PROMPTS.json OUT.bin [--dtype float32|bfloat16|float16] [--threads N] [--chunk N] [--together]
//
// PROMPTS.json is a list of lists of token ids. For every position of every prompt OUT.bin gets vocab_size float32 log
// probabilities of the next token, row after row (forced tokens). --chunk cuts the prefill into steps of that many
// tokens;
// --together runs all prompts in one batch instead of one after the other. Neither may change a bit.
#include <fmt/core.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "hub/checkpoint.h"
#include "model/model.h"
#include "model/parity/token_runner.h"

namespace vllm::model {
namespace {

struct Args {
  std::string model, prompts, out;
  DType dtype = DType::kFloat32;
  int threads = 2;
  int64_t chunk = 512;
  bool together = false;
};

Result<Args> parse_args(int argc, char** argv) {
  Args args;
  std::vector<std::string> names;
  for (int i = 1; i < argc; ++i) {
    std::string a = argv[i];
    bool has_value = i + 1 < argc;
    if (a == "--together")
      args.together = true;
    else if (a == "--threads" && has_value)
      args.threads = std::max(1, std::atoi(argv[++i]));
    else if (a == "--chunk" && has_value)
      args.chunk = std::max(1, std::atoi(argv[++i]));
    else if (a == "--dtype" && has_value) {
      std::string name = argv[++i];
      bool found = false;
      for (DType t : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
        if (info(t).name == name) args.dtype = t, found = true;
      }
      if (!found) return invalid_argument("--dtype {} is unknown", name);
    } else
      names.push_back(a);
  }
  if (names.size() != 3)
    return invalid_argument(
        "usage: model_logits MODEL PROMPTS.json OUT.bin [--dtype T] [--threads N] [--chunk N] [--together]");
  args.model = names[0], args.prompts = names[1], args.out = names[2];
  return args;
}

Result<std::vector<std::vector<int32_t>>> read_prompts(const std::string& path, int64_t vocab_size) {
  ASSIGN_OR_RETURN(std::string text, read_file(path));
  ASSIGN_OR_RETURN(json::value value, parse_json(text));
  std::vector<std::vector<int32_t>> prompts;
  if (!value.is_array()) return invalid_argument("{}: expected a list of lists of token ids", path);
  for (const json::value& prompt : value.get_array()) {
    prompts.emplace_back();
    if (!prompt.is_array()) return invalid_argument("{}: expected a list of lists of token ids", path);
    for (const json::value& id : prompt.get_array()) {
      if (!id.is_int64() || id.get_int64() < 0 || id.get_int64() >= vocab_size)
        return invalid_argument("{}: bad token id", path);
      prompts.back().push_back(static_cast<int32_t>(id.get_int64()));
    }
  }
  return prompts;
}

void log_softmax(std::vector<float>& row) {
  float highest = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (float x : row) sum += std::exp(static_cast<double>(x) - double{highest});
  auto shift = static_cast<float>(double{highest} + std::log(sum));
  for (float& x : row) x -= shift;
}

Status run(const Args& args) {
  ThreadPool pool(args.threads);
  ASSIGN_OR_RETURN(std::unique_ptr<Checkpoint> checkpoint, open_checkpoint(args.model));
  auto read_config = [&] {
    return checkpoint->gguf() ? config_from_gguf(*checkpoint->gguf()) : load_config(args.model);
  };
  ASSIGN_OR_RETURN(ModelConfig config, read_config());
  LoadOptions options{.dtype = args.dtype, .kv_dtype = args.dtype};
  ASSIGN_OR_RETURN(std::unique_ptr<Model> model, load_model(config, std::move(checkpoint), options, pool));
  ASSIGN_OR_RETURN(auto prompts, read_prompts(args.prompts, config.vocab_size));
  TokenRunner runner(*model, pool, {.chunk = args.chunk});
  auto start = std::chrono::steady_clock::now();
  std::vector<std::vector<std::vector<float>>> rows;  // [prompt][position][vocab]
  if (args.together) {
    rows = runner.run(prompts);
  } else {
    for (const auto& prompt : prompts) rows.push_back(std::move(runner.run({prompt}).front()));
  }
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::unique_ptr<FILE, int (*)(FILE*)> out(std::fopen(args.out.c_str(), "wb"), std::fclose);
  if (!out) return invalid_argument("cannot write {}", args.out);
  size_t tokens = 0;
  for (auto& prompt : rows) {
    for (auto& row : prompt) {
      log_softmax(row);
      std::fwrite(row.data(), sizeof(float), row.size(), out.get());
      ++tokens;
    }
  }
  fmt::print(stderr, "{} tokens in {:.2f} s, {} bytes of weights\n", tokens, seconds, model->weight_bytes());
  return {};
}

}  // namespace
}  // namespace vllm::model

int main(int argc, char** argv) {
  auto args = vllm::model::parse_args(argc, argv);
  vllm::Status status = args ? vllm::model::run(*args) : vllm::Status(args.error());
  if (status) return 0;
  fmt::print(stderr, "model_logits: {}\n", status.error().message);
  return 1;
}
