# The CUDA side of the tree: off by default, on in the preset `cuda`. Targets made by add_cuda_library exist only there; the seam to
# the rest is engine/exec/cuda_executor_nocuda.cc, the stub that other builds link.
option(VLLM_CUDA "build the CUDA engine (needs nvcc 13)" OFF)
if(NOT VLLM_CUDA)
  function(add_cuda_library)
  endfunction()
  return()
endif()

if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 90a-real)
endif()
if(VLLM_CCACHE AND NOT DEFINED CMAKE_CUDA_COMPILER_LAUNCHER)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${VLLM_CCACHE})
endif()
if(NOT CMAKE_CUDA_COMPILER AND EXISTS /usr/local/cuda/bin/nvcc)
  set(CMAKE_CUDA_COMPILER /usr/local/cuda/bin/nvcc)
endif()
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
enable_language(CUDA)
# CMake 3.25.1 sets a property of CUDA::nvToolsExt, which CUDA 13 does not have, unless an older CMake would do.
set(vllm_cmake_minimum ${CMAKE_MINIMUM_REQUIRED_VERSION})
set(CMAKE_MINIMUM_REQUIRED_VERSION 3.24)
find_package(CUDAToolkit 13 REQUIRED)
set(CMAKE_MINIMUM_REQUIRED_VERSION ${vllm_cmake_minimum})
set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")  # CMake 3.25 does not know that nvcc has it
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
set(CMAKE_CUDA_FLAGS_RELEASE "-O3")
add_compile_definitions("$<$<COMPILE_LANGUAGE:CUDA>:FMT_USE_CONSTEXPR=1>")  # fmt 9 turns it off for nvcc

add_custom_target(cuda_targets)  # every CUDA library and its tests: what `./run test --cuda` compiles

# add_cuda_library(name LAYER n SRCS a.cu b.cc DEPS ours LIBS others TESTS a_cuda_test.cc)
# As add_layer_library; the tests get the label `gpu` and skip without a device.
function(add_cuda_library name)
  cmake_parse_arguments(A "" "LAYER" "SRCS;DEPS;LIBS;TESTS;TEST_DEPS" ${ARGN})
  add_layer_library(${name} LAYER ${A_LAYER} SRCS ${A_SRCS} DEPS ${A_DEPS} LIBS ${A_LIBS} CUDA::cudart_static)
  add_dependencies(cuda_targets ${name})
  if(A_TESTS)
    add_executable(${name}_test ${A_TESTS})
    add_dependencies(cuda_targets ${name}_test)
    target_link_libraries(${name}_test PRIVATE ${name} ${A_TEST_DEPS} GTest::gmock GTest::gtest_main)
    add_test(NAME ${name} COMMAND ${name}_test WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES LABELS gpu TIMEOUT 300)
  endif()
endfunction()
