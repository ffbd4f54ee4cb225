#!/bin/sh
# compile.sh PRESET ARCH JOBS: the program for ARCH (empty: this machine's), stripped, as /out/bin/vllm; licence texts in /out/licenses.
# For the preset cuda: CUDA_ARCH_LIST as cuda_archs.sh takes it, VLLM_NVCC_THREADS.
set -eu
preset=$1 own=$(dpkg --print-architecture) jobs=${3:-2}
target=${2:-$own}
here=$(realpath "$(dirname "$0")")
cd "$here/../../.."
case $target in arm64) triple=aarch64-linux-gnu ;; *) triple=x86_64-linux-gnu ;; esac
set -- --preset "$preset"
if [ "$target" != "$own" ]; then
  set -- "$@" -DCMAKE_TOOLCHAIN_FILE="$here/cross-$target.cmake"
  export PKG_CONFIG_LIBDIR="/usr/lib/$triple/pkgconfig:/usr/share/pkgconfig"
fi
if [ "$preset" = cuda ]; then
  archs=$("$here/cuda_archs.sh" "${CUDA_ARCH_LIST:-}")
  set -- "$@" -DCMAKE_CUDA_ARCHITECTURES="$archs" -DCMAKE_CUDA_FLAGS="--threads=${VLLM_NVCC_THREADS:-1}"
fi
cmake "$@"
cmake --build --preset "$preset" --target vllm -j "$jobs"
mkdir -p /out/bin /out/licenses
cp "build/$preset/bin/vllm" /out/bin/
"$triple-strip" /out/bin/vllm
cp LICENSE NOTICE /out/licenses/
[ "$preset" != cuda ] || cp /usr/local/cuda/NVIDIA-EULA.txt /out/licenses/
