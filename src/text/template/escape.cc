#include "text/template/escape.h"

namespace vllm::text::tmpl {

std::string escape_html(Interpreter& in, std::string_view s) {
  in.budget().check(s.size() * 5);
  in.budget().step_bytes(s.size());
  std::string out;
  for (char c : s) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '\'': out += "&#39;"; break;
      case '"': out += "&#34;"; break;
      default: out += c;
    }
  }
  return out;
}

}  // namespace vllm::text::tmpl
