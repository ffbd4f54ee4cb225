// vllm bench roofline
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>

#include "bench/bench_command.h"
#include "bench/engine_runner.h"
#include "bench/flags.h"
#include "bench/model_steps.h"
#include "cli/engine_parts.h"
#include "hub/checkpoint.h"
#include "hub/hub.h"
#include "kernels/linear/linear.h"
#include "kernels/peak/peak.h"
#include "model/config.h"
#include "tensor/arena.h"
#include "tensor/cpu_info.h"

namespace vllm::bench {
namespace {

struct Ceilings {
  PeakRates peak;
  double read = 0;  // bytes/s over the model's footprint
};

Result<std::unique_ptr<model::Model>> load(const RooflineArgs& args) {
  ASSIGN_OR_RETURN(std::filesystem::path path, find_model(args.model, hub_options_from_env()));
  ASSIGN_OR_RETURN(std::shared_ptr<const Checkpoint> checkpoint, open_checkpoint(path));
  model::ModelConfig config;
  if (checkpoint->gguf()) {
    ASSIGN_OR_RETURN(config, model::config_from_gguf(*checkpoint->gguf()));
  } else {
    ASSIGN_OR_RETURN(config, model::load_config(path));
  }
  return cli::load_cpu_model(args, {std::move(config), std::move(checkpoint)}, [](const std::string&) {});
}

// The best of the runs that fit into a third of a second, at least two; `prepare` runs before each and is not timed.
template <typename Fn, typename Prepare>
double best_seconds(const ThreadPool& pool, Fn&& fn, Prepare&& prepare) {
  double best = 1e30, spent = 0;
  for (int i = 0; i < 2 || (spent < 0.35 && i < 20); ++i) {
    prepare();
    const double start = compute_seconds(pool);
    fn();
    const double seconds = compute_seconds(pool) - start;
    best = std::min(best, seconds), spent += seconds;
  }
  return best;
}

// All calls of one name, one after the other: their weights come from memory as they do in a step.
struct Group {
  std::vector<const model::LinearCall*> calls;
  size_t bytes = 0;
  double ops_per_token = 0;  // one term

  void add(const model::LinearCall& call) {
    calls.push_back(&call);
    for (const LinearWeight& w : call.weights) {
      bytes += packed_linear_bytes(w);
      ops_per_token += 2.0 * static_cast<double>(w.n) * static_cast<double>(w.k);
    }
  }
  DType dtype() const { return calls.front()->weights.front().dtype; }
};

class Roofline {
 public:
  Roofline(const RooflineArgs& args, model::Model& model, ThreadPool& pool)
      : args_(args),
        pool_(pool),
        steps_(model, args.batch_size, std::max(args.context_len + 1, args.prefill_len), pool),
        calls_(model.linear_calls()) {
    for (const model::LinearCall& call : calls_) {
      if (groups_.count(call.name) == 0) order_.push_back(call.name);
      groups_[call.name].add(call);
      for (const LinearWeight& w : call.weights) max_k_ = std::max(max_k_, w.k), max_n_ = std::max(max_n_, w.n);
    }
    for (auto& [name, group] : groups_) bytes_ += group.bytes;
    const std::span<std::byte> memory = arena_.allocate(std::clamp<size_t>(bytes_, 64 << 20, 1 << 30));
    std::memset(memory.data(), 1, memory.size());
    memory_ = memory;
  }

  json::object run() {
    ceilings_ = {measure_peaks(pool_), measure_read_bandwidth(memory_, pool_)};
    std::printf("\n%d thread%s: read %.1f GB/s over %.0f MB; peak int8 %.2f TOPS, bfloat16 %.2f, float32 %.2f TFLOPS\n",
                pool_.num_threads(), pool_.num_threads() == 1 ? "" : "s", ceilings_.read / 1e9,
                static_cast<double>(memory_.size()) / 1e6, ceilings_.peak.int8_ops / 1e12,
                ceilings_.peak.bfloat16_flops / 1e12, ceilings_.peak.float_flops / 1e12);
    std::printf("  %-9s %-8s %8s |  1 token  %6s %5s | %4lld tokens %6s %5s | %5lld tokens %6s %5s\n", "kernel", "type",
                "MB", "GB/s", "read", static_cast<long long>(args_.batch_size), "TOPS", "peak",
                static_cast<long long>(args_.prefill_len), "TOPS", "peak");
    json::array rows;
    double one = 0, many = 0, prompt = 0;
    for (std::string_view name : order_) rows.push_back(row(name, groups_[name], one, many, prompt));
    const int64_t c = args_.context_len, b = args_.batch_size, p = args_.prefill_len;
    auto step_seconds = [&](auto... sizes) { return best_seconds(pool_, [&] { steps_.run(sizes...); }, [] {}); };
    const double step_one = step_seconds(1, 1, c + 1), step_many = step_seconds(b, 1, c + 1),
                 step_prompt = step_seconds(1, p, p);
    std::printf("  %-27s | %6.2f ms              | %8.2f ms              | %9.2f ms\n", "all else (attention, norms)",
                1e3 * (step_one - one), 1e3 * (step_many - many), 1e3 * (step_prompt - prompt));
    const double limit = ceilings_.read / static_cast<double>(bytes_);
    std::printf(
        "  %-27s | %6.2f ms = %.1f tokens/s, limit of reading %.1f | %.2f ms = %.1f | %.2f ms = %.1f tokens/s\n",
        "step", 1e3 * step_one, 1 / step_one, limit, 1e3 * step_many, static_cast<double>(b) / step_many,
        1e3 * step_prompt, static_cast<double>(p) / step_prompt);
    return {{"threads", pool_.num_threads()},
            {"read_bytes_per_second", ceilings_.read},
            {"int8_ops", ceilings_.peak.int8_ops},
            {"bfloat16_flops", ceilings_.peak.bfloat16_flops},
            {"float_flops", ceilings_.peak.float_flops},
            {"weight_bytes", bytes_},
            {"kernels", std::move(rows)},
            {"decode_tokens_per_second", 1 / step_one},
            {"decode_limit", limit},
            {"batch_tokens_per_second", static_cast<double>(b) / step_many},
            {"prefill_tokens_per_second", static_cast<double>(p) / step_prompt}};
  }

 private:
  double seconds(const Group& group, int64_t tokens) {
    x_.resize(static_cast<size_t>(tokens * max_k_), 0.25f);
    out_.resize(static_cast<size_t>(3 * tokens * max_n_));
    workspace_.resize(linear_workspace_bytes(tokens, max_k_));
    auto run = [&] {
      for (const model::LinearCall* call : group.calls) {
        std::vector<LinearParams> params;
        for (const LinearWeight& w : call->weights) {
          float* out = out_.data() + static_cast<int64_t>(params.size()) * tokens * max_n_;
          params.push_back({.out = {out, {tokens, w.n}},
                            .x = {x_.data(), {tokens, w.k}},
                            .weight = w,
                            .bias = {},
                            .two_term_x = call->two_term_x});
        }
        linear_cpu(params, workspace_, pool_);
      }
    };
    // In a step the weights of the other calls have pushed these out of the caches.
    return best_seconds(pool_, run, [&] { measure_read_bandwidth(memory_, pool_, tokens == 1); });
  }

  double peak_of(DType dtype) const {
    const PeakRates& peak = ceilings_.peak;
    if (is_quantized(dtype) && peak.int8_ops > 0) return peak.int8_ops;
    return dtype == DType::kBFloat16 && peak.bfloat16_flops > 0 ? peak.bfloat16_flops : peak.float_flops;
  }

  json::object row(std::string_view name, const Group& group, double& one, double& many, double& prompt) {
    const bool head = name == "lm_head";  // of a prompt it sees the last token alone
    const double t1 = seconds(group, 1), tb = seconds(group, args_.batch_size),
                 tp = head ? t1 : seconds(group, args_.prefill_len), peak = peak_of(group.dtype());
    const double terms = is_quantized(group.dtype()) && group.calls.front()->two_term_x ? 2 : 1;
    const double read = static_cast<double>(group.bytes) / t1,
                 batch_ops = terms * group.ops_per_token * static_cast<double>(args_.batch_size) / tb,
                 prompt_ops = terms * group.ops_per_token * static_cast<double>(head ? 1 : args_.prefill_len) / tp;
    one += t1, many += tb, prompt += tp;
    std::string type(info(group.dtype()).name);
    if (terms == 2) type += " x2";
    std::printf("  %-9s %-8s %8.1f | %6.2f ms %6.1f %4.0f%% | %8.2f ms %6.2f %4.0f%% | %9.2f ms %6.2f %4.0f%%\n",
                std::string(name).c_str(), type.c_str(), static_cast<double>(group.bytes) / 1e6, 1e3 * t1, read / 1e9,
                100 * read / ceilings_.read, 1e3 * tb, batch_ops / 1e12, 100 * batch_ops / peak, 1e3 * tp,
                prompt_ops / 1e12, 100 * prompt_ops / peak);
    return {{"kernel", name},
            {"type", type},
            {"bytes", group.bytes},
            {"decode_seconds", t1},
            {"decode_share_of_read", read / ceilings_.read},
            {"batch_seconds", tb},
            {"batch_share_of_peak", batch_ops / peak},
            {"prefill_seconds", tp},
            {"prefill_share_of_peak", prompt_ops / peak}};
  }

  const RooflineArgs& args_;
  ThreadPool& pool_;
  ModelSteps steps_;
  const std::vector<model::LinearCall> calls_;
  std::map<std::string_view, Group> groups_;
  std::vector<std::string_view> order_;
  size_t bytes_ = 0;
  int64_t max_k_ = 0, max_n_ = 0;
  Arena arena_;
  std::span<const std::byte> memory_;
  Ceilings ceilings_;
  std::vector<float> x_, out_;
  std::vector<std::byte> workspace_;
};

Status run(const RooflineArgs& args) {
  ASSIGN_OR_RETURN(std::unique_ptr<model::Model> model, load(args));
  std::printf("%s\n", cpu_description().c_str());
  const int most = args.threads > 0 ? static_cast<int>(args.threads) : usable_cpus();
  json::array results;
  for (int threads = 1; threads <= most; threads = threads < most ? std::min(2 * threads, most) : most + 1) {
    ThreadPool pool(threads, !has_cpu_quota());
    results.push_back(Roofline(args, *model, pool).run());
  }
  return write_json(args.output_json,
                    {{"model_id", args.model}, {"cpu", cpu_description()}, {"results", std::move(results)}});
}

}  // namespace

int roofline_bench(const std::vector<std::string>& argv) {
  RooflineArgs args;
  args.log_level = "warning";
  if (auto status = read_flags(roofline_page(), argv, args)) return *status;
  if (args.context_len > (1 << 20) || args.prefill_len > (1 << 20) || args.batch_size > 256)
    return failed(invalid_argument("the steps are too large: at most 1M tokens and 256 sequences"));
  set_up_bench_log(args);
  Status status = run(args);
  return status ? 0 : failed(status.error());
}

}  // namespace vllm::bench
