// model_logits MODEL PROMPTS.json OUT.bin [--dtype float32|bfloat16|float16] [--threads N] [--chunk N] [--together]
//
// PROMPTS.json is a list of lists of token ids. For every position of every prompt OUT.bin gets vocab_size float32 log
// probabilities of the next token, row after row (forced tokens). --chunk cuts the prefill into steps of that many
// tokens; --together runs all prompts in one batch instead of one after the other. Neither may change a bit.
#include "model/model.h"
#include "model/parity/logits_tool.h"
#include "model/parity/token_runner.h"

int main(int argc, char** argv) {
  using namespace vllm;
  using namespace vllm::model;
  int64_t threads = 2, chunk = 512;
  return logits_main("model_logits", argc, argv, {.counts = {{"--threads", &threads}, {"--chunk", &chunk}}},
                     [&](const LogitsJob& job, const ModelConfig& config,
                         std::unique_ptr<Checkpoint> checkpoint) -> Result<LogitsModel> {
                       auto pool = std::make_shared<ThreadPool>(static_cast<int>(threads));
                       const LoadOptions options{.dtype = job.dtype, .kv_dtype = job.dtype};
                       ASSIGN_OR_RETURN(std::unique_ptr<Model> loaded,
                                        load_model(config, std::move(checkpoint), options, *pool));
                       std::shared_ptr<Model> model = std::move(loaded);
                       auto run = [=](const Prompts& prompts) -> Result<LogitRows> {
                         return TokenRunner(*model, *pool, {.chunk = chunk}).run(prompts);
                       };
                       return LogitsModel{run, static_cast<int64_t>(model->weight_bytes())};
                     });
}
