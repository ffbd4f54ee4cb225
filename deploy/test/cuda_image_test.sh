#!/bin/sh
# cuda_image_test.sh: build the CUDA images (PROGRAM=dist, default: what ./run dist --cuda made; or source) and check what can be
# checked without a GPU: the error that says so, the CPU engine on demand, the library, the licences. Through engine.sh; MODEL is optional.
set -eu
docker=${DOCKER:-docker} program=${PROGRAM:-dist}
here=$(realpath "$(dirname "$0")")
say() { echo "cuda_image_test: $*" >&2; }
fail() { say "$*"; exit 1; }
for target in vllm-openai-slim vllm-openai; do
  image=$target:test
  PROGRAM=$program "$here/build_image.sh" "$target" "$image"
  inside() { "$docker" run --rm --network none --entrypoint sh "$image" -c "$1"; }
  # shellcheck disable=SC2016
  inside 'vllm --version; test "$VLLM_TARGET_DEVICE" = cuda; test -s /usr/share/doc/vllm/NVIDIA-EULA.txt; test -s /usr/share/doc/vllm/NOTICE' || fail "$target: contents"
  if inside 'ldd /usr/local/bin/vllm' | grep 'not found'; then fail "$target: libraries are missing"; fi
  if [ ! -e /dev/nvidiactl ]; then
    code=0
    out=$("$docker" run --rm --network none -e HF_HUB_OFFLINE=1 ${MODEL:+-v "$(realpath "$MODEL"):/model.gguf:ro"} "$image" ${MODEL:+--model /model.gguf} 2>&1) || code=$?
    if [ "$code" != 1 ]; then fail "$target: without a GPU it ended with $code"; fi
    if [ -n "${MODEL:-}" ]; then
      echo "$out" | grep 'GPU not found: no NVIDIA driver is visible. In a container, start it with --gpus all' >&2 || fail "$target: without a GPU it says: $out"
    fi
  fi
done
inside 'ldd /usr/local/cuda/lib64/libcublasLt.so.13 | grep "not found" && exit 1; test -s /usr/local/cuda/lib64/libcublasLt.LICENSE.txt' || fail "cuBLASLt"
say "passed"
