// Speculative decoding: --speculative-config and its shortcuts, with vLLM's keys.
#include "cli/flag_groups.h"
#include "cli/serve_args.h"

namespace vllm::cli {
namespace {

using V = const FlagValue&;
using A = ServeArgs&;
constexpr Effect B = Effect::kBuilt;
constexpr int64_t kMaxTokens = 64;  // more drafts than this never pay

Error bad(std::string_view flag, std::string what) {
  Error e = invalid_argument("argument --{}: {}", flag, what);
  e.param = std::string(flag);
  return e;
}

Status set_method(A args, std::string_view flag, std::string_view method) {
  if (method != "draft_model" && method != "ngram")
    return bad(flag, fmt::format("method '{}' is not built; choose draft_model or ngram", method));
  args.speculation.method = method;
  return {};
}

Status set_tokens(A args, std::string_view flag, int64_t count) {
  if (count < 1 || count > kMaxTokens)
    return bad(flag, fmt::format("num_speculative_tokens {}: expected 1 to {}", count, kMaxTokens));
  args.speculation.num_tokens = count;
  return {};
}

Result<int64_t> integer(std::string_view key, const json::value& value) {
  if (const int64_t* i = value.if_int64()) return *i;
  return bad("speculative-config", fmt::format("{}: expected an integer", key));
}

Status set_key(A args, std::string_view key, const json::value& value) {
  ServeArgs::Speculation& s = args.speculation;
  if (value.is_null()) return {};
  if (key == "method" || key == "model") {
    if (!value.is_string()) return bad("speculative-config", fmt::format("{}: expected a string", key));
    const std::string text(value.get_string());
    if (key == "method") return set_method(args, "speculative-config", text);
    // vLLM also takes the method's name in the place of the model.
    if (text == "ngram" && s.method.empty()) return set_method(args, "speculative-config", text);
    s.model = text;
    return {};
  }
  if (key == "num_speculative_tokens") {
    ASSIGN_OR_RETURN(int64_t count, integer(key, value));
    return set_tokens(args, "speculative-config", count);
  }
  if (key == "prompt_lookup_min" || key == "prompt_lookup_max") {
    ASSIGN_OR_RETURN(int64_t count, integer(key, value));
    if (count < 1 || count > 1024) return bad("speculative-config", fmt::format("{}: expected 1 to 1024", key));
    (key == "prompt_lookup_min" ? s.prompt_lookup_min : s.prompt_lookup_max) = count;
    return {};
  }
  if (key == "draft_tensor_parallel_size") {
    ASSIGN_OR_RETURN(int64_t size, integer(key, value));
    return size == 1 ? Status() : bad("speculative-config", "draft_tensor_parallel_size: only 1 is built");
  }
  return bad("speculative-config",
             fmt::format("key '{}' is not known; keys: method, model, num_speculative_tokens, prompt_lookup_min, "
                         "prompt_lookup_max, draft_tensor_parallel_size",
                         key));
}

Status set_config(A args, V value) {
  for (const auto& [key, field] : value.object) RETURN_IF_ERROR(set_key(args, key, field));
  return {};
}

constexpr Flag kSpeculation[] = {
    {"speculative-config",
     FlagType::kJson,
     "",
     "Speculative decoding: '{\"model\": \"a smaller model\", \"num_speculative_tokens\": 4}' drafts with that model, "
     "'{\"method\": \"ngram\", \"num_speculative_tokens\": 4}' with what followed the same tokens before. Answers stay "
     "the same, whatever is drafted.",
     B,
     set_config,
     {},
     "sc"},
    {"spec-method", FlagType::kString, "", "Shortcut for the method of --speculative-config: draft_model or ngram.", B,
     [](A a, V v) { return set_method(a, "spec-method", v.text); }},
    {"spec-model", FlagType::kString, "", "Shortcut for the draft model of --speculative-config.", B,
     [](A a, V v) {
       a.speculation.model = v.text;
       return Status();
     }},
    {"spec-tokens", FlagType::kInt, "", "Shortcut for num_speculative_tokens of --speculative-config.", B,
     [](A a, V v) { return set_tokens(a, "spec-tokens", v.integer); }},
};

}  // namespace

const FlagGroup kSpeculationGroup = {"VllmConfig", "Speculative decoding.", kSpeculation};

}  // namespace vllm::cli
