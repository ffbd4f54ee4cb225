#include "text/chat_template.h"

#include <new>

#include "text/template/failure.h"
#include "text/template/interpreter.h"
#include "text/template/parser.h"
#include "text/template/resolve.h"

namespace vllm::text {
namespace {

// Nodes that may be nested at run time for each level of nesting in the source: a macro that calls itself walks
// several nodes a call. 8 * 200 nodes of about 500 bytes stay far below a thread's stack.
constexpr int kRunDepthFactor = 8;

Error to_error(const tmpl::TemplateFailure& failure) {
  if (failure.raised || !failure.line) return {ErrorCode::kInvalidArgument, failure.message, {}};
  return invalid_argument("chat template, line {}: {}", failure.line, failure.message);
}

}  // namespace

struct ChatTemplate::Impl {
  std::string source;
  TemplateLimits limits;
  tmpl::Template parsed;
  tmpl::TemplateFacts facts;
};

Result<ChatTemplate> ChatTemplate::compile(std::string_view source, const TemplateLimits& limits) {
  try {
    auto impl = std::make_shared<Impl>();
    impl->source = source;
    impl->limits = limits;
    impl->parsed = tmpl::parse(source, limits.max_depth);
    impl->facts = tmpl::resolve(impl->parsed);
    ChatTemplate result;
    result.impl_ = std::move(impl);
    return result;
  } catch (const tmpl::TemplateFailure& failure) {
    return to_error(failure);
  } catch (const std::bad_alloc&) {
    return error(ErrorCode::kResourceExhausted, "out of memory while reading the chat template");
  }
}

Result<std::string> ChatTemplate::render(const json::object& variables, double now_s) const {
  const TemplateLimits& limits = impl_->limits;
  try {
    tmpl::Interpreter interpreter(impl_->parsed, variables, now_s,
                                  {.max_steps = limits.max_steps,
                                   .max_output_bytes = limits.max_output_bytes,
                                   .max_memory_bytes = limits.max_memory_bytes,
                                   .max_depth = limits.max_depth * kRunDepthFactor});
    return interpreter.render();
  } catch (const tmpl::TemplateFailure& failure) {
    return to_error(failure);
  } catch (const std::bad_alloc&) {
    return error(ErrorCode::kResourceExhausted, "out of memory while rendering the chat template");
  }
}

const std::string& ChatTemplate::source() const { return impl_->source; }

bool ChatTemplate::mentions(std::string_view variable) const { return impl_->facts.names.contains(variable); }

std::string_view ChatTemplate::content_format() const { return impl_->facts.loops_over_content ? "openai" : "string"; }

}  // namespace vllm::text
