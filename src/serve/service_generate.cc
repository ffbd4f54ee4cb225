// From requests of the two generating endpoints to jobs: checks, prompts, options.
#include <algorithm>

#include "serve/service_impl.h"

namespace vllm::serve {

api::MaybeError Service::Impl::check_model(const std::optional<std::string>& model) const {
  if (!model || model->empty()) return std::nullopt;
  for (const std::string& name : config.served_model_names) {
    if (name == *model) return std::nullopt;
  }
  return api::unknown_model(*model, config.served_model_names);
}

api::MaybeError Service::Impl::check_ready() const {
  const engine::Engine* current = engine.load();
  if (!current) return api::unavailable("The engine is not ready.");
  if (!current->healthy())
    return api::internal_error("EngineCore encountered an issue. See the server's log for the root cause.");
  return std::nullopt;
}

// tools without a choice go into the template and are not parsed; any other choice needs what vLLM needs.
api::MaybeError Service::Impl::check_tool_choice(const api::ChatCompletionRequest& request) const {
  if (request.tool_choice == "none") return std::nullopt;
  const bool has_parser = !config.tool_call_parser.empty();
  if (request.tool_choice == "auto") {
    if (has_parser && config.enable_auto_tool_choice) return std::nullopt;
    return api::bad_request("\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set");
  }
  const std::string shown =
      request.tool_choice == "named" ? fmt::format("function \"{}\"", request.tool_choice_name) : "\"required\"";
  if (!has_parser) return api::bad_request(fmt::format("tool_choice={} requires --tool-call-parser to be set", shown));
  return api::not_built("tool_choice", "tool_choice=" + shown);
}

PromptLimits Service::Impl::prompt_limits(const api::GenerateRequest& request, bool add_special_tokens) const {
  return {.max_model_len = config.max_model_len,
          .truncate_prompt_tokens = request.truncate_prompt_tokens,
          .truncate_left = request.truncation_side.value_or("left") == "left",
          .add_special_tokens = add_special_tokens,
          .may_generate = true};
}

GenerationOptions Service::Impl::common_options(const api::GenerateRequest& request) const {
  GenerationOptions out;
  out.stream = request.stream;
  out.include_usage = request.stream && (request.stream_include_usage || config.enable_force_include_usage);
  out.continuous_usage = request.stream && request.stream_include_usage && request.stream_continuous_usage;
  out.return_token_ids = request.return_token_ids;
  out.style.tokens_as_ids = request.return_tokens_as_token_ids.value_or(config.return_tokens_as_token_ids);
  out.style.list_all = !request.logprob_token_ids.empty();
  out.stream_interval = static_cast<int>(std::min<int64_t>(request.stream_interval, std::numeric_limits<int>::max()));
  out.n = static_cast<int>(request.n);
  out.details = config.enable_prompt_tokens_details;
  out.block_size = block_size;
  out.max_pending_bytes = config.max_pending_bytes;
  return out;
}

api::MaybeError Service::Impl::completions(Call call) {
  auto request = api::parse_completion(std::move(call.body));
  if (!request) return request.error();
  if (auto error = check_model(request->model)) return error;
  if (auto error = check_ready()) return error;
  if (auto error = api::check_lengths(request->max_tokens, "max_tokens", request->truncate_prompt_tokens, limits))
    return error;

  Job job{.request = *request, .call = std::move(call), .options = common_options(*request)};
  const PromptLimits prompt_limit = prompt_limits(*request, request->add_special_tokens);
  for (auto& given : request->prompts) {
    auto* text = std::get_if<std::string>(&given);
    auto prompt = text ? prompts.from_text(std::move(*text), prompt_limit)
                       : prompts.from_ids(std::get<std::vector<int64_t>>(given), prompt_limit,
                                          request->echo && !request->return_token_ids);
    if (!prompt) return prompt.error();
    auto sampling = api::to_sampling(*request, static_cast<int64_t>(prompt->token_ids.size()), limits);
    if (!sampling) return sampling.error();
    if (prompt->token_ids.empty()) return api::bad_request("The decoder prompt cannot be empty");
    job.prompts.push_back(std::move(*prompt));
    job.sampling.push_back(std::move(*sampling));
  }
  job.options.echo = request->echo;
  job.options.only_echo = request->echo && request->max_tokens == 0;
  job.options.logprobs = request->logprobs.has_value();
  job.options.prompt_logprobs = job.sampling[0].prompt_logprobs.has_value();
  job.options.style.num_top = static_cast<int>(request->logprobs.value_or(0));
  return submit(std::move(job));
}

api::MaybeError Service::Impl::chat(Call call) {
  auto request = api::parse_chat_completion(std::move(call.body));
  if (!request) return request.error();
  if (auto error = check_model(request->model)) return error;
  if (auto error = check_ready()) return error;
  if (auto error = check_tool_choice(*request)) return error;
  const bool newer = request->max_completion_tokens.has_value();
  if (auto error =
          api::check_lengths(newer ? request->max_completion_tokens : request->max_tokens,
                             newer ? "max_completion_tokens" : "max_tokens", request->truncate_prompt_tokens, limits)) {
    return error;
  }
  auto rendered = prompts.render(*request, &*request);
  if (!rendered) return rendered.error();
  auto prompt = prompts.from_text(std::move(rendered->text), prompt_limits(*request, request->add_special_tokens));
  if (!prompt) return prompt.error();
  auto sampling = api::to_sampling(*request, static_cast<int64_t>(prompt->token_ids.size()), limits);
  if (!sampling) return sampling.error();
  if (prompt->token_ids.empty()) return api::bad_request("The decoder prompt cannot be empty");

  Job job{.request = *request, .call = std::move(call), .options = common_options(*request)};
  job.options.chat = true;
  job.options.role = request->add_generation_prompt ? config.response_role : rendered->last_role;
  job.options.echo = request->echo;
  if (request->echo && rendered->last_role == job.options.role) job.options.echo_content = rendered->last_content;
  job.options.return_prompt_text = request->return_prompt_text;
  job.options.logprobs = request->logprobs;
  job.options.prompt_logprobs = sampling->prompt_logprobs.has_value();
  job.options.style.chat = true;
  job.options.sparse_deltas = !config.tool_call_parser.empty();
  job.options.style.num_top = static_cast<int>(request->top_logprobs);
  job.prompts.push_back(std::move(*prompt));
  job.sampling.push_back(std::move(*sampling));
  return submit(std::move(job));
}

}  // namespace vllm::serve
