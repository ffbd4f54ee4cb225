#!/bin/sh
# daemonless.sh TOOL BUILD-ARGUMENTS: what `docker build` would do, by TOOL (buildah or podman: no daemon), the image handed to the engine.
set -eu
tool=$1; shift
docker=${DOCKER:-docker}
command -v "$tool" >/dev/null || { apt-get update -qq; apt-get install -y -qq --no-install-recommends "$tool" runc >/dev/null; }
work=$(mktemp -d)
# A build that fails leaves what it had mounted.
trap 'umount -R "$work/graph/overlay" 2>/dev/null || true; rm -rf "$work"' EXIT
# vfs, their choice where they are not sure of another, copies the whole tree for every layer.
driver=overlay
if [ "$(stat -f -c %T "$work")" = overlayfs ]; then driver=vfs; fi
printf '[storage]\ndriver="%s"\nrunroot="%s/run"\ngraphroot="%s/graph"\n' "$driver" "$work" "$work" > "$work/storage.conf"
export CONTAINERS_STORAGE_CONF="$work/storage.conf"
tag=''
last=''
for arg in "$@"; do
  if [ "$last" = --tag ]; then tag=$arg; fi
  case $arg in base=*|build_base=*) image=${arg#*=}; "$docker" save "$image" -o "$work/base.tar"; "$tool" pull -q "docker-archive:$work/base.tar" >/dev/null; rm "$work/base.tar" ;; esac
  last=$arg
done
# Without --format docker there is no HEALTHCHECK: OCI images have none.
"$tool" build --isolation chroot --format docker --pull=never --layers=false "$@"
"$tool" push -q "$tag" "docker-archive:$work/image.tar:$tag"
"$docker" load -q -i "$work/image.tar"
