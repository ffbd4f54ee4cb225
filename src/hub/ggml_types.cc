#include "hub/ggml_types.h"

#include <iterator>
#include <optional>
#include <string_view>

namespace vllm {
namespace {
struct Row {
  std::string_view name;  // empty: the number was never used, or its format was withdrawn
  std::optional<DType> dtype;
};
constexpr Row kTypes[] = {
    {"F32", DType::kFloat32},
    {"F16", DType::kFloat16},
    {"Q4_0", DType::kQ4_0},
    {"Q4_1", DType::kQ4_1},
    {},
    {},
    {"Q5_0", DType::kQ5_0},
    {"Q5_1", DType::kQ5_1},
    {"Q8_0", DType::kQ8_0},
    {"Q8_1", {}},
    {"Q2_K", DType::kQ2_K},
    {"Q3_K", DType::kQ3_K},
    {"Q4_K", DType::kQ4_K},
    {"Q5_K", DType::kQ5_K},
    {"Q6_K", DType::kQ6_K},
    {"Q8_K", {}},
    {"IQ2_XXS", {}},
    {"IQ2_XS", {}},
    {"IQ3_XXS", {}},
    {"IQ1_S", {}},
    {"IQ4_NL", {}},
    {"IQ3_S", {}},
    {"IQ2_S", {}},
    {"IQ4_XS", {}},
    {"I8", DType::kInt8},
    {"I16", {}},
    {"I32", DType::kInt32},
    {"I64", DType::kInt64},
    {"F64", {}},
    {"IQ1_M", {}},
    {"BF16", DType::kBFloat16},
    {},
    {},
    {},
    {"TQ1_0", {}},
    {"TQ2_0", {}},
    {},
    {},
    {},
    {"MXFP4", {}},
    {"NVFP4", {}},
    {"Q1_0", {}},
    {"Q2_0", {}},
};
static_assert(std::size(kTypes) == 43);
static_assert(kTypes[30].dtype == DType::kBFloat16 && kTypes[14].dtype == DType::kQ6_K);
}  // namespace

Result<DType> dtype_of_ggml(uint32_t number) {
  if (number >= std::size(kTypes) || kTypes[number].name.empty()) {
    return invalid_argument("unknown tensor type {}", number);
  }
  const Row& row = kTypes[number];
  if (!row.dtype) {
    return error(ErrorCode::kUnimplemented,
                 "tensor type {} ({}) is not supported; supported are F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and "
                 "Q2_K to Q6_K, so choose such a file of the model",
                 row.name, number);
  }
  return *row.dtype;
}

}  // namespace vllm
