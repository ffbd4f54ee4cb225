#!/bin/sh
# arm64_image_test.sh MODEL.gguf: the CPU image for linux/arm64, cross-compiled from source in its build, answers a chat through its published
# port under QEMU. Through emulate_arm64.sh and engine.sh; slow, as packages are installed and the model computed under emulation.
# IMAGE=TAG tests one that is there. Leaves vllm-openai-cpu:arm64.
set -eu
model=$(realpath "$1") docker=${DOCKER:-docker} image=${IMAGE:-vllm-openai-cpu:arm64} name=vllm-arm64-test-$$
here=$(realpath "$(dirname "$0")")
say() { echo "arm64_image_test: $*" >&2; }
fail() { say "$*"; "$docker" logs "$name" >&2 2>&1 || true; exit 1; }
trap '"$docker" rm -f "$name" >/dev/null 2>&1 || true' EXIT

if [ -z "${IMAGE:-}" ]; then
  base=$("$here/arm64_base.sh")
  PLATFORM=linux/arm64 BASE=$base PROGRAM=source "$here/build_image.sh" vllm-openai-cpu "$image"
fi
[ "$("$docker" image inspect -f '{{.Os}}/{{.Architecture}}' "$image")" = linux/arm64 ] || fail "the image is not for linux/arm64"

begin=$(date +%s)
"$docker" run -d --name "$name" --platform linux/arm64 -p 127.0.0.1::8000 -v "$model:/model.gguf:ro" -e VLLM_CPU_KVCACHE_SPACE=1 \
  "$image" --model /model.gguf --served-model-name m --max-model-len 512 >/dev/null || fail "docker run failed"
url=http://$("$docker" port "$name" 8000/tcp | head -1)
until curl -sf --max-time 30 "$url/health" >/dev/null; do
  [ "$("$docker" inspect -f '{{.State.Running}}' "$name")" = true ] || fail "the container ended"
  [ $(($(date +%s) - begin)) -lt 1800 ] || fail "not ready in half an hour"
  sleep 1
done
say "ready after $(($(date +%s) - begin)) s on $("$docker" exec "$name" uname -m)"
begin=$(date +%s)
answer=$(curl -sf --max-time 1800 "$url/v1/chat/completions" -H 'Content-Type: application/json' \
  -d '{"model": "m", "messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 16, "temperature": 0}') || fail "no answer"
echo "$answer" | grep -q '"content":"[^"]' || fail "the answer is $answer"
say "answered in $(($(date +%s) - begin)) s: $(echo "$answer" | sed 's/.*"content":"\([^"]*\)".*/\1/')"
# Not `vllm health`: it looks for the server among the programs that run, and here they all are QEMU.
"$docker" exec "$name" curl -sf --max-time 120 http://localhost:8000/health || fail "curl inside"
"$docker" stop -t 120 "$name" >/dev/null
[ "$("$docker" inspect -f '{{.State.ExitCode}}' "$name")" = 0 ] || fail "exit status $("$docker" inspect -f '{{.State.ExitCode}}' "$name") after docker stop"
say "passed: $("$docker" image inspect -f '{{.Size}}' "$image") bytes"
