#!/bin/sh
# sizes.sh IMAGE...: what a registry would hold (layers in gzip) and what lies on the disk, as lines of docs/measurements/image.jsonl;
# with MODEL=FILE.gguf also the time from `docker run` to the first answer, five times. Through engine.sh.
set -eu
docker=${DOCKER:-docker} work=$(mktemp -d) name=vllm-sizes-$$
clean() { "$docker" rm -f "$name" >/dev/null 2>&1 || true; rm -rf "$work"; }
trap clean EXIT
machine=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)
row() { printf '{"date": "%s", "machine": "%s, %s cores", "commit": "%s", "command": "deploy/test/sizes.sh %s", "load": "%s", "metric": "%s", "value": %s, "unit": "%s"}\n' \
  "$(date -u +%F)" "$machine" "$(nproc)" "$(git rev-parse --short HEAD)" "$image" "$1" "$2" "$3" "$4"; }
for image in "$@"; do
  "$docker" save "$image" -o "$work/image.tar"
  rm -rf "$work/image"
  mkdir "$work/image"
  tar xf "$work/image.tar" -C "$work/image"
  sum=0
  sum=$(find "$work/image" -type f -size +0 \( -name layer.tar -o -path '*/blobs/sha256/*' \) -exec sh -c 'gzip -c "$1" | wc -c' sh {} \; | awk '{sum += $1} END {print sum}')
  row "all layers" compressed_size "$sum" B
  row "all layers" size "$("$docker" image inspect -f '{{.Size}}' "$image")" B
  [ -n "${MODEL:-}" ] || continue
  body='{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}'
  times=''
  for _ in 1 2 3 4 5; do
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    begin=$(date +%s%N)
    "$docker" run -d --name "$name" -p "127.0.0.1:$port:8000" -v "$(realpath "$MODEL"):/model.gguf:ro" -e VLLM_CPU_KVCACHE_SPACE=1 "$image" /model.gguf --served-model-name m >/dev/null
    until curl -sf -o /dev/null "http://127.0.0.1:$port/v1/chat/completions" -H 'Content-Type: application/json' -d "$body"; do sleep 0.02; done
    times="$times $((($(date +%s%N) - begin) / 1000000))"
    "$docker" rm -f "$name" >/dev/null
  done
  row "docker run to the first answer, $(basename "$MODEL"), of$times" start_to_first_answer_min "$(echo "$times" | tr ' ' '\n' | sort -n | sed -n 2p)" ms
  row "docker run to the first answer, $(basename "$MODEL"), of$times" start_to_first_answer_median "$(echo "$times" | tr ' ' '\n' | sort -n | sed -n 4p)" ms
done
