#!/bin/sh
# The CPU image under a real Docker Engine with BuildKit: tests/images/image_test.sh MODEL.gguf
# Built around ./run dist's program (target vllm-openai-cpu-dist) or, with TARGET=vllm-openai-cpu, from source. DOCKER names the client.
# No network is needed but for apt in the build; without access to a registry, import a minimal Debian as debian:bookworm-slim first.
set -eu
model=$(realpath "$1") docker=${DOCKER:-docker} target=${TARGET:-vllm-openai-cpu-dist} image=vllm-openai-cpu:test name=vllm-image-test-$$
cd "$(dirname "$0")/../.."
fail() { echo "image_test: $*" >&2; "$docker" logs "$name" >&2 2>/dev/null || true; "$docker" rm -f "$name" >/dev/null 2>&1 || true; exit 1; }
trap '"$docker" rm -f "$name" >/dev/null 2>&1 || true' EXIT
"$docker" info >/dev/null 2>&1 || fail "no Docker Engine answers; set DOCKER_HOST or start dockerd"
DOCKER_BUILDKIT=1 "$docker" build -q --network host --target "$target" --build-arg max_jobs="$(nproc)" --tag "$image" . || fail "the build failed"

status() { "$docker" inspect -f "$1" "$name"; }
inside() { "$docker" exec "$name" "$@"; }

# answers WHAT OPTIONS...: start with these options (its own loopback is the only network), ask, check its health, stop.
answers() {
  what=$1; shift
  "$docker" run -d --name "$name" --network none -v "$model:/models/model.gguf:ro" -e VLLM_CPU_KVCACHE_SPACE=1 -e TZ=Asia/Shanghai \
    --health-cmd 'curl -f http://localhost:8000/health' --health-interval 1s "$@" "$image" \
    --model /models/model.gguf --served-model-name=m '--cors-allow-origins "*"' '#' a comment >/dev/null || fail "$what: docker run failed"
  tries=0
  until [ "$(status '{{.State.Health.Status}}')" = healthy ]; do
    tries=$((tries + 1))
    [ "$(status '{{.State.Running}}')" = true ] || fail "$what: the container ended"
    [ $tries -lt 60 ] || fail "$what: not healthy in 30 s"
    sleep 0.5
  done
  inside curl -sf http://localhost:8000/v1/chat/completions -H 'Content-Type: application/json' \
    -d '{"model": "m", "messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 16, "temperature": 0}' | grep -q '"content":"[^"]' || fail "$what: no answer"
  inside curl -sf http://localhost:8000/v1/models >/dev/null || fail "$what: /v1/models"
  stamp=$(TZ=Asia/Shanghai date '+%m-%d %H:')
  "$docker" logs "$name" 2>&1 | grep 'Application startup complete' | grep -qE "$stamp|$(TZ=Asia/Shanghai date -d '-10 minutes' '+%m-%d %H:')" || fail "$what: log stamps do not follow TZ"
  begin=$(date +%s%N)
  "$docker" stop -t 10 "$name" >/dev/null
  took=$((($(date +%s%N) - begin) / 1000000))
  [ "$(status '{{.State.ExitCode}}')" = 0 ] || fail "$what: exit status $(status '{{.State.ExitCode}}') after docker stop"
  [ $took -lt 2000 ] || fail "$what: docker stop took $took ms"
  "$docker" rm "$name" >/dev/null
  echo "image_test: $what: answers, healthy, stopped in $took ms" >&2
}

answers root
answers "uid 12345" --user 12345
answers "read-only" --read-only --tmpfs /tmp
answers "read-only, uid 12345, no capabilities" --read-only --user 12345:12345 --cap-drop ALL --security-opt no-new-privileges
"$docker" run --rm --network none --entrypoint vllm "$image" --version
code=0
"$docker" run --rm --network none -e HF_HUB_OFFLINE=1 "$image" --model org/missing >/dev/null 2>&1 || code=$?
[ "$code" = 1 ] || fail "a missing model ended with $code"
echo "image_test: passed, image of $("$docker" image inspect -f '{{.Size}}' "$image") bytes" >&2
