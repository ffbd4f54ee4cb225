#!/bin/sh
# builders_test.sh [BUILDER...]: compile the CPU image from source with each builder (default: all four) and compare what comes out: the
# settings that `docker inspect` shows and every file but logs and caches. Through engine.sh, best with VLLM_COMPILE_CACHE: else each builder
# compiles everything. Leaves vllm-openai-cpu:BUILDER.
set -eu
docker=${DOCKER:-docker}
here=$(realpath "$(dirname "$0")")
[ $# -gt 0 ] || set -- buildkit classic buildah podman
REVISION=$(git -C "$here" rev-parse HEAD 2>/dev/null || echo unknown)  # a commit meanwhile is no difference
export REVISION
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
settings='{{json .Config.Entrypoint}} {{json .Config.Cmd}} {{json .Config.Env}} {{json .Config.Healthcheck}} {{json .Config.Labels}} {{json .Config.ExposedPorts}} {{.Config.WorkingDir}} {{.Config.User}}'
for builder in "$@"; do
  image=vllm-openai-cpu:$builder
  BUILDER=$builder PROGRAM=source "$here/build_image.sh" vllm-openai-cpu "$image"
  # Buildah adds its version; no Cmd is null or an empty list.
  "$docker" image inspect -f "$settings" "$image" | sed 's/"io.buildah.version":"[^"]*",//; s/^\([^ ]*\) null /\1 [] /' > "$work/$builder"
  "$docker" run --rm --network none --entrypoint sh "$image" -c 'vllm --version
    find / -xdev -type f ! -path "/proc/*" ! -path "/sys/*" ! -path "/etc/host*" ! -path /etc/resolv.conf ! -path "/var/log/*" ! -path "/var/cache/*" ! -path "/var/lib/dpkg/*" -exec stat -c "%A %u:%g %s %n" {} + | sort -k4
    sha256sum /usr/local/bin/*' >> "$work/$builder" || { echo "builders_test.sh: $builder: the image does not run" >&2; exit 1; }
  diff -u "$work/$1" "$work/$builder" >&2 || { echo "builders_test.sh: $builder makes another image than $1" >&2; exit 1; }
done
# Newer guides name the file below docker/: the same image out of the cache.
DOCKERFILE=docker/Dockerfile PROGRAM=source "$here/build_image.sh" vllm-openai-cpu vllm-openai-cpu:newer-guides
echo "builders_test.sh: $* make the same image: $(sed -n 2p "$work/$1")" >&2
