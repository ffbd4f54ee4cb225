#include "cli/text_files.h"

#include "base/json.h"
#include "base/mapped_file.h"

namespace vllm::cli {
namespace {

// A template is one string, or a list of {"name", "template"}.
std::string pick_template(const json::object& object) {
  const json::value* value = object.if_contains("chat_template");
  if (!value) return "";
  if (value->is_string()) return std::string(value->get_string());
  if (const json::array* list = value->if_array()) {
    for (const json::value& item : *list) {
      const json::object* entry = item.if_object();
      if (entry && get_string(*entry, "name") == "default") return get_string(*entry, "template").value_or("");
    }
  }
  return "";
}

}  // namespace

Result<std::string> chat_template_argument(const std::string& argument) {
  std::error_code ec;
  if (std::filesystem::is_regular_file(argument, ec)) return read_file(argument, size_t{8} << 20);
  if (argument.find_first_of("{}\n ") == std::string::npos) {
    return error(ErrorCode::kNotFound, "--chat-template {}: no such file, and no template text either", argument);
  }
  std::string text;
  for (size_t i = 0; i < argument.size(); ++i) {
    if (argument.compare(i, 2, "\\n") == 0) {
      text += '\n', ++i;
    } else {
      text += argument[i];
    }
  }
  return text;
}

Result<std::string> chat_template_of_folder(const std::filesystem::path& dir) {
  std::error_code ec;
  if (std::filesystem::exists(dir / "chat_template.jinja", ec))
    return read_file(dir / "chat_template.jinja", size_t{8} << 20);
  for (const char* name : {"tokenizer_config.json", "chat_template.json"}) {
    if (!std::filesystem::exists(dir / name, ec)) continue;
    ASSIGN_OR_RETURN(std::string text, read_file(dir / name, size_t{64} << 20));
    ASSIGN_OR_RETURN(json::value parsed, parse_json(text).with_context("{}", (dir / name).string()));
    if (!parsed.is_object()) continue;
    if (std::string found = pick_template(parsed.get_object()); !found.empty()) return found;
  }
  return std::string();
}

std::string chat_template_of_gguf(const GgufFile& file) {
  return std::string(file.get_string("tokenizer.chat_template").value_or(""));
}

}  // namespace vllm::cli
