# Compiler and linker flags of the whole tree.
set(VLLM_SANITIZE "" CACHE STRING "sanitizers, comma separated: address,undefined or thread")
option(VLLM_FUZZ "build the fuzz targets with libFuzzer (clang only)" OFF)

# -ffp-contract=off: a multiply-add is fused only where the code says so, so that every path that must agree bit for bit does.
# For C++ only: nvcc hands its own generated code to the same compiler, which trips many of these.
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Werror;-Wno-unused-parameter;-Wno-missing-field-initializers;-ffp-contract=off>")
add_compile_options("$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings;--expt-relaxed-constexpr>")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # false alarms of g++ 12 in coroutines and strings
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized;-Wno-restrict;-Wno-dangling-pointer>")
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")
if(VLLM_SANITIZE)
  add_compile_options(-fsanitize=${VLLM_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${VLLM_SANITIZE})
  add_compile_definitions(VLLM_SANITIZED=1)
endif()
if(VLLM_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(VLLM_MOLD mold)
if(VLLM_MOLD AND NOT CMAKE_CROSSCOMPILING)  # a cross compiler looks for it under the target's name
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 12.1)
    add_link_options(-fuse-ld=mold)
  elseif(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    add_link_options(--ld-path=${VLLM_MOLD})
  endif()
endif()
