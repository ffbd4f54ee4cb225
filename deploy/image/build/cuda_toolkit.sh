#!/bin/sh
# cuda_toolkit.sh ARCH: CUDA's compiler for this machine and libraries for ARCH (empty: the same) in /usr/local/cuda, from the
# packages of cuda.lock; and in /cublaslt the tree that adds cuBLASLt to an image. CUDA_ROOT and CUBLASLT_ROOT: other folders.
set -eu
own=$(dpkg --print-architecture)
target=${1:-$own}
here=$(realpath "$(dirname "$0")")
work=$(mktemp -d)
machine() { [ "$1" = arm64 ] && echo aarch64 || echo x86_64; }

# fetch ARCH FOLDER NAME...: unpack the packages' files for ARCH into FOLDER.
fetch() {
  arch=$(machine "$1") folder=$2; shift 2
  for name in "$@"; do grep "^$name==" "$here/cuda.lock"; done > "$work/lock"
  set --
  for tag in manylinux2014 manylinux_2_27 manylinux_2_25 manylinux_2_17 manylinux2010 manylinux_2_12; do set -- "$@" --platform "${tag}_$arch"; done
  rm -rf "$work/files"
  python3 -m pip download -q --no-deps --no-cache-dir --disable-pip-version-check --only-binary :all: "$@" --require-hashes -r "$work/lock" -d "$work/files"
  for wheel in "$work/files"/*.whl; do python3 -m zipfile -e "$wheel" "$folder"; done
}

fetch "$own" "$work/host" nvidia-cuda-nvcc nvidia-cuda-crt nvidia-nvvm nvidia-cuda-cccl
fetch "$target" "$work/target" nvidia-cuda-runtime nvidia-cublas nvidia-cuda-cupti
cuda=${CUDA_ROOT:-/usr/local/cuda} cublaslt=${CUBLASLT_ROOT:-/cublaslt}
case $target in arm64) libraries=$cuda/targets/sbsa-linux ;; *) libraries=$cuda/targets/x86_64-linux ;; esac
mkdir -p "$libraries"
cp -a "$work/host/nvidia/cu13/." "$cuda/"
chmod +x "$cuda"/bin/* "$cuda"/nvvm/bin/*
mv "$work/target/nvidia/cu13/lib" "$libraries/lib"
cp -a "$work/target/nvidia/cu13/include/." "$cuda/include/"
ln -sf libcudart.so.13 "$libraries/lib/libcudart.so"  # CMake looks for it, also where the static one is linked
ln -s ../../include "$libraries/include"
if [ "$target" = arm64 ]; then ln -sfn sbsa-linux "$cuda/targets/aarch64-linux"; fi  # as nvcc and CMake name it, after the compiler they call
ln -sfn lib "$cuda/lib64"
rm -rf "${cuda:?}/lib"
if [ "$target" = "$own" ]; then ln -s "${libraries#"$cuda"/}/lib" "$cuda/lib"; else mkdir "$cuda/lib"; fi
cp "$work"/target/nvidia_cublas-*.dist-info/licenses/License.txt "$cuda/NVIDIA-EULA.txt"

mkdir -p "$cublaslt/usr/local/cuda/lib64"
mv "$libraries/lib/libcublasLt.so.13" "$cublaslt/usr/local/cuda/lib64/"
cp "$cuda/NVIDIA-EULA.txt" "$cublaslt/usr/local/cuda/lib64/libcublasLt.LICENSE.txt"
rm -rf "$work" "$libraries/lib/libcublas.so.13" "$libraries/lib/libnvblas.so.13"
"$cuda/bin/nvcc" --version
