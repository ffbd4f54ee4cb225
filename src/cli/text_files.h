#pragma once
// The chat template of a checkpoint, wherever its maker put it.
#include <filesystem>
#include <string>

#include "base/result.h"
#include "hub/gguf.h"

namespace vllm::cli {

/// --chat-template: the text of the file if there is one of that name, else the argument itself (with \n read as a
/// newline).
Result<std::string> chat_template_argument(const std::string& argument);
/// From chat_template.jinja, tokenizer_config.json (a string, or the "default" of a list) or chat_template.json; empty
/// if none.
Result<std::string> chat_template_of_folder(const std::filesystem::path& dir);
std::string chat_template_of_gguf(const GgufFile& file);

}  // namespace vllm::cli
