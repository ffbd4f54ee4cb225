#pragma once
#include <string>
#include <string_view>

namespace vllm::profile {

/// A C++ symbol as its author wrote it; others as they are.
std::string demangled(const char* symbol);

/// "void vllm::(anonymous namespace)::norm_kernel<__nv_bfloat16, 4>(Params)" -> "norm_kernel<bf16, 4>", cut to `width`.
std::string short_kernel_name(std::string_view name, size_t width);

}  // namespace vllm::profile
