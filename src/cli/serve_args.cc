#include "cli/serve_args.h"

#include <filesystem>

#include "base/env.h"
#include "cli/config_file.h"
#include "cli/parser.h"

namespace vllm::cli {
namespace {

constexpr const char* kSystemConfig = "/etc/vllm/config.yaml";

// A flag that is known but does nothing yet: silence, a warning or a refusal.
Status apply_known(const Assignment& assignment, std::string_view source, std::vector<std::string>& warnings) {
  const Flag& flag = *assignment.flag;
  const std::string& value = assignment.values.back();
  if (flag.effect == Effect::kSilent || (!flag.default_text.empty() && value == flag.default_text)) return {};
  std::string shown = flag.type == FlagType::kBool ? fmt::format("--{}{}", value == "false" ? "no-" : "", flag.name) : fmt::format("--{} {}", flag.name, value);
  if (flag.effect == Effect::kWarn) {
    warnings.push_back(fmt::format("{} ({}) has no effect in this version", shown, source));
    return {};
  }
  Error e = error(ErrorCode::kUnimplemented, "{} ({}) is not built yet in this version; remove the flag{}", shown, source,
                  flag.default_text.empty() ? "" : fmt::format(" or set it to {}", flag.default_text));
  e.param = std::string(flag.name);
  return e;
}

Status apply(const ParsedArgs& parsed, const std::string& source, ServeCommandLine& out) {
  for (const Assignment& assignment : parsed.assignments) {
    const Flag& flag = *assignment.flag;
    ASSIGN_OR_RETURN(FlagValue value, parse_value(flag, assignment.values).with_context("{}", source));
    if (flag.effect == Effect::kBuilt) {
      RETURN_IF_ERROR(flag.set(out.args, value).with_context("{}", source));
      out.args.origin[std::string(flag.name)] = source;
    } else {
      RETURN_IF_ERROR(apply_known(assignment, source, out.warnings));
    }
  }
  out.warnings.insert(out.warnings.end(), parsed.warnings.begin(), parsed.warnings.end());
  return {};
}

Status apply_file(const std::string& path, ServeCommandLine& out) {
  ASSIGN_OR_RETURN(std::vector<std::string> args, read_config_file(path));
  ASSIGN_OR_RETURN(ParsedArgs parsed, parse_args(args).with_context("{}", path));
  return apply(parsed, path, out);
}

void apply_environment(ServeCommandLine& out) {
  if (auto key = env("VLLM_API_KEY")) {
    out.args.api_keys = {*key};
    out.args.origin["api-key"] = "environment (VLLM_API_KEY)";
  }
}

Status take_positionals(const ParsedArgs& parsed, ServeCommandLine& out) {
  if (parsed.positionals.empty()) return {};
  if (parsed.positionals.size() > 1) {
    return invalid_argument("unrecognized argument '{}': one model is served, '{}'; values that start with a dash need --flag=value", parsed.positionals[1], parsed.positionals[0]);
  }
  if (parsed.positionals[0].empty()) return invalid_argument("the model is an empty string; expected a hub id, a folder or a .gguf file");
  out.args.model = parsed.positionals[0];
  out.args.origin["model"] = "command line";
  return {};
}

// What no single flag can see.
Status check(ServeArgs& args) {
  if (args.max_batch_size) {
    if (args.max_num_seqs && *args.max_num_seqs != *args.max_batch_size) {
      return invalid_argument("--max-batch-size {} and --max-num-seqs {} are the same setting with two values; give one of them", *args.max_batch_size, *args.max_num_seqs);
    }
    args.max_num_seqs = args.max_batch_size;
  }
  if (args.enable_auto_tool_choice && args.tool_call_parser.empty()) return invalid_argument("--enable-auto-tool-choice requires --tool-call-parser");
  if (args.max_num_seqs.value_or(128) > 65536) return invalid_argument("argument --max-num-seqs: {} is too large: expected at most 65536", *args.max_num_seqs);
  if (args.max_num_batched_tokens.value_or(2048) > (1 << 20)) {
    return invalid_argument("argument --max-num-batched-tokens: {} is too large: expected at most 1048576", *args.max_num_batched_tokens);
  }
  if (!args.enable_chunked_prefill && args.max_num_batched_tokens && args.max_model_len > *args.max_num_batched_tokens) {
    return invalid_argument("--no-enable-chunked-prefill needs --max-num-batched-tokens of at least --max-model-len ({} < {})", *args.max_num_batched_tokens, args.max_model_len);
  }
  return {};
}

}  // namespace

Result<ServeCommandLine> read_serve_command_line(const std::vector<std::string>& argv) {
  ServeCommandLine out;
  ASSIGN_OR_RETURN(ParsedArgs parsed, parse_args(argv));
  out.help_topic = parsed.help_topic;
  if (!out.help_topic.empty()) return out;

  std::error_code ignored;
  if (std::filesystem::exists(kSystemConfig, ignored)) RETURN_IF_ERROR(apply_file(kSystemConfig, out));
  apply_environment(out);
  std::string config;
  for (const Assignment& a : parsed.assignments) {
    if (a.flag->name == "config") config = a.values.back();
  }
  if (!config.empty()) RETURN_IF_ERROR(apply_file(config, out).with_context("--config"));
  RETURN_IF_ERROR(apply(parsed, "command line", out));
  RETURN_IF_ERROR(take_positionals(parsed, out));
  RETURN_IF_ERROR(check(out.args));
  return out;
}

}  // namespace vllm::cli
