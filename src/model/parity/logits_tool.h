#pragma once
// The program around a model that model_logits and cuda_logits share: what they are told, prompts in, rows out.
#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "model/parity/logits_file.h"

namespace vllm::model {

struct LogitsJob {
  std::string model, prompts, out;
  DType dtype = DType::kFloat32;
  bool together = false;  // all prompts in one batch instead of one after the other
};

/// Flags that one of the programs has beside --dtype T and --together.
struct LogitsFlags {
  std::map<std::string, int64_t*> counts = {};  // --name N, at least 1
  std::map<std::string, bool*> switches = {};   // --name sets it
};

inline Result<LogitsJob> parse_logits_job(const std::string& program, int argc, char** argv, const LogitsFlags& flags) {
  LogitsJob job;
  std::vector<std::string> names;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool has_value = i + 1 < argc;
    if (word == "--together") {
      job.together = true;
    } else if (const auto own = flags.switches.find(word); own != flags.switches.end()) {
      *own->second = true;
    } else if (const auto count = flags.counts.find(word); count != flags.counts.end() && has_value) {
      *count->second = std::max(1, std::atoi(argv[++i]));
    } else if (word == "--dtype" && has_value) {
      ASSIGN_OR_RETURN(job.dtype, read_dtype(argv[++i]));
    } else {
      names.push_back(word);
    }
  }
  if (names.size() != 3) {
    std::string usage = fmt::format("usage: {} MODEL PROMPTS.json OUT.bin [--dtype T] [--together]", program);
    for (const auto& [name, value] : flags.counts) usage += fmt::format(" [{} N]", name);
    for (const auto& [name, value] : flags.switches) usage += fmt::format(" [{}]", name);
    return invalid_argument("{}", usage);
  }
  job.model = names[0], job.prompts = names[1], job.out = names[2];
  return job;
}

struct LogitsModel {
  std::function<Result<LogitRows>(const Prompts&)> run;  // owns what it needs
  int64_t weight_bytes = 0;
};
using LoadLogitsModel =
    std::function<Result<LogitsModel>(const LogitsJob&, const ModelConfig&, std::unique_ptr<Checkpoint>)>;

inline Status run_logits_job(const LogitsJob& job, const LoadLogitsModel& load) {
  ASSIGN_OR_RETURN(std::unique_ptr<Checkpoint> checkpoint, open_checkpoint(job.model));
  ASSIGN_OR_RETURN(ModelConfig config, read_config(*checkpoint, job.model));
  ASSIGN_OR_RETURN(Prompts prompts, read_prompts(job.prompts, config.vocab_size));
  ASSIGN_OR_RETURN(LogitsModel model, load(job, config, std::move(checkpoint)));
  const auto start = std::chrono::steady_clock::now();
  LogitRows rows;
  if (job.together) {
    ASSIGN_OR_RETURN(rows, model.run(prompts));
  } else {
    for (const auto& prompt : prompts) {
      ASSIGN_OR_RETURN(LogitRows one, model.run({prompt}));
      rows.push_back(std::move(one.front()));
    }
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  ASSIGN_OR_RETURN(size_t tokens, write_log_probs(job.out, std::move(rows)));
  fmt::print(stderr, "{} tokens in {:.2f} s, {} bytes of weights\n", tokens, seconds, model.weight_bytes);
  return {};
}

/// The whole of main().
inline int logits_main(const std::string& program, int argc, char** argv, const LogitsFlags& flags,
                       const LoadLogitsModel& load) {
  Result<LogitsJob> job = parse_logits_job(program, argc, argv, flags);
  const Status status = job ? run_logits_job(*job, load) : Status(job.error());
  if (status) return 0;
  fmt::print(stderr, "{}: {}\n", program, status.error().message);
  return 1;
}

}  // namespace vllm::model
