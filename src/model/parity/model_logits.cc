// model_logits MODEL PROMPTS.json OUT.bin [--dtype float32|bfloat16|float16] [--threads N] [--chunk N] [--together]
//
// PROMPTS.json is a list of lists of token ids. For every position of every prompt OUT.bin gets vocab_size float32 log
// probabilities of the next token, row after row (forced tokens). --chunk cuts the prefill into steps of that many
// tokens;
// --together runs all prompts in one batch instead of one after the other. Neither may change a bit.
#include <fmt/core.h>

#include <chrono>

#include "model/model.h"
#include "model/parity/logits_file.h"
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
      ASSIGN_OR_RETURN(args.dtype, read_dtype(argv[++i]));
    } else
      names.push_back(a);
  }
  if (names.size() != 3)
    return invalid_argument(
        "usage: model_logits MODEL PROMPTS.json OUT.bin [--dtype T] [--threads N] [--chunk N] [--together]");
  args.model = names[0], args.prompts = names[1], args.out = names[2];
  return args;
}

Status run(const Args& args) {
  ThreadPool pool(args.threads);
  ASSIGN_OR_RETURN(std::unique_ptr<Checkpoint> checkpoint, open_checkpoint(args.model));
  ASSIGN_OR_RETURN(ModelConfig config, read_config(*checkpoint, args.model));
  LoadOptions options{.dtype = args.dtype, .kv_dtype = args.dtype};
  ASSIGN_OR_RETURN(std::unique_ptr<Model> model, load_model(config, std::move(checkpoint), options, pool));
  ASSIGN_OR_RETURN(auto prompts, read_prompts(args.prompts, config.vocab_size));
  TokenRunner runner(*model, pool, {.chunk = args.chunk});
  auto start = std::chrono::steady_clock::now();
  LogitRows rows;
  if (args.together) {
    rows = runner.run(prompts);
  } else {
    for (const auto& prompt : prompts) rows.push_back(std::move(runner.run({prompt}).front()));
  }
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  ASSIGN_OR_RETURN(size_t tokens, write_log_probs(args.out, std::move(rows)));
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
