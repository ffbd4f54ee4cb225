# As cross-arm64.cmake, the other way round.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER x86_64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER x86_64-linux-gnu-g++)
set(CMAKE_CUDA_HOST_COMPILER x86_64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE x86_64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH /usr/lib/x86_64-linux-gnu /usr /usr/local/cuda/targets/x86_64-linux)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
