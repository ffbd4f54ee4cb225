# One CMake target per folder, and a layer number per target: a target may depend only on targets of a lower layer.
#
#   add_layer_library(engine_kv LAYER 62 SRCS block_pool.cc DEPS base types LIBS Boost::json TESTS block_pool_test.cc)
#
# SRCS   sources; *_avx2.cc and *_avx512.cc get their ISA's flags (run-time dispatch picks the function); only x86-64 compiles them
# DEPS   our own targets (checked by layer), LIBS  third-party targets
# TESTS  *_test.cc files, linked into <name>_test and run by ctest under the label `unit`
# TEST_DEPS  further targets of ours that only the tests need
set(VLLM_AVX2_FLAGS -mavx2 -mfma -mf16c -mbmi2)
set(VLLM_AVX512_FLAGS -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx512vbmi -mavx512vbmi2 ${VLLM_AVX2_FLAGS}
    -Wno-uninitialized)  # false alarms of g++ 12 inside its AVX-512 headers

function(vllm_isa_flags)
  foreach(src ${ARGN})
    if(src MATCHES "_avx2\\.cc$")
      set_source_files_properties(${src} PROPERTIES COMPILE_OPTIONS "${VLLM_AVX2_FLAGS}")
    elseif(src MATCHES "_avx512bf16\\.cc$")
      set_source_files_properties(${src} PROPERTIES COMPILE_OPTIONS "${VLLM_AVX512_FLAGS};-mavx512bf16")
    elseif(src MATCHES "_avx512\\.cc$")
      set_source_files_properties(${src} PROPERTIES COMPILE_OPTIONS "${VLLM_AVX512_FLAGS}")
    endif()
  endforeach()
endfunction()

function(add_layer_library name)
  cmake_parse_arguments(A "" "LAYER" "SRCS;DEPS;LIBS;TESTS;TEST_DEPS" ${ARGN})
  if(NOT A_LAYER)
    message(FATAL_ERROR "add_layer_library(${name}): LAYER is missing")
  endif()
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    list(FILTER A_SRCS EXCLUDE REGEX "_avx[0-9a-z]*\\.cc$")
  endif()
  vllm_isa_flags(${A_SRCS})
  if(A_SRCS)
    add_library(${name} STATIC ${A_SRCS})
    set(scope PUBLIC)
  else()
    add_library(${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${name} ${scope} ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(${name} ${scope} ${A_DEPS} ${A_LIBS})
  set_property(GLOBAL APPEND PROPERTY VLLM_LAYER_TARGETS ${name})
  set_property(GLOBAL PROPERTY VLLM_LAYER_OF_${name} ${A_LAYER})
  set_property(GLOBAL PROPERTY VLLM_DEPS_OF_${name} ${A_DEPS})
  if(A_TESTS)
    add_executable(${name}_test ${A_TESTS})
    target_link_libraries(${name}_test PRIVATE ${name} ${A_TEST_DEPS} GTest::gmock GTest::gtest_main)
    add_test(NAME ${name} COMMAND ${name}_test WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 300)
  endif()
endfunction()

# The test <name> again under each ISA that VLLM_CPU_ISA names, as <name>_<isa>: what the machine lacks is the best it has,
# but AMX, which is emulated then. FILTER: the googletest names worth it.
function(add_isa_tests name)
  cmake_parse_arguments(A "" "FILTER" "" ${ARGN})
  foreach(isa reference avx2 avx512 amx)
    add_test(NAME ${name}_${isa} COMMAND ${name}_test --gtest_filter=${A_FILTER} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name}_${isa} PROPERTIES LABELS unit TIMEOUT 300 ENVIRONMENT VLLM_CPU_ISA=${isa})
  endforeach()
endfunction()

# An upward dependency is a configure error.
function(check_layers)
  get_property(names GLOBAL PROPERTY VLLM_LAYER_TARGETS)
  foreach(name ${names})
    get_property(layer GLOBAL PROPERTY VLLM_LAYER_OF_${name})
    get_property(deps GLOBAL PROPERTY VLLM_DEPS_OF_${name})
    foreach(dep ${deps})
      get_property(dep_layer GLOBAL PROPERTY VLLM_LAYER_OF_${dep})
      if(NOT dep_layer)
        message(FATAL_ERROR "${name} depends on ${dep}, which is no layer library (third-party targets go under LIBS)")
      elseif(NOT dep_layer LESS layer)
        message(FATAL_ERROR "${name} (layer ${layer}) must not depend on ${dep} (layer ${dep_layer})")
      endif()
    endforeach()
  endforeach()
endfunction()

# A libFuzzer entry point (LLVMFuzzerTestOneInput). Under the fuzz preset it is a fuzzer; in every other build the same
# code replays tests/fuzz/corpus/<name>/ as a unit test.
function(add_fuzz_target name)
  cmake_parse_arguments(A "" "" "SRCS;DEPS" ${ARGN})
  add_executable(fuzz_${name} ${A_SRCS})
  target_link_libraries(fuzz_${name} PRIVATE ${A_DEPS})
  if(VLLM_FUZZ)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    if(NOT TARGET fuzz_targets)
      add_custom_target(fuzz_targets)
    endif()
    add_dependencies(fuzz_targets fuzz_${name})
  else()
    target_sources(fuzz_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cc)
    add_test(NAME fuzz_${name} COMMAND fuzz_${name} ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
    set_tests_properties(fuzz_${name} PROPERTIES LABELS unit TIMEOUT 300)
  endif()
endfunction()
