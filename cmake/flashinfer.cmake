# FlashInfer's attention templates with the CUTLASS and CCCL that its wheel carries: headers only, for CUDA builds.
# The order matters: its CCCL must come before the toolkit's, which lacks parts that it uses.
if(NOT VLLM_CUDA)
  return()
endif()
include(archives)
fetch_archive(VLLM_FLASHINFER flashinfer-python
  PATTERNS "flashinfer/data/include/*" "flashinfer/data/cutlass/include/*" "flashinfer/data/cutlass/tools/util/include/*"
           "flashinfer/data/cccl/libcudacxx/include/*" "flashinfer/data/cccl/cub/cub/*" "flashinfer/data/cccl/thrust/thrust/*" "*/licenses/*")
set(data ${VLLM_FLASHINFER}/flashinfer/data)
add_library(flashinfer INTERFACE)
target_include_directories(flashinfer INTERFACE
  ${data}/cccl/libcudacxx/include ${data}/cccl/cub ${data}/cccl/thrust
  ${data}/include ${data}/cutlass/include ${data}/cutlass/tools/util/include)
unset(data)
