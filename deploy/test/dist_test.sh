#!/bin/sh
# dist/ on a Debian that has none of its libraries: deploy/test/dist_test.sh MODEL.gguf [ROOT]
# ROOT is the root folder of such a system; without it, mmdebstrap makes a minimal one of DEBIAN (default: bookworm). Needs root.
set -eu
model=$1 root=${2:-}
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'kill $(cat "$work/pid" 2>/dev/null) 2>/dev/null || true; rm -rf "$work"' EXIT
fail() { echo "dist_test: $*" >&2; cat "$work/log" >&2 || true; exit 1; }

if [ -z "$root" ]; then
  command -v mmdebstrap >/dev/null || apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
  root=$work/root
  mmdebstrap --quiet --variant=minbase "${DEBIAN:-bookworm}" "$root"
fi
inside=$root/opt/vllm-dist-test
rm -rf "$inside"
mkdir -p "$inside"
cp -r dist "$inside/dist"
cp "$model" "$inside/model.gguf"
# With /proc, where the loader learns what $ORIGIN is; the mount is gone with the process.
in_root() {
  # shellcheck disable=SC2016
  exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin VLLM_CPU_KVCACHE_SPACE=1 unshare -m sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$root" "$@"
}

(in_root /opt/vllm-dist-test/dist/bin/vllm --version)
port=${PORT:-18171}
in_root /opt/vllm-dist-test/dist/bin/vllm serve /opt/vllm-dist-test/model.gguf --served-model-name m --host 127.0.0.1 --port "$port" >"$work/log" 2>&1 &
echo $! >"$work/pid"
tries=0
until curl -sf "http://127.0.0.1:$port/health" >/dev/null; do
  tries=$((tries + 1))
  [ $tries -lt 300 ] || fail "not ready in 30 s"
  kill -0 "$(cat "$work/pid")" 2>/dev/null || fail "the server ended"
  sleep 0.1
done
curl -sf "http://127.0.0.1:$port/v1/chat/completions" -H 'Content-Type: application/json' \
  -d '{"model": "m", "messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 16, "temperature": 0}' | grep -q '"content":"[^"]' || fail "no answer"
own=$(awk '/\.so/ && $6 ~ /dist\/lib\// {print $6}' "/proc/$(cat "$work/pid")/maps" | sort -u | wc -l)
foreign=$(awk '/\.so/ && $6 !~ /dist\/lib\// {print $6}' "/proc/$(cat "$work/pid")/maps" | sort -u | grep -vE '/(libc|libm|libmvec|libresolv|libpthread|libdl|librt|libnss_[a-z]*|ld-linux[^/]*)\.so' || true)
[ -z "$foreign" ] || fail "libraries of the system were loaded: $foreign"
kill "$(cat "$work/pid")"
wait "$(cat "$work/pid")" || fail "exit status $?"
rm -rf "$inside"
echo "dist_test: passed on $(cat "$root/etc/debian_version") with $own libraries of its own" >&2
