#!/bin/sh
# cuda_image_test.sh: build the CUDA images (PROGRAM=dist, default: what ./run dist --cuda made; or source) and check what can be
# checked without a GPU: the error that says so, the libraries, the licences. Through engine.sh; MODEL is optional. TARGETS: which of the images;
# PLATFORM=linux/arm64: those for that, cross-compiled (then also through emulate_arm64.sh). Leaves TARGET:test or TARGET:arm64.
set -eu
docker=${DOCKER:-docker} program=${PROGRAM:-dist}
here=$(realpath "$(dirname "$0")")
say() { echo "cuda_image_test: $*" >&2; }
fail() { say "$*"; exit 1; }
tag=test base=debian:bookworm-slim machine=''
if [ "${PLATFORM:-}" = linux/arm64 ]; then tag=arm64 base=$("$here/arm64_base.sh") machine=aarch64; fi
for target in ${TARGETS:-vllm-openai-slim vllm-openai}; do
  image=$target:$tag
  BASE=$base PROGRAM=$program "$here/build_image.sh" "$target" "$image"
  inside() { "$docker" run --rm --network none ${PLATFORM:+--platform "$PLATFORM"} --entrypoint sh "$image" -c "$1"; }
  if [ -n "$machine" ]; then [ "$(inside 'uname -m')" = "$machine" ] || fail "$target: not for $machine"; fi
  # shellcheck disable=SC2016
  inside 'vllm --version; test "$VLLM_TARGET_DEVICE" = cuda; test -s /usr/share/doc/vllm/NVIDIA-EULA.txt; test -s /usr/share/doc/vllm/NOTICE' || fail "$target: contents"
  if inside 'ldd /usr/local/bin/vllm' | grep 'not found'; then fail "$target: libraries are missing"; fi
  if [ ! -e /dev/nvidiactl ]; then
    code=0
    out=$("$docker" run --rm --network none ${PLATFORM:+--platform "$PLATFORM"} -e HF_HUB_OFFLINE=1 ${MODEL:+-v "$(realpath "$MODEL"):/model.gguf:ro"} "$image" ${MODEL:+--model /model.gguf} 2>&1) || code=$?
    if [ "$code" != 1 ]; then fail "$target: without a GPU it ended with $code"; fi
    if [ -n "${MODEL:-}" ]; then
      echo "$out" | grep 'GPU not found: no NVIDIA driver is visible. In a container, start it with --gpus all' >&2 || fail "$target: without a GPU it says: $out"
    fi
  fi
done
case $target in vllm-openai)
  inside 'ldd /usr/local/cuda/lib64/libcublasLt.so.13 | grep "not found" && exit 1; test -s /usr/local/cuda/lib64/libcublasLt.LICENSE.txt' || fail "cuBLASLt" ;;
esac
say "passed"
