#pragma once
// Messages and tools of a chat request: their schema, and the form in which a chat template is given them.
#include <string_view>

#include "api/coerce.h"
#include "api/requests.h"

namespace vllm::api {

/// The raw checks on "messages" that come before any field is read: values that can't be walked at all.
MaybeError check_messages_iterable(const json::object& body);
void read_messages(json::value& value, RequestBase& request, const Field& field, std::string_view loc, Issues& issues);
void read_tools(json::value& value, RequestBase& request, const Field& field, std::string_view loc, Issues& issues);

/// The conversation as vLLM hands it to templates: parts joined ("string" format) or kept as a list ("openai" format),
/// null content empty, arguments of tool calls as objects, `reasoning` also as `reasoning_content`. `model` names the
/// model in refusals of media.
ApiResult<json::array> to_conversation(json::array messages, std::string_view content_format, std::string_view model);

/// For a template that does not know the role "developer": such turns become system turns (without their tools), and
/// if there are any, all system turns are merged into one at the front, where such templates look for it.
void developer_to_system(json::array& conversation);

}  // namespace vllm::api
