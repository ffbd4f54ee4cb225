// cuda_logits MODEL PROMPTS.json OUT.bin [--dtype float32|bfloat16|float16] [--chunk N] [--prefill N] [--graphs]
//             [--together] [--no-cublaslt]
//
// model_logits (parity/model_logits.cc) on the first GPU: the same prompts, the same rows of log probabilities.
// --prefill cuts a prompt after N tokens and feeds the rest one token at a time, with --graphs from captured graphs.
#include <chrono>

#include "model/cuda/testing/cuda_token_runner.h"
#include "model/parity/logits_file.h"
#include "tensor/cuda/device.h"

namespace vllm::model {
namespace {

struct Args {
  std::string model, prompts, out;
  DType dtype = DType::kFloat32;
  testing::CudaRunOptions run{.chunk = 512};
  bool together = false;
};

Result<Args> parse_args(int argc, char** argv) {
  Args args;
  std::vector<std::string> names;
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    const bool has_value = i + 1 < argc;
    if (a == "--together")
      args.together = true;
    else if (a == "--graphs")
      args.run.graphs = true;
    else if (a == "--no-cublaslt")
      args.run.use_cublaslt = false;
    else if (a == "--chunk" && has_value)
      args.run.chunk = std::max(1, std::atoi(argv[++i]));
    else if (a == "--prefill" && has_value)
      args.run.prefill = std::max(0, std::atoi(argv[++i]));
    else if (a == "--dtype" && has_value) {
      ASSIGN_OR_RETURN(args.dtype, read_dtype(argv[++i]));
    } else
      names.push_back(a);
  }
  if (names.size() != 3)
    return invalid_argument(
        "usage: cuda_logits MODEL PROMPTS.json OUT.bin [--dtype T] [--chunk N] [--prefill N] [--graphs] [--together] "
        "[--no-cublaslt]");
  args.model = names[0], args.prompts = names[1], args.out = names[2];
  return args;
}

Status run(const Args& args) {
  ASSIGN_OR_RETURN(CudaDevice device, open_cuda_device(0));
  ASSIGN_OR_RETURN(std::unique_ptr<Checkpoint> checkpoint, open_checkpoint(args.model));
  ASSIGN_OR_RETURN(ModelConfig config, read_config(*checkpoint, args.model));
  ASSIGN_OR_RETURN(
      std::unique_ptr<CudaModel> model,
      load_cuda_model(config, std::move(checkpoint), LoadOptions{.dtype = args.dtype, .kv_dtype = args.dtype}));
  ASSIGN_OR_RETURN(Prompts prompts, read_prompts(args.prompts, config.vocab_size));
  const auto start = std::chrono::steady_clock::now();
  LogitRows rows;
  if (args.together) {
    ASSIGN_OR_RETURN(rows, testing::CudaTokenRunner(*model, args.run).run(prompts));
  } else {
    for (const auto& prompt : prompts) {
      ASSIGN_OR_RETURN(LogitRows one, testing::CudaTokenRunner(*model, args.run).run({prompt}));
      rows.push_back(std::move(one.front()));
    }
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  ASSIGN_OR_RETURN(size_t tokens, write_log_probs(args.out, std::move(rows)));
  fmt::print(stderr, "{}: {} tokens in {:.2f} s, {} bytes of weights\n", device.name, tokens, seconds,
             model->weight_bytes());
  return {};
}

}  // namespace
}  // namespace vllm::model

int main(int argc, char** argv) {
  auto args = vllm::model::parse_args(argc, argv);
  vllm::Status status = args ? vllm::model::run(*args) : vllm::Status(args.error());
  if (status) return 0;
  fmt::print(stderr, "cuda_logits: {}\n", status.error().message);
  return 1;
}
