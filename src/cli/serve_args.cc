#include "cli/serve_args.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <utility>

#include "base/env.h"
#include "cli/config_file.h"
#include "cli/entry_words.h"
#include "cli/parser.h"

namespace vllm::cli {
namespace {

constexpr const char* kCommandLine = "command line";

std::string shown_value(const Assignment& assignment) {
  if (assignment.flag->name == "api-key" || assignment.flag->name == "hf-token") return "***";
  std::string out;
  for (const std::string& value : assignment.values) out += (out.empty() ? "" : " ") + value;
  return out.empty() ? "''" : out;
}

// --max-batch-size is an older name of --max-num-seqs: within one source they must agree; between sources the stronger
// one counts.
Status join_batch_size(ServeArgs& args, std::optional<int64_t> weaker) {
  if (args.max_batch_size) {
    if (args.max_num_seqs && *args.max_num_seqs != *args.max_batch_size) {
      return invalid_argument(
          "--max-batch-size {} and --max-num-seqs {} are the same setting with two values; give one of them",
          *args.max_batch_size, *args.max_num_seqs);
    }
    args.max_num_seqs = args.max_batch_size;
  }
  if (!args.max_num_seqs) args.max_num_seqs = weaker;
  args.max_batch_size.reset();
  return {};
}

// A flag that is known but does nothing yet: silence, a warning or a refusal.
Status apply_known(const Assignment& assignment, std::string_view source, std::vector<std::string>& warnings) {
  const Flag& flag = *assignment.flag;
  const std::string& value = assignment.values.back();
  if (!flag.default_text.empty() && value == flag.default_text) return {};
  std::string shown = flag.type == FlagType::kBool ? fmt::format("--{}{}", value == "false" ? "no-" : "", flag.name)
                                                   : fmt::format("--{} {}", flag.name, value);
  if (flag.effect == Effect::kWarn) {
    warnings.push_back(fmt::format("{} ({}) has no effect in this version", shown, source));
    return {};
  }
  Error e = error(ErrorCode::kUnimplemented, "{} ({}) is not built yet in this version; remove the flag{}", shown,
                  source, flag.default_text.empty() ? "" : fmt::format(" or set it to {}", flag.default_text));
  e.param = std::string(flag.name);
  return e;
}

Status apply(const ParsedArgs& parsed, const std::string& source, CommandLine& out) {
  std::optional<int64_t> weaker_num_seqs = std::exchange(out.args.max_num_seqs, std::nullopt);
  for (const Assignment& assignment : parsed.assignments) {
    const Flag& flag = *assignment.flag;
    ASSIGN_OR_RETURN(FlagValue value, parse_value(flag, assignment.values).with_context("{}", source));
    if (flag.effect == Effect::kBuilt) {
      Status done = flag.set(out.args, value);
      if (!done && done.error().param.empty()) done = std::move(done).with_context("argument --{}", flag.name);
      RETURN_IF_ERROR(std::move(done).with_context("{}", source));
      out.args.settings[std::string(flag.name)] = {source, shown_value(assignment)};
    } else {
      RETURN_IF_ERROR(apply_known(assignment, source, out.warnings));
    }
  }
  out.warnings.insert(out.warnings.end(), parsed.warnings.begin(), parsed.warnings.end());
  return join_batch_size(out.args, weaker_num_seqs).with_context("{}", source);
}

Status apply_file(const std::string& path, CommandLine& out) {
  ASSIGN_OR_RETURN(std::vector<std::string> args, read_config_file(path));
  ASSIGN_OR_RETURN(ParsedArgs parsed, parse_args(args, out.flags).with_context("{}", path));
  for (const Assignment& a : parsed.assignments) {
    if (a.flag->name == "config")
      return invalid_argument("{}: a configuration file cannot name another one with `config:`", path);
  }
  return apply(parsed, path, out);
}

void apply_environment(CommandLine& out) {
  if (auto key = env("VLLM_API_KEY")) {
    out.args.api_keys = {*key};
    out.args.settings["api-key"] = {"environment (VLLM_API_KEY)", "***"};
  }
  if (auto level = env("VLLM_LOGGING_LEVEL")) {
    std::transform(level->begin(), level->end(), level->begin(), [](unsigned char c) { return std::tolower(c); });
    if (*level == "critical") level = "error";
    if (*level == "debug" || *level == "info" || *level == "warning" || *level == "error") {
      out.args.log_level = *level;
      out.args.settings["log-level"] = {"environment (VLLM_LOGGING_LEVEL)", *level};
    } else {
      out.warnings.push_back("VLLM_LOGGING_LEVEL is none of DEBUG, INFO, WARNING, ERROR: ignored");
    }
  }
}

Status take_positionals(ParsedArgs parsed, CommandLine& out) {
  bool named = parsed.positionals.size() > 1 || out.args.settings.count("model");
  if (named && std::erase(parsed.positionals, ""))
    out.warnings.push_back("an empty argument is ignored (a variable that is not set?)");
  if (parsed.positionals.empty()) return {};
  if (parsed.positionals.size() > 1) {
    return invalid_argument(
        "unrecognized argument '{}': one model is served, '{}'; values that start with a dash need --flag=value",
        parsed.positionals[1], parsed.positionals[0]);
  }
  if (parsed.positionals[0].empty())
    return invalid_argument("the model is an empty string; expected a hub id, a folder or a .gguf file");
  if (auto it = out.args.settings.find("model");
      it != out.args.settings.end() && it->second.source == kCommandLine && out.args.model != parsed.positionals[0]) {
    out.warnings.push_back(
        fmt::format("the model is named twice: serving '{}', not --model {}", parsed.positionals[0], out.args.model));
  }
  out.args.model = parsed.positionals[0];
  out.args.settings["model"] = {kCommandLine, out.args.model};
  return {};
}

Status check_speculation(ServeArgs::Speculation& s) {
  const bool asked =
      !s.method.empty() || !s.model.empty() || s.num_tokens > 0 || s.prompt_lookup_min || s.prompt_lookup_max;
  if (!asked) return {};
  if (s.method.empty()) s.method = "draft_model";
  if (s.method == "draft_model" && s.model.empty())
    return invalid_argument("--speculative-config needs a \"model\" that drafts, or \"method\": \"ngram\"");
  if (s.num_tokens == 0) return invalid_argument("--speculative-config needs \"num_speculative_tokens\", such as 4");
  if (s.prompt_lookup_min.value_or(1) > s.prompt_lookup_max.value_or(1024))
    return invalid_argument("--speculative-config: prompt_lookup_min {} is larger than prompt_lookup_max {}",
                            *s.prompt_lookup_min, *s.prompt_lookup_max);
  return {};
}

// What no single flag can see.
Status check(CommandLine& out) {
  ServeArgs& args = out.args;
  RETURN_IF_ERROR(check_speculation(args.speculation));
  bool keyless =
      std::all_of(args.api_keys.begin(), args.api_keys.end(), [](const std::string& key) { return key.empty(); });
  if (!args.api_keys.empty() && keyless)
    out.warnings.push_back("--api-key is empty (a variable that is not set?): the server asks for no key");
  if (args.enable_auto_tool_choice && args.tool_call_parser.empty())
    return invalid_argument("--enable-auto-tool-choice requires --tool-call-parser");
  if (args.max_num_seqs.value_or(128) > 65536)
    return invalid_argument("argument --max-num-seqs: {} is too large: expected at most 65536", *args.max_num_seqs);
  if (args.max_num_batched_tokens.value_or(2048) > (1 << 20)) {
    return invalid_argument("argument --max-num-batched-tokens: {} is too large: expected at most 1048576",
                            *args.max_num_batched_tokens);
  }
  if (!args.enable_chunked_prefill && args.max_num_batched_tokens &&
      args.max_model_len > *args.max_num_batched_tokens) {
    return invalid_argument(
        "--no-enable-chunked-prefill needs --max-num-batched-tokens of at least --max-model-len ({} < {})",
        *args.max_num_batched_tokens, args.max_model_len);
  }
  return {};
}

}  // namespace

Status read_command_line(CommandLine& out, const std::vector<std::string>& argv, const std::string& system_config) {
  ASSIGN_OR_RETURN(ParsedArgs parsed, parse_args(argv, out.flags));
  out.help_topic = parsed.help_topic;
  if (!out.help_topic.empty()) return {};

  std::error_code ignored;
  if (!system_config.empty() && std::filesystem::exists(system_config, ignored))
    RETURN_IF_ERROR(apply_file(system_config, out));
  apply_environment(out);
  std::string config;
  for (const Assignment& a : parsed.assignments) {
    if (a.flag->name == "config") config = a.values.back();
  }
  if (!config.empty()) RETURN_IF_ERROR(apply_file(config, out).with_context("--config"));
  RETURN_IF_ERROR(apply(parsed, kCommandLine, out));
  RETURN_IF_ERROR(take_positionals(parsed, out));
  return check(out);
}

Result<ServeCommandLine> read_serve_command_line(const std::vector<std::string>& argv,
                                                 const std::string& system_config) {
  ServeCommandLine out;
  CommandLine line{serve_flags(), out.args, {}, {}};
  ASSIGN_OR_RETURN(std::vector<std::string> own, without_entry_words(argv, line.warnings));
  RETURN_IF_ERROR(read_command_line(line, own, system_config));
  out.help_topic = std::move(line.help_topic);
  out.warnings = std::move(line.warnings);
  return out;
}

std::vector<std::string> describe_settings(const ServeArgs& args) {
  std::map<std::string, std::string> by_source;
  for (const auto& [flag, setting] : args.settings) {
    std::string& line = by_source[setting.source];
    if (line.empty()) line = "Set by " + setting.source + ":";
    line += " --" + flag + " " + setting.value;
  }
  std::vector<std::string> out;
  for (auto& [source, line] : by_source) out.push_back(std::move(line));
  return out;
}

}  // namespace vllm::cli
