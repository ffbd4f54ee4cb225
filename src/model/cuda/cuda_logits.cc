// cuda_logits MODEL PROMPTS.json OUT.bin [--dtype float32|bfloat16|float16] [--chunk N] [--prefill N] [--graphs]
//             [--together] [--no-cublaslt]
//
// model_logits (parity/model_logits.cc) on the first GPU: the same prompts, the same rows of log probabilities.
// --prefill cuts a prompt after N tokens and feeds the rest one token at a time, with --graphs from captured graphs.
#include "model/cuda/testing/cuda_token_runner.h"
#include "model/parity/logits_tool.h"
#include "tensor/cuda/device.h"

int main(int argc, char** argv) {
  using namespace vllm;
  using namespace vllm::model;
  testing::CudaRunOptions options{.chunk = 512};
  bool no_cublaslt = false;
  return logits_main(
      "cuda_logits", argc, argv,
      {.counts = {{"--chunk", &options.chunk}, {"--prefill", &options.prefill}},
       .switches = {{"--graphs", &options.graphs}, {"--no-cublaslt", &no_cublaslt}}},
      [&](const LogitsJob& job, const ModelConfig& config,
          std::unique_ptr<Checkpoint> checkpoint) -> Result<LogitsModel> {
        ASSIGN_OR_RETURN(CudaDevice device, open_cuda_device(0));
        fmt::print(stderr, "{}\n", device.name);
        options.use_cublaslt = !no_cublaslt;
        ASSIGN_OR_RETURN(
            std::unique_ptr<CudaModel> loaded,
            load_cuda_model(config, std::move(checkpoint), LoadOptions{.dtype = job.dtype, .kv_dtype = job.dtype}));
        std::shared_ptr<CudaModel> model = std::move(loaded);
        auto run = [=](const Prompts& prompts) { return testing::CudaTokenRunner(*model, options).run(prompts); };
        return LogitsModel{run, static_cast<int64_t>(model->weight_bytes())};
      });
}
