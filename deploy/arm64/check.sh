#!/bin/sh
# What build/arm64 holds, run on this machine under QEMU's user emulation (VLLM_ARM64_SYSROOT names the target's libraries).
#   check.sh targets         the test programs that `kernels` runs
#   check.sh kernels         those, as three CPUs: with matrix products, with dot products alone, with neither
#   check.sh units           every unit test
#   check.sh program MODEL   a completion, as each of these CPUs: the tokens and logprobs of this machine's build/release with AVX2, to the bit
#   check.sh cuda MODEL      build/arm64-cuda/bin/vllm: what it is linked to, and what it says where there is no GPU
set -eu
cd "$(dirname "$0")/../.."
kernels='tensor kernels_activation kernels_layer_norm kernels_linear kernels_paged_attention kernels_peak kernels_residual_add kernels_rms_norm kernels_rope engine_sample'
cpus='max neoverse-n1 cortex-a72'

unit_tests() {  # unit_tests CPU REGEX
  echo "== as $1"
  QEMU_CPU=$1 ctest --test-dir build/arm64 -L unit -R "$2" -j2 --output-on-failure
}

answer() {  # answer FILE COMMAND...: its greedy completion, as one line
  file=$1 port=$(shuf -i 20000-60000 -n 1) start=$(date +%s); shift
  "$@" serve "$model" --host 127.0.0.1 --port "$port" --max-model-len 512 --served-model-name m > "$file.log" 2>&1 &
  pid=$!
  for _ in $(seq 1200); do
    if curl -sf "http://127.0.0.1:$port/health" >/dev/null; then break; fi
    kill -0 "$pid" 2>/dev/null || { cat "$file.log" >&2; return 1; }
    sleep 0.5
  done
  curl -sf --max-time 3000 "http://127.0.0.1:$port/v1/completions" -H 'Content-Type: application/json' \
    -d '{"model": "m", "prompt": "The capital of France is", "temperature": 0, "max_tokens": 16, "logprobs": 1}' > "$file.json"
  kill "$pid"
  wait "$pid" || true
  python3 -c 'import json, sys; print(json.dumps(json.load(open(sys.argv[1]))["choices"]))' "$file.json" > "$file.choices"
  echo "$file: $(( $(date +%s) - start )) s"
}

case $1 in
  targets) for name in $kernels; do echo "${name}_test"; done ;;
  kernels) for cpu in $cpus; do unit_tests "$cpu" "^($(echo "$kernels" | tr ' ' '|'))\$"; done ;;
  units) unit_tests max . ;;
  program)
    model=$2
    answer build/arm64/answer.x86 env VLLM_CPU_ISA=avx2 build/release/bin/vllm
    for cpu in $cpus; do
      answer "build/arm64/answer.$cpu" qemu-aarch64-static -cpu "$cpu" -L "$VLLM_ARM64_SYSROOT" build/arm64/bin/vllm
      cmp build/arm64/answer.x86.choices "build/arm64/answer.$cpu.choices"
    done
    cat build/arm64/answer.x86.choices ;;
  cuda)
    program=build/arm64-cuda/bin/vllm
    fail() { echo "check.sh cuda: $*" >&2; exit 1; }
    readelf -h "$program" | grep 'Machine:.*AArch64' || fail "not a program for 64-bit ARM"
    readelf -SW "$program" | grep -E '[.]nv_fatbin' || fail "no code for GPUs inside"
    needed=$(readelf -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
    # CUDA's own libraries are linked statically or found at run time: the program starts without them.
    for library in $needed; do
      [ -n "$(find "$VLLM_ARM64_SYSROOT/lib/" "$VLLM_ARM64_SYSROOT/usr/lib" -name "$library" -print -quit)" ] || fail "$library is not one of Debian's"
    done
    echo "needs $needed" | tr '\n' ' '
    echo
    run() { qemu-aarch64-static -L "$VLLM_ARM64_SYSROOT" "$program" "$@"; }
    run --version
    run serve --help | grep 'usage: vllm serve'
    code=0
    said=$(VLLM_TARGET_DEVICE=cuda HF_HUB_OFFLINE=1 run serve "$2" --port "$(shuf -i 20000-60000 -n 1)" 2>&1) || code=$?
    [ "$code" = 1 ] || fail "without a GPU it ended with $code: $said"
    echo "$said" | grep 'GPU not found: no NVIDIA driver is visible' || fail "without a GPU it says: $said" ;;
  *) sed -n '2,7s/^# //p' "$0" >&2; exit 1 ;;
esac
