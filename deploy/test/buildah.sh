#!/bin/sh
# buildah.sh BUILD-ARGUMENTS of `docker build`: the same build by buildah (no daemon), the image handed to the engine.
set -eu
docker=${DOCKER:-docker}
command -v buildah >/dev/null || { apt-get update -qq; apt-get install -y -qq --no-install-recommends buildah skopeo runc >/dev/null; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '[storage]\ndriver="vfs"\nrunroot="%s/run"\ngraphroot="%s/graph"\n' "$work" "$work" > "$work/storage.conf"
export CONTAINERS_STORAGE_CONF="$work/storage.conf"
tag=''
last=''
for arg in "$@"; do
  if [ "$last" = --tag ]; then tag=$arg; fi
  case $arg in base=*|build_base=*) image=${arg#*=}; "$docker" save "$image" -o "$work/base.tar"; buildah pull -q "docker-archive:$work/base.tar" >/dev/null; rm "$work/base.tar" ;; esac
  last=$arg
done
# Without --format docker there is no HEALTHCHECK: OCI images have none.
buildah build --isolation chroot --format docker --pull=never --layers "$@"
buildah push -q "$tag" "docker-archive:$work/image.tar:$tag"
"$docker" load -q -i "$work/image.tar"
