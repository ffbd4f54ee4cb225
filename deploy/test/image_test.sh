#!/bin/sh
# image_test.sh MODEL.gguf: build the CPU image and run it as people do, under the Docker Engine that engine.sh found.
# BUILDER and PROGRAM as build_image.sh takes them; IMAGE=TAG tests one that is there.
# No network is needed but for apt and pip in the build.
set -eu
model=$(realpath "$1") docker=${DOCKER:-docker} image=${IMAGE:-vllm-openai-cpu:test} name=vllm-image-test-$$
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
say() { echo "image_test: $*" >&2; }
fail() { say "$*"; "$docker" logs "$name" >&2 2>&1 || true; exit 1; }
clean() { "$docker" rm -f "$name" >/dev/null 2>&1 || true; rm -rf "$work"; }
trap clean EXIT

if [ -z "${IMAGE:-}" ]; then deploy/test/build_image.sh vllm-openai-cpu "$image"; fi

status() { "$docker" inspect -f "$1" "$name"; }
inside() { "$docker" exec "$name" "$@"; }
gone() { "$docker" rm -f "$name" >/dev/null; }
wait_healthy() {
  tries=0
  until [ "$(status '{{.State.Health.Status}}')" = healthy ]; do
    tries=$((tries + 1))
    [ "$(status '{{.State.Running}}')" = true ] || fail "$1: the container ended"
    [ $tries -lt 120 ] || fail "$1: not healthy in 60 s"
    sleep 0.5
  done
}
chat='{"model": "m", "messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 16, "temperature": 0}'

# answers WHAT OPTIONS...: start with these options, ask through the published port, look at health, log and end.
answers() {
  what=$1; shift
  "$docker" run -d --name "$name" -p 127.0.0.1::8000 -v "$model:/models/model.gguf:ro" -e VLLM_CPU_KVCACHE_SPACE=1 -e TZ=Asia/Shanghai \
    --health-interval 1s "$@" "$image" \
    --model /models/model.gguf --served-model-name=m '--cors-allow-origins "*"' '#' a comment >/dev/null || fail "$what: docker run failed"
  wait_healthy "$what"
  url=http://$("$docker" port "$name" 8000/tcp | head -1)
  curl -sf "$url/v1/chat/completions" -H 'Content-Type: application/json' -d "$chat" | grep -q '"content":"[^"]' || fail "$what: no answer"
  inside curl -f -s http://localhost:8000/v1/models >/dev/null || fail "$what: curl inside"
  stamp=$(TZ=Asia/Shanghai date '+%m-%d %H:')
  "$docker" logs "$name" 2>&1 | grep 'Application startup complete' | grep -qE "$stamp|$(TZ=Asia/Shanghai date -d '-10 minutes' '+%m-%d %H:')" || fail "$what: log stamps do not follow TZ"
  if "$docker" logs "$name" 2>&1 | grep -q 'GET /health'; then fail "$what: the health check fills the log"; fi
  begin=$(date +%s%N)
  "$docker" stop -t 10 "$name" >/dev/null
  took=$((($(date +%s%N) - begin) / 1000000))
  [ "$(status '{{.State.ExitCode}}')" = 0 ] || fail "$what: exit status $(status '{{.State.ExitCode}}') after docker stop"
  [ $took -lt 5000 ] || fail "$what: docker stop took $took ms"
  gone
  say "$what: answers, healthy, stopped in $took ms"
}

answers root
answers "uid 2000" --user 2000
answers "uid 12345" --user 12345
answers "uid 12345, group 0" --user 12345:0 --ipc=host
answers "read-only" --read-only --tmpfs /tmp --shm-size=2g
answers "read-only, uid 12345, no capabilities" --read-only --user 12345:12345 --cap-drop ALL --security-opt no-new-privileges

# The hub's cache: below HOME, else a folder that can be written to or that holds the model, with one line in the log.
repo=$work/hub/models--acme--tiny commit=0123456789012345678901234567890123456789
mkdir -p "$repo/refs" "$repo/snapshots/$commit"
printf %s "$commit" > "$repo/refs/main"
cp "$model" "$repo/snapshots/$commit/model.gguf"
chmod -R a+rX "$work"
# cached WHAT LOG-PATTERN OPTIONS...: does --model acme/tiny come out of the mounted cache, and what does the log say?
cached() {
  what=$1 pattern=$2; shift 2
  "$docker" run -d --name "$name" --network none -e HF_HUB_OFFLINE=1 -e VLLM_CPU_KVCACHE_SPACE=1 --health-interval 1s "$@" "$image" --model acme/tiny >/dev/null
  wait_healthy "$what"
  "$docker" logs "$name" 2>&1 | grep -q "$pattern" || fail "$what: nothing in the log like '$pattern'"
  gone
  say "cache, $what: found"
}
cached root 'Model files: /root/.cache/huggingface/hub/' -v "$work:/root/.cache/huggingface"
cached "read-only mount" 'Model files: /root/.cache/huggingface/hub/' -v "$work:/root/.cache/huggingface:ro" --read-only
cached "uid 2000" 'Model files: /home/vllm/.cache/huggingface/hub/' --user 2000 -v "$work:/home/vllm/.cache/huggingface"
cached "uid 12345, root's cache" 'Models are kept in /root/.cache/huggingface/hub: /.cache/huggingface/hub cannot be written to' --user 12345 -v "$work:/root/.cache/huggingface:ro"
cached "HF_HOME" 'Model files: /data/hub/' --user 12345 -e HF_HOME=/data -v "$work:/data:ro"
# Where a download would go, by user: nothing can be downloaded here, so the log and the error say it.
keeps() {
  pattern=$1; shift
  "$docker" run --rm --network none "$@" "$image" --model acme/absent 2>&1 | grep -q "$pattern" || fail "with $*: nothing in the log like '$pattern'"
  say "cache, $*: $pattern"
}
keeps 'Models are kept in /root/.cache/huggingface/hub: ' --user 12345 -e HF_HUB_OFFLINE=1
keeps 'Models are kept in /tmp/vllm-12345/huggingface/hub: ' --user 12345 -e HF_HUB_OFFLINE=1 --read-only --tmpfs /tmp
keeps 'not in the cache /home/vllm/.cache/huggingface/hub' --user 2000 -e HF_HUB_OFFLINE=1
keeps 'not in the cache /.cache/huggingface/hub' --user 12345 -e HF_HUB_OFFLINE=1 --read-only

# The health check follows the server's own address, and is green where none runs.
healthy_with() {
  what=$1; shift
  "$docker" run -d --name "$name" --network none -v "$model:/models/model.gguf:ro" -e VLLM_CPU_KVCACHE_SPACE=1 --health-interval 1s "$@" >/dev/null
  wait_healthy "$what"
  text=$("$docker" inspect -f '{{(index .State.Health.Log 0).Output}}' "$name")
  gone
  say "health with $what: $text"
}
healthy_with "no server" --entrypoint sleep "$image" 60
healthy_with "--port" "$image" /models/model.gguf --port 9001 --host 127.0.0.1
healthy_with "--uds" "$image" /models/model.gguf --uds=/tmp/vllm.sock
mkdir "$work/etc"
printf 'model: /models/model.gguf\nport: 9002\n' > "$work/etc/config.yaml"
healthy_with "/etc/vllm/config.yaml" -v "$work/etc:/etc/vllm:ro" "$image"
mkdir "$work/tls"
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout "$work/tls/tls.key" -out "$work/tls/tls.crt" 2>/dev/null
chmod a+r "$work/tls/tls.key"
healthy_with "https, any user" --user 12345 -v "$work/tls:/tls:ro" "$image" /models/model.gguf --ssl-keyfile /tls/tls.key --ssl-certfile /tls/tls.crt
# The guides' other ways in.
run() { "$docker" run --rm --network none "$@"; }
version=$(run "$image" --version)
[ "$(run --entrypoint vllm "$image" --version)" = "$version" ] || fail "vllm --version"
run --entrypoint python3 "$image" -m vllm.entrypoints.openai.api_server --help | grep -q 'usage: vllm serve' || fail "python3 -m vllm.entrypoints.openai.api_server"
printf 'FROM %s\nRUN uv pip install --system vllm[audio,video]==0.7.3\nRUN uv pip install --system git+https://github.com/huggingface/transformers.git\n' "$image" > "$work/Dockerfile"
DOCKER_BUILDKIT=1 "$docker" build -q --network host "$work" >/dev/null || fail "the guides' derived image"
run --entrypoint sh "$image" -c 'ls /vllm-workspace/examples/template_chatml.jinja /usr/share/doc/vllm/LICENSE /usr/share/doc/vllm/NOTICE /usr/share/zoneinfo/Asia/Shanghai' >/dev/null || fail "files are missing"
label=$("$docker" image inspect -f '{{index .Config.Labels "org.opencontainers.image.version"}}' "$image")
[ "$label" = "$(echo "$version" | tr + -)" ] || fail "the label says $label, the program $version"
code=0
"$docker" run --rm --network none -e HF_HUB_OFFLINE=1 "$image" --model org/missing >/dev/null 2>&1 || code=$?
[ "$code" = 1 ] || fail "a missing model ended with $code"
say "passed: $version"
