// A tool for tests: reads JSON lines {"template", "variables", "now"} from stdin and answers each with {"text"} or
// {"error"}.
#include <iostream>
#include <string>

#include "text/chat_template.h"

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    vllm::json::object answer;
    auto request = vllm::parse_json(line, {.max_depth = 400});
    auto fail = [&](const vllm::Error& error) { answer["error"] = error.message; };
    if (!request) {
      fail(request.error());
    } else {
      const auto& object = request->as_object();
      auto compiled = vllm::text::ChatTemplate::compile(std::string_view(object.at("template").as_string()));
      if (!compiled) {
        fail(compiled.error());
      } else {
        auto text = compiled->render(object.at("variables").as_object(), vllm::get_double(object, "now").value_or(0));
        if (text)
          answer["text"] = *text;
        else
          fail(text.error());
        answer["content_format"] = compiled->content_format();
      }
    }
    std::cout << vllm::json::serialize(answer) << std::endl;
  }
}
