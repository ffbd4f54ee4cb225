// str.format: replacement fields.
#include "text/template/format.h"

namespace vllm::text::tmpl {
namespace {

class Formatter {
 public:
  Formatter(Interpreter& in, const Args& args) : in_(in), args_(args) {}

  std::string run(std::string_view f, int depth) {
    if (depth < 0) fail("Max string recursion exceeded");
    std::string out;
    for (size_t i = 0; i < f.size();) {
      in_.budget().step();
      if ((f[i] == '{' || f[i] == '}') && i + 1 < f.size() && f[i + 1] == f[i]) {
        out += f[i];
        i += 2;
      } else if (f[i] == '}') {
        fail("Single '}}' encountered in format string");
      } else if (f[i] == '{') {
        size_t end = field_end(f, i);
        out += field(f.substr(i + 1, end - i - 1), depth);
        in_.budget().check(out.size());
        i = end + 1;
      } else {
        out += f[i++];
      }
    }
    return out;
  }

 private:
  static size_t field_end(std::string_view f, size_t open) {
    int level = 0;
    for (size_t i = open; i < f.size(); ++i) {
      if (f[i] == '{') ++level;
      if (f[i] == '}' && --level == 0) return i;
    }
    if (open + 1 == f.size()) fail("Single '{{' encountered in format string");
    fail("expected '}}' before end of string");
  }

  std::string field(std::string_view text, int depth) {
    size_t name_end = 0;
    for (bool in_brackets = false; name_end < text.size(); ++name_end) {
      char c = text[name_end];
      if (c == '[') in_brackets = true;
      if (c == ']') in_brackets = false;
      if (!in_brackets && (c == '!' || c == ':')) break;
    }
    std::string_view name = text.substr(0, name_end), rest = text.substr(name_end);
    char conversion = '\0';
    if (rest.starts_with('!')) {
      if (rest.size() < 2 || (rest.size() > 2 && rest[2] != ':')) fail("expected ':' after conversion specifier");
      conversion = rest[1];
      rest.remove_prefix(2);
    }
    std::string spec = rest.starts_with(':') ? run(rest.substr(1), depth - 1) : "";
    Value value = resolve(name);
    if (conversion == 'r' || conversion == 'a') return format_spec(in_, in_.text(in_.repr(value)), spec);
    if (conversion == 's') return format_spec(in_, in_.text(in_.str(value)), spec);
    if (conversion) fail("Unknown conversion specifier {}", conversion);
    return format_spec(in_, value, spec);
  }

  // "name", "0", "" followed by .attribute and [item] parts.
  Value resolve(std::string_view name) {
    size_t end = std::min(name.find_first_of(".["), name.size());
    Value value = first(name.substr(0, end));
    for (size_t i = end; i < name.size();) {
      if (name[i] == '.') {
        size_t stop = std::min(name.find_first_of(".[", i + 1), name.size());
        value = in_.get_attr(value, name.substr(i + 1, stop - i - 1));
        i = stop;
      } else {
        size_t stop = name.find(']', i);
        if (name[i] != '[' || stop == std::string_view::npos) fail("Missing ']' in format string");
        std::string_view key = name.substr(i + 1, stop - i - 1);
        bool digits = !key.empty() && key.size() < 10 && key.find_first_not_of("0123456789") == std::string_view::npos;
        value = in_.get_item(value, digits ? Value(int64_t{std::stoi(std::string(key))}) : in_.text(std::string(key)));
        i = stop + 1;
      }
    }
    return value;
  }

  Value first(std::string_view name) {
    bool digits = !name.empty() && name.size() < 10 && name.find_first_not_of("0123456789") == std::string_view::npos;
    if (name.empty() || digits) {
      size_t i = digits ? static_cast<size_t>(std::stoi(std::string(name))) : next_++;
      if (i >= args_.positional.size()) fail("Replacement index {} out of range for positional args tuple", i);
      return args_.positional[i];
    }
    for (const auto& [key, value] : args_.keywords) {
      if (key == name) return value;
    }
    fail("'{}'", name);
  }

  Interpreter& in_;
  const Args& args_;
  size_t next_ = 0;
};

}  // namespace

std::string format_text(Interpreter& in, std::string_view format, const Args& args) {
  in.budget().step_bytes(format.size());
  return Formatter(in, args).run(format, 2);
}

}  // namespace vllm::text::tmpl
