#!/bin/sh
# engine.sh COMMAND...: run COMMAND with a Docker Engine that has debian:bookworm-slim: the one that answers, else one of its own
# (Debian's docker.io; needs root), stopped afterwards. VLLM_ENGINE_DIR keeps its images for the next time.
# COMMAND sees DOCKER (the client), DOCKER_HOST and BUILD_BASE (the base of build stages: with this machine's pip settings).
# VLLM_COMPILE_CACHE=FOLDER lets builds from source, by whichever builder, share what they compiled (compile_cache.py).
set -eu
here=$(realpath "$(dirname "$0")")
# Debian's client brings its own BuildKit client; others need the buildx plugin.
if [ -z "${DOCKER:-}" ]; then if [ -x /usr/bin/docker ]; then DOCKER=/usr/bin/docker; else DOCKER=docker; fi; fi
export DOCKER
work='' store=''
# shellcheck disable=SC2317  # called by the trap
stop() {
  if [ -n "$store" ]; then kill "$store" 2>/dev/null || true; fi
  if [ -n "$work" ] && [ -f "$work/pid" ]; then
    kill "$(cat "$work/pid")" 2>/dev/null || true
    while [ -f "$work/pid" ] && kill -0 "$(cat "$work/pid")" 2>/dev/null; do sleep 0.2; done
    umount "$work/exec/netns/default" 2>/dev/null || true
  fi
  if [ -n "$work" ] && [ -z "${VLLM_ENGINE_DIR:-}" ]; then rm -rf "$work"; fi
}

trap stop EXIT
trap 'exit 1' INT TERM
if ! "$DOCKER" info >/dev/null 2>&1; then
  command -v dockerd >/dev/null || { apt-get update -qq; apt-get install -y -qq --no-install-recommends docker.io iptables runc >/dev/null; }
  command -v "$DOCKER" >/dev/null || DOCKER=/usr/bin/docker
  work=${VLLM_ENGINE_DIR:-$(mktemp -d)}
  mkdir -p "$work"
  DOCKER_HOST=unix://$work/docker.sock
  export DOCKER_HOST
  # The machine's packet filter stays untouched: published ports go through docker-proxy, builds use the host's network.
  dockerd --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" -H "$DOCKER_HOST" --storage-driver overlay2 \
    --oom-score-adjust 0 --iptables=false --ip6tables=false >"$work/log" 2>&1 &
  tries=0
  until "$DOCKER" info >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ $tries -gt 100 ]; then echo "engine.sh: dockerd does not answer:" >&2; tail -5 "$work/log" >&2; exit 1; fi
    sleep 0.2
  done
fi
if ! "$DOCKER" image inspect debian:bookworm-slim >/dev/null 2>&1 && ! "$DOCKER" pull -q debian:bookworm-slim >/dev/null 2>&1; then
  "$DOCKER" import "$("$here/base_image.sh")" debian:bookworm-slim >/dev/null
fi
# Build stages fetch packages as this machine does: its pip settings and the certificates it trusts.
BUILD_BASE=vllm-build-base:test
context=$(mktemp -d)
cp /etc/ssl/certs/ca-certificates.crt "$context/"
{ echo FROM debian:bookworm-slim; echo COPY ca-certificates.crt /etc/ssl/certs/; } > "$context/Dockerfile"
if [ -f /etc/pip.conf ]; then cp /etc/pip.conf "$context/"; echo 'COPY pip.conf /etc/' >> "$context/Dockerfile"; fi
if [ -n "${VLLM_COMPILE_CACHE:-}" ]; then
  # A fixed port: it is part of the base, so another one would make every layer new.
  "$here/compile_cache.py" "$VLLM_COMPILE_CACHE" 18109 &
  store=$!
  BUILD_BASE=vllm-build-base:compile-cache
  printf 'remote_storage = http://127.0.0.1:18109\nremote_only = true\ncache_dir = /tmp/ccache\n' > "$context/ccache.conf"
  { echo 'COPY ccache.conf /etc/'; echo 'RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends ccache >/dev/null'; } >> "$context/Dockerfile"
fi
export BUILD_BASE
DOCKER_BUILDKIT=1 "$DOCKER" build -q --network host -t "$BUILD_BASE" "$context" >/dev/null
rm -rf "$context"
code=0
"$@" || code=$?
exit $code
