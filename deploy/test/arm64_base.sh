#!/bin/sh
# arm64_base.sh: put a Debian 12 for linux/arm64 into the engine of engine.sh, unless it is there, and print its name: BASE of build_image.sh.
# Through emulate_arm64.sh.
set -eu
docker=${DOCKER:-docker} base=debian-arm64:bookworm-slim
here=$(realpath "$(dirname "$0")")
if ! "$docker" image inspect "$base" >/dev/null 2>&1; then
  # `docker import --platform` keeps the engine's own in Docker 20.10.
  tar=$("$here/base_image.sh" arm64)
  printf 'FROM scratch\nADD %s /\nCMD ["/bin/bash"]\n' "$(basename "$tar")" |
    DOCKER_BUILDKIT=1 "$docker" build -q --platform linux/arm64 -t "$base" -f - "$(dirname "$tar")" >/dev/null
fi
echo "$base"
