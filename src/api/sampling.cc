#include "api/sampling.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>

#include <fmt/format.h>

#include "api/json_text.h"

namespace vllm::api {
namespace {

constexpr int64_t kMaxSequences = 16384;
constexpr size_t kMaxLogprobTokenIds = 128;
constexpr double kLeastTemperature = 0.01;  // positive ones below are raised to it

int to_int(int64_t value) { return static_cast<int>(std::clamp<int64_t>(value, INT32_MIN, INT32_MAX)); }

std::string list(const std::vector<int64_t>& ids) { return fmt::format("[{}]", fmt::join(ids, ", ")); }

std::vector<int64_t> outside(const std::vector<int64_t>& ids, int64_t vocab_size) {
  std::vector<int64_t> out;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(out), [&](int64_t id) { return id < 0 || id >= vocab_size; });
  return out;
}

std::vector<TokenId> token_ids(const std::vector<int64_t>& ids) {
  std::vector<TokenId> out;
  for (int64_t id : ids) {
    auto token = static_cast<TokenId>(id);
    if (std::find(out.begin(), out.end(), token) == out.end() || ids.size() > 1024) out.push_back(token);
  }
  return out;
}

MaybeError range_error(std::string_view name, std::string_view range, double value, bool with_param) {
  std::string message = fmt::format("{} must be in {}, got {}.", name, range, python_float(value));
  return with_param ? bad_parameter(std::move(message), name, python_float(value)) : bad_request(std::move(message));
}

// The order and the words are those of vLLM's SamplingParams; NaN fails every range.
MaybeError verify(const GenerateRequest& request, double temperature, double top_p, double min_p, double repetition,
                  int64_t top_k, int64_t max_tokens) {
  if (request.n < 1) return bad_request(fmt::format("n must be at least 1, got {}.", request.n));
  if (request.n > kMaxSequences)
    return bad_request(fmt::format("n must be at most {}, got {}.", kMaxSequences, request.n));
  const double presence = request.presence_penalty.value_or(0), frequency = request.frequency_penalty.value_or(0);
  if (!(presence >= -2 && presence <= 2)) return range_error("presence_penalty", "[-2, 2]", presence, false);
  if (!(frequency >= -2 && frequency <= 2)) return range_error("frequency_penalty", "[-2, 2]", frequency, false);
  if (!std::isfinite(repetition))
    return bad_request(fmt::format("repetition_penalty must be a finite number, got {}.", python_float(repetition)));
  if (repetition <= 0)
    return bad_request(fmt::format("repetition_penalty must be greater than zero, got {}.", python_float(repetition)));
  const std::string shown = python_float(temperature);
  if (!std::isfinite(temperature))
    return bad_parameter(fmt::format("temperature must be a finite number, got {}.", shown), "temperature", shown);
  if (temperature < 0)
    return bad_parameter(fmt::format("temperature must be non-negative, got {}.", shown), "temperature", shown);
  if (temperature > 2) return range_error("temperature", "[0, 2]", temperature, true);
  if (!(top_p > 0 && top_p <= 1)) return range_error("top_p", "(0, 1]", top_p, true);
  if (top_k < -1) return bad_request(fmt::format("top_k must be 0 (disable), or at least 1, got {}.", top_k));
  if (!(min_p >= 0 && min_p <= 1)) return range_error("min_p", "[0, 1]", min_p, false);
  if (max_tokens < 1) {
    return bad_parameter(fmt::format("max_tokens must be at least 1, got {}.", max_tokens), "max_tokens",
                         std::to_string(max_tokens));
  }
  if (request.min_tokens < 0)
    return bad_request(fmt::format("min_tokens must be greater than or equal to 0, got {}.", request.min_tokens));
  if (request.min_tokens > max_tokens) {
    return bad_request(
        fmt::format("min_tokens must be less than or equal to max_tokens={}, got {}.", max_tokens, request.min_tokens));
  }
  for (const std::string& stop : request.stop) {
    if (stop.empty()) return bad_request("stop cannot contain an empty string.");
  }
  for (const std::string& word : request.bad_words) {
    if (!word.empty()) continue;
    std::string shown;
    for (const std::string& each : request.bad_words) {
      if (shown.size() > 1000) {
        shown += ", ...";
        break;
      }
      shown += (shown.empty() ? "" : ", ") + python_repr(each);
    }
    return bad_request(fmt::format("bad_words cannot contain an empty string. Got bad_words=[{}]", shown));
  }
  if (temperature == 0 && request.n > 1)
    return bad_request(fmt::format("n must be 1 when using greedy sampling, got {}.", request.n));
  return std::nullopt;
}

MaybeError verify_count(std::string_view what, std::string_view param, std::optional<int> count,
                        const ModelLimits& limits) {
  const int64_t most = limits.max_logprobs == -1 ? limits.vocab_size : limits.max_logprobs;
  if (!count) return std::nullopt;
  const int64_t asked = *count == -1 ? limits.vocab_size : *count;
  if (asked <= most) return std::nullopt;
  return bad_parameter(
      fmt::format("Requested {} logprobs of {}, which is greater than max allowed: {}", what, asked, most), param,
      std::to_string(asked));
}

// What names token ids must stay inside the vocabulary.
MaybeError verify_ids(const GenerateRequest& request, const ModelLimits& limits) {
  const int64_t vocab = limits.vocab_size;
  if (request.logprob_token_ids.size() > kMaxLogprobTokenIds) {
    const size_t size = request.logprob_token_ids.size();
    return bad_parameter(fmt::format("Requested logprob_token_ids of length {}, which is greater than max allowed: {}",
                                     size, kMaxLogprobTokenIds),
                         "logprob_token_ids", std::to_string(size));
  }
  for (const auto& [name, ids] : {std::pair{std::string_view("logprob_token_ids"), &request.logprob_token_ids},
                                  {"stop_token_ids", &request.stop_token_ids}}) {
    if (auto bad = outside(*ids, vocab); !bad.empty()) {
      return bad_parameter(fmt::format("token_id(s) {} in {} contain out-of-vocab token ids. Vocabulary size: {}",
                                       list(bad), name, vocab),
                           name, list(bad));
    }
  }
  if (request.allowed_token_ids) {
    if (request.allowed_token_ids->empty())
      return bad_parameter("allowed_token_ids is not None and empty!", "allowed_token_ids", "[]");
    if (!outside(*request.allowed_token_ids, vocab).empty()) {
      return bad_parameter("allowed_token_ids contains out-of-vocab token id!", "allowed_token_ids",
                           list(*request.allowed_token_ids));
    }
  }
  return std::nullopt;
}

MaybeError read_bias(const GenerateRequest& request, const ModelLimits& limits, SamplingParams& out) {
  std::vector<int64_t> outside_ids;
  std::string not_numbers;
  for (const auto& [key, bias] : request.logit_bias) {
    int64_t id = 0;
    auto [end, ec] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (ec != std::errc() || end != key.data() + key.size()) {
      not_numbers += (not_numbers.empty() ? "" : ", ") + python_repr(key);
    } else if (id < 0 || id >= limits.vocab_size) {
      outside_ids.push_back(id);
    } else if (std::isnan(bias)) {
      return bad_parameter("logit_bias must be a finite number, got nan.", "logit_bias", "nan");
    } else {
      out.logit_bias.emplace_back(static_cast<TokenId>(id), static_cast<float>(std::clamp(bias, -100.0, 100.0)));
    }
  }
  if (!not_numbers.empty()) {
    return bad_parameter(
        fmt::format("logit_bias contains key(s) that cannot be converted to integer token IDs: [{}]", not_numbers),
        "logit_bias", "[" + not_numbers + "]");
  }
  if (!outside_ids.empty()) {
    return bad_parameter(fmt::format("token_id(s) {} in logit_bias contain out-of-vocab token ids. Vocabulary size: {}",
                                     list(outside_ids), limits.vocab_size),
                         "logit_bias", list(outside_ids));
  }
  return std::nullopt;
}

ApiResult<SamplingParams> build(const GenerateRequest& request, std::optional<int64_t> max_tokens,
                                int64_t num_prompt_tokens, std::optional<int64_t> logprobs,
                                std::optional<int64_t> prompt_logprobs, const ModelLimits& limits) {
  const int64_t room = limits.max_model_len - num_prompt_tokens;
  if (room < 0) {
    return bad_request(fmt::format("Input length ({}) exceeds model's maximum context length ({}).", num_prompt_tokens,
                                   limits.max_model_len));
  }
  int64_t budget = std::min(room, max_tokens.value_or(room));
  if (limits.max_new_tokens) budget = std::min(budget, *limits.max_new_tokens);

  SamplingParams out;
  double temperature = request.temperature.value_or(limits.temperature.value_or(1.0));
  const double top_p = request.top_p.value_or(limits.top_p.value_or(1.0));
  const double min_p = request.min_p.value_or(limits.min_p.value_or(0.0));
  const double repetition = request.repetition_penalty.value_or(limits.repetition_penalty.value_or(1.0));
  const int64_t top_k = request.top_k.value_or(limits.top_k.value_or(0));
  if (request.thinking_token_budget && *request.thinking_token_budget < -1) {
    return bad_parameter("`thinking_token_budget` must be a non-negative integer or -1 for unlimited.",
                         "thinking_token_budget", std::to_string(*request.thinking_token_budget));
  }
  if (MaybeError error = verify(request, temperature, top_p, min_p, repetition, top_k, budget))
    return std::move(*error);
  if (MaybeError error = read_bias(request, limits, out)) return std::move(*error);
  if (temperature > 0) temperature = std::max(temperature, kLeastTemperature);
  out.temperature = static_cast<float>(temperature);
  if (temperature > 0) {  // greedy ignores them
    out.top_p = static_cast<float>(top_p), out.min_p = static_cast<float>(min_p);
    out.top_k = top_k < 0 ? 0 : to_int(std::min(top_k, limits.vocab_size));
  }
  out.presence_penalty = static_cast<float>(request.presence_penalty.value_or(0));
  out.frequency_penalty = static_cast<float>(request.frequency_penalty.value_or(0));
  out.repetition_penalty = static_cast<float>(repetition);
  out.seed = has_seed(request) ? static_cast<uint64_t>(*request.seed) : 0;
  out.max_tokens = to_int(budget), out.min_tokens = to_int(request.min_tokens);
  out.ignore_eos = request.ignore_eos;
  out.eos_token_ids = limits.eos_token_ids;
  if (logprobs) out.logprobs = to_int(*logprobs);
  if (prompt_logprobs) out.prompt_logprobs = to_int(*prompt_logprobs);
  if (MaybeError error = verify_count("sample", "logprobs", out.logprobs, limits)) return std::move(*error);
  if (MaybeError error = verify_ids(request, limits)) return std::move(*error);
  if (MaybeError error = verify_count("prompt", "prompt_logprobs", out.prompt_logprobs, limits))
    return std::move(*error);
  out.stop_token_ids = token_ids(request.stop_token_ids);
  out.logprob_token_ids = token_ids(request.logprob_token_ids);
  if (!out.logprob_token_ids.empty()) out.logprobs = 0;  // the explicit list takes the place of the top ones
  if (request.allowed_token_ids) out.allowed_token_ids = token_ids(*request.allowed_token_ids);
  if (request.thinking_token_budget && *request.thinking_token_budget >= 0) {
    return bad_request(
        "thinking_token_budget is set but reasoning_config is not configured. Please set --reasoning-parser and/or "
        "--reasoning-config to use thinking_token_budget.");
  }
  return out;
}

}  // namespace

bool has_seed(const GenerateRequest& request) { return request.seed && *request.seed != -1; }

MaybeError check_lengths(std::optional<int64_t> max_tokens, std::string_view name, std::optional<int64_t> truncate,
                         const ModelLimits& limits) {
  if (max_tokens && *max_tokens > limits.max_model_len) {
    return bad_parameter(
        fmt::format("{}={} cannot be greater than max_model_len={}. Please request fewer output tokens.", name,
                    *max_tokens, limits.max_model_len),
        name, std::to_string(*max_tokens));
  }
  if (truncate && *truncate > limits.max_model_len) {
    return bad_parameter(fmt::format("truncate_prompt_tokens={} cannot be greater than max_model_len = {}. Please "
                                     "request a smaller truncation size.",
                                     *truncate, limits.max_model_len),
                         "truncate_prompt_tokens", std::to_string(*truncate));
  }
  return std::nullopt;
}

ApiResult<SamplingParams> to_sampling(const CompletionRequest& request, int64_t num_prompt_tokens,
                                      const ModelLimits& limits) {
  const bool only_echo = request.echo && request.max_tokens == 0;  // one token is generated and not shown
  auto prompt_logprobs = request.prompt_logprobs;
  if (!prompt_logprobs && request.echo) prompt_logprobs = request.logprobs;
  return build(request, only_echo ? 1 : request.max_tokens, num_prompt_tokens, request.logprobs, prompt_logprobs,
               limits);
}

ApiResult<SamplingParams> to_sampling(const ChatCompletionRequest& request, int64_t num_prompt_tokens,
                                      const ModelLimits& limits) {
  auto prompt_logprobs = request.prompt_logprobs;
  if (!prompt_logprobs && request.echo) prompt_logprobs = request.top_logprobs;
  std::optional<int64_t> logprobs;
  if (request.logprobs) logprobs = request.top_logprobs;
  return build(request, request.max_completion_tokens ? request.max_completion_tokens : request.max_tokens,
               num_prompt_tokens, logprobs, prompt_logprobs, limits);
}

}  // namespace vllm::api
