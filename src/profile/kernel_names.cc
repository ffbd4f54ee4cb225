#include "profile/kernel_names.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

namespace vllm::profile {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

// The end of the name, where its parameter list begins: the first '(' outside of <>.
size_t end_of_name(std::string_view text) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '<') ++depth;
    if (text[i] == '>') --depth;
    if (text[i] == '(' && depth == 0 && i > 0) return i;
  }
  return text.size();
}

}  // namespace

std::string demangled(const char* symbol) {
  if (symbol == nullptr) return "?";
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(symbol, nullptr, nullptr, &status), std::free);
  return status == 0 && text ? text.get() : symbol;
}

std::string short_kernel_name(std::string_view name, size_t width) {
  std::string out(name);
  replace_all(out, "(anonymous namespace)::", "");
  replace_all(out, "vllm::", "");
  replace_all(out, "__nv_bfloat16", "bf16");
  replace_all(out, "__half", "fp16");
  replace_all(out, "(bool)1", "true");
  replace_all(out, "(bool)0", "false");
  replace_all(out, "<(int)", "<"), replace_all(out, ", (int)", ", ");
  if (out.starts_with("void ")) out.erase(0, 5);
  out.resize(end_of_name(out));
  if (out.size() > width) out.resize(width - 2), out += "..";
  return out;
}

}  // namespace vllm::profile
