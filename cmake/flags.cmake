# Compiler and linker flags of the whole tree.
set(VLLM_SANITIZE "" CACHE STRING "sanitizers, comma separated: address,undefined or thread")
option(VLLM_FUZZ "build the fuzz targets with libFuzzer (clang only)" OFF)

# -ffp-contract=off: a multiply-add is fused only where the code says so, so that every path that must agree bit for bit does.
add_compile_options(-Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wno-maybe-uninitialized -Wno-restrict -Wno-dangling-pointer)  # false alarms of g++ 12 in coroutines and strings
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
if(VLLM_MOLD)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 12.1)
    add_link_options(-fuse-ld=mold)
  elseif(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    add_link_options(--ld-path=${VLLM_MOLD})
  endif()
endif()
